import { someOf } from '@shmalloc/alloc-test';
import { type KernelError, KernelPanic } from '@shmalloc/kernel';
import test, { type ExecutionContext } from 'ava';
import { Board } from '../../dist/board.js';
import { describeError } from '../../dist/messages.js';
import { declareDeath, declareHalt, declarePanic } from '../../dist/panic.js';
import { bootForTest, program, type TestMachine } from '../support/machines.js';

/**
 * Runs into trouble on a machine of four CPUs, of which one sits at a barrier, one in an endless loop, and
 * one sleeps.
 */
async function intoTrouble(
  t: ExecutionContext,
  kind: string,
  cpus = 4,
): Promise<TestMachine & { panic: KernelPanic }> {
  const booted = await bootForTest(t, { cpus, graceMs: 100 });
  const panic = await t.throwsAsync<KernelPanic>(() => booted.machine.run(program('trouble'), { kind }), {
    instanceOf: KernelPanic,
  });
  t.is(booted.machine.state, 'panicked');
  t.is(booted.machine.panic, panic);
  return { ...booted, panic };
}

const CAUSES: readonly [kind: string, message: string | RegExp, frame?: RegExp][] = [
  ['panic', 'out of cheese', /trouble\.[jt]s/],
  ['throw', 'uncaught TypeError: that is no cheese', /trouble\.[jt]s/],
  ['throw a string', 'uncaught just a string'],
  ['throw something strange', 'uncaught [object Object]'],
  ['reject', 'uncaught Error: later', /trouble\.[jt]s/],
  ['detached rejection', 'uncaught Error: nobody listens', /trouble\.[jt]s/],
  ['throw in a timer', 'uncaught RangeError: tick', /trouble\.[jt]s/],
  ['exit', 'its thread has ended (exit code 3)'],
  ['return a function', /uncaught DataCloneError: .* could not be cloned/],
  ['halt with a wrong code', /uncaught RangeError: exitCode must be a non-negative integer, got -1/],
  ['halt with a large code', /uncaught AllocError: exitCode must be 0 … 255, got 256/],
  ['kalloc of half a byte', /uncaught RangeError: size must be a non-negative integer, got 100.5/],
  ['kalloc of no number', /uncaught RangeError: size must be a non-negative integer, got NaN/],
  ['kalloc in words', /uncaught TypeError: size must be a number, got "100" \(string\)/],
  ['panic that is caught', 'caught'],
];

const BY_KIND = Object.fromEntries(CAUSES.map((cause) => [cause[0], cause]));

for (const [, [kind, message, frame]] of someOf('causes of a panic', BY_KIND, 6)) {
  test.serial(
    `a panic by "${kind}" carries its CPU and stops a CPU at a barrier, one in an endless loop and one asleep`,
    async (t) => {
      const { machine, lines, panic } = await intoTrouble(t, kind);
      t.is(panic.cpu, 3);
      if (typeof message === 'string') t.is(panic.message, message);
      else t.regex(panic.message, message);
      t.true(panic.stack!.startsWith(`KernelPanic: cpu 3: ${panic.message}`), panic.stack);
      if (frame) t.regex(panic.stack!, frame);
      t.deepEqual(lines, [[], [], [], [`panic: cpu 3: ${panic.message}`]]);
      await machine.halt();
      t.is(machine.state, 'panicked');
    },
  );
}

test.serial('a later run is refused and says why', async (t) => {
  const { machine, panic } = await intoTrouble(t, 'panic', 1);
  const error = await t.throwsAsync<KernelError>(() => machine.run(program('who-am-i')), {
    message: 'the machine has panicked (cpu 0: out of cheese)',
  });
  t.is(error.code, 'Panicked');
  t.is(error.cause, panic);
});

test.serial('what was printed before a panic comes first, the begun line included', async (t) => {
  const { lines } = await intoTrouble(t, 'panic after printing', 1);
  t.deepEqual(lines[0], [
    ...Array.from({ length: 100 }, (_, i) => `line ${i}`),
    'begun',
    'panic: cpu 0: now',
  ]);
});

test.serial('when all CPUs panic at once the first is told, once', async (t) => {
  const { lines, panic } = await intoTrouble(t, 'everyone panics');
  t.is(panic.message, `cpu ${panic.cpu} is first`);
  t.deepEqual(lines.flat(), [`panic: cpu ${panic.cpu}: cpu ${panic.cpu} is first`]);
});

test.serial('a message of several lines is printed in several lines', async (t) => {
  const { lines } = await intoTrouble(t, 'panic with two lines', 1);
  t.deepEqual(lines[0], ['panic: cpu 0: first', 'second']);
});

test.serial('a message that is too long is cut between two characters', async (t) => {
  const { panic } = await intoTrouble(t, 'panic with a long message', 1);
  t.is(panic.message, '€'.repeat(682));
});

test.serial('a barrier that a CPU can never reach panics instead of waiting for ever', async (t) => {
  const { panic } = await intoTrouble(t, 'return early', 2);
  t.is(panic.cpu, 0);
  t.is(panic.message, 'cpuBarrier() waits for a CPU whose program has ended');
});

test.serial('a panic while the program is loaded is a panic', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2 });
  const panic = await t.throwsAsync<KernelPanic>(() => machine.run(program('panics-on-load')), {
    instanceOf: KernelPanic,
  });
  t.is(panic.message, 'while loading');
});

test.serial('a thread that dies between two runs is a panic too', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2 });
  const url = `data:text/javascript,export default (cpu) => { if (cpu.id === 1) setTimeout(() => process.exit(), 5) }`;
  await machine.run(url);
  while (machine.state === 'running') await new Promise((resolve) => setTimeout(resolve, 2));
  t.is(machine.panic?.cpu, 1);
  await t.throwsAsync(() => machine.run(url), { message: /has panicked \(cpu 1: its thread has ended/ });
});

test.serial('who claims first stops the machine; a claim that death cut short is spoken for', (t) => {
  const board = Board.create(3, 256);
  declarePanic(board, 1, 'first', 'stack');
  declarePanic(board, 2, 'second', '');
  declareHalt(board, 0, 7);
  declareDeath(board, 1, 'dead');
  t.deepEqual(board.panicRecord(), { cpu: 1, message: 'first', stack: 'stack' });

  const silent = Board.create(2, 256);
  silent.claim(2);
  declareDeath(silent, 0, 'dead');
  t.true(silent.running);
  declareDeath(silent, 1, 'dead');
  t.deepEqual(silent.panicRecord(), { cpu: 1, message: 'dead', stack: '' });
});

test.serial('anything that can be thrown has a message', (t) => {
  const { message, stack } = describeError(new RangeError('far'));
  t.is(message, 'RangeError: far');
  t.regex(stack, /panic\.test/);
  for (const [thrown, text] of [
    ['text', 'text'],
    [undefined, 'undefined'],
    [{ stack: 7 }, '[object Object]'],
    [Object.create(null), '[object Object]'],
  ]) {
    t.is(describeError(thrown).message, text);
  }
  t.is(new KernelPanic(1, 'bare').stack, 'KernelPanic: cpu 1: bare');
});
