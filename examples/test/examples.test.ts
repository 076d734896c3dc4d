import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';

/**
 * Runs an example as its header says, and returns the lines that it prints. It is not asked for its coverage:
 * a worker that is terminated while it writes that complains on standard error, and a finished example has
 * nothing to say there.
 */
async function run(name: string): Promise<string[]> {
  const file = fileURLToPath(new URL(`../dist/${name}.js`, import.meta.url));
  const env = { ...process.env, NODE_V8_COVERAGE: '' };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], { env });
  if (stderr !== '') throw new Error(stderr);
  return stdout.trimEnd().split('\n');
}

test('share-a-heap reads every sentence and leaves nothing behind', async (t) => {
  t.deepEqual(await run('share-a-heap'), ['2000 sentences, 53780 characters; 0 bytes still in use']);
});

test('choose-an-algorithm runs on every algorithm, with two CPUs each', async (t) => {
  const lines = await run('choose-an-algorithm');
  t.true(lines.length >= 8);
  for (const line of lines)
    t.regex(line, /^[\w-]+ +cpu [01] of 2: 20000 rounds, 0 requests without an answer$/);
});

test('borrow-flag names the holder, and two threads that insist both come through', async (t) => {
  const [named, counted] = await run('borrow-flag');
  t.regex(named, /thread 1/);
  t.regex(counted, /^two threads, 50000 blocks each: \d+ times another thread was inside$/);
});

test('containers share an allocator, and the last one lets it go', async (t) => {
  t.deepEqual(await run('containers'), [
    '1000 squares, the last 998001; 1000 roots, the last 31.607',
    'live: 8192 bytes',
    'live: 8192 bytes',
    'one vector left, allocator there',
    'the last handle is gone with 0 bytes in use',
  ]);
});

test('mymalloc gives every page back, whichever CPU frees', async (t) => {
  const [line] = await run('mymalloc/run');
  const [, before, between, after] = line
    .match(/^4 CPUs, 200000 blocks; pages: (\d+), then (\d+), then (\d+)$/)!
    .map(Number);
  t.true(between > before);
  t.is(after, before);
});

test('kernel swaps through all algorithms under four CPUs, gives all pages back, and panics on a double free', async (t) => {
  const lines = await run('kernel');
  t.true(lines.filter((line) => line.startsWith('new blocks are from ')).length >= 6);
  for (const cpu of [0, 1, 2, 3])
    t.true(lines.includes(`cpu ${cpu} of 4: many blocks, and freed those of others`));
  t.regex(
    lines.slice(-3).join('\n'),
    /^0 pages more than before\npanic: cpu 1: .*free\(\d+\).*\nthe machine has panicked$/,
  );
});
