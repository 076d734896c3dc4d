import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { RecordError, record } from '@shmalloc/trace/record';
import anyTest from 'ava';
import { recorderLibrary } from '../../dist/record/compile.js';
import {
  cache,
  compile,
  countOf,
  directory,
  recordProgram,
  test,
  testAlone,
} from '../support/record-helper.ts';

const ONE_LINE = /^[^\n]+$/;

anyTest('another system is refused in one line', (t) => {
  const error = t.throws(() => recorderLibrary('cc', cache, 'darwin'), { instanceOf: RecordError });
  t.is(error?.message, 'recording needs Linux with glibc, this is darwin');
});

test('a missing compiler is refused in one line that says what to install', async (t) => {
  const compiler = '/nowhere/cc';
  const error = await t.throwsAsync(record({ command: 'true', compiler, cache }), {
    instanceOf: RecordError,
  });
  t.regex(
    error?.message ?? '',
    /recording needs a C compiler: cannot run '\/nowhere\/cc'.*apt-get install gcc/,
  );
  t.regex(error?.message ?? '', ONE_LINE);
});

test('a compiler that cannot compile it is refused with the first error', (t) => {
  const error = t.throws(() => recorderLibrary('false', cache), { instanceOf: RecordError });
  t.is(error?.message, "'false' cannot compile the recorder: exit code 1");
});

test('a program that is not there is refused in one line', async (t) => {
  const error = await t.throwsAsync(record({ command: '/nowhere/program', cache }), {
    instanceOf: RecordError,
  });
  t.is(error?.message, "cannot run '/nowhere/program': ENOENT");
});

test('the recorder is compiled once, and beside the cache where that cannot be written', (t) => {
  const first = recorderLibrary('cc', cache);
  t.is(recorderLibrary('cc', cache), first);
  t.is(path.dirname(first), cache);
  const file = path.join(directory, 'no-directory');
  writeFileSync(file, '');
  const other = recorderLibrary('cc', path.join(file, 'cache'));
  t.is(path.basename(other), path.basename(first));
  t.not(path.dirname(other), cache);
  rmSync(path.dirname(other), { recursive: true });
});

test('a program that cannot be recorded is named, and what it starts is recorded all the same', async (t) => {
  const child = compile('int main(void) { malloc(4321); return 0; }');
  const command = compile('int main(int n, char **words) { return execv(words[1], words + 1); }', [
    '-static',
  ]);
  const alone = await record({
    command: compile('int main(void) { return 3; }', ['-static']),
    stdio: 'ignore',
    cache,
  });
  t.is(alone.exitCode, 3);
  t.deepEqual(alone.traces, []);
  t.regex(alone.problems[0].reason, /^not recorded: statically linked/);
  const { traces } = await record({ command, args: [child], stdio: 'ignore', cache });
  t.is(countOf(traces[0].trace, 'malloc', 4321), 1);
});

test('what a program starts that cannot be recorded itself is numbered from 1, each in a file of its own', async (t) => {
  const output = path.join(directory, 'unseen.trace');
  const child = compile('int main(void) { return malloc(4324) == NULL; }');
  const source = `int main(int n, char **words) {
    for (int i = 0; i < 3; i++) {
      if (fork() == 0) { execv(words[1], words + 1); _exit(1); }
      wait(NULL);
    }
    return 0;
  }`;
  const command = compile(source, ['-static']);
  const { traces } = await record({ command, args: [child], stdio: 'ignore', cache, output });
  const name = path.basename(child).slice(0, 15);
  t.deepEqual(
    traces.map(({ file }) => path.basename(file as string)),
    [1, 2, 3].map((number) => `unseen.${number}-${name}.trace`),
  );
});

test('a recording without room is refused', async (t) => {
  await t.throwsAsync(record({ command: 'true', room: 0, cache }), { message: /room must be 1 operation/ });
  await t.throwsAsync(record({ command: 'true', room: 1.5, cache }), { instanceOf: RangeError });
});

test('a program that allocates nothing, and one that outlives its parent, are said', async (t) => {
  const output = path.join(directory, 'static.trace');
  // It allocates, says so through a pipe that it has inherited, and lives until the test lets it go.
  const gate = path.join(directory, 'outlives');
  writeFileSync(gate, '');
  const sleeper = compile(`int main(int n, char **words) {
    malloc(4322);
    close(9);
    while (access(words[1], F_OK) == 0) usleep(10000);
    return 0;
  }`);
  t.teardown(() => rmSync(gate, { force: true }));
  const { traces, problems } = await recordProgram(
    `int main(int n, char **words) {
       int ready[2];
       char byte;
       if (pipe(ready) != 0) return 1;
       if (fork() == 0) { dup2(ready[1], 9); close(ready[1]); execv(words[1], words + 1); _exit(1); }
       close(ready[1]);
       return read(ready[0], &byte, 1) != 0; /* the end: the child has allocated, and closed it */
     }`,
    [sleeper, gate],
    { output },
  );
  t.is(traces[0].trace.operations, 0);
  t.regex(problems[0].reason, /^no allocation was seen/);
  t.is(countOf(traces[1].trace, 'malloc', 4322), 1);
  t.regex(problems[1].reason, /^still running when the program ended/);
});

testAlone(
  'a signal that asks us to end goes to the program, and what it did until then is kept',
  async (t) => {
    const ready = path.join(directory, 'ready');
    const source = `
    #include <fcntl.h>
    int main(int n, char **words) { malloc(4323); close(open(words[1], O_CREAT | O_WRONLY, 0600)); pause(); return 0; }`;
    const { traces, exitCode } = await recordProgram(source, [ready], {
      onStart: () => {
        const timer = setInterval(() => {
          if (!readdirSync(directory).includes('ready')) return;
          clearInterval(timer);
          process.emit('SIGINT', 'SIGINT'); // this one the terminal sends to both: it is not passed on
          process.emit('SIGTERM', 'SIGTERM');
        }, 10);
      },
    });
    t.is(exitCode, 128 + 15);
    t.is(countOf(traces[0].trace, 'malloc', 4323), 1);
  },
);
