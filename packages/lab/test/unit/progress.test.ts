import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import test from 'ava';
import { startProgress } from '../../dist/progress.js';

function sink(isTTY: boolean): { stream: NodeJS.WriteStream; text: () => string } {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  return {
    stream: Object.assign(stream, { isTTY, columns: 80 }) as unknown as NodeJS.WriteStream,
    text: () => text,
  };
}

test('without a terminal there is a plain line now and then', (t) => {
  const { stream, text } = sink(false);
  let now = 0;
  const progress = startProgress(12, stream, () => now);
  progress.step('one');
  progress.step('two');
  now = 6000;
  progress.step('three');
  progress.note('a note');
  progress.done();
  t.is(text(), '[ 1/12] one\n[ 3/12] three\na note\n');
});

test('a job that is interrupted gives the terminal its cursor back, and ends all the same', async (t) => {
  const module = new URL('../../dist/progress.js', import.meta.url).href;
  const script = `
    import { startProgress } from ${JSON.stringify(module)};
    const stream = Object.assign(process.stderr, { isTTY: true, columns: 80, cursorTo() {}, clearLine() {} });
    startProgress(2, stream).step('one');
    process.kill(process.pid, 'SIGINT');
    setTimeout(() => process.exit(7), 30_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr.on('data', (chunk) => {
    text += chunk;
  });
  const [code, signal] = await once(child, 'close');
  t.is(code, null, text);
  t.is(signal, 'SIGINT');
  t.true(text.lastIndexOf('\u001b[?25h') > text.lastIndexOf('\u001b[?25l'), JSON.stringify(text));
});

test('on a terminal there is a bar, which is gone at the end', (t) => {
  const { stream, text } = sink(true);
  const progress = startProgress(2, stream);
  progress.step('one');
  progress.note('a note');
  progress.step('two');
  progress.done();
  t.regex(text(), /0\/2/);
  t.regex(text(), /a note\n/);
});
