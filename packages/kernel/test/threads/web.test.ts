import { type KernelError, KernelPanic } from '@shmalloc/kernel';
import test from 'ava';
import { bootForTest, program } from '../support/machines.js';
import { pretendToBeABrowser } from '../support/web-worker.js';

const WebWorker = pretendToBeABrowser();

test.serial('a machine of Web Workers boots, runs, prints and halts', async (t) => {
  const { machine, lines } = await bootForTest(t, { cpus: 2, graceMs: 60_000 });
  t.like(await machine.run(program('who-am-i'), 'hello'), [
    { id: 0, count: 2, argument: 'hello' },
    { id: 1, count: 2, argument: 'hello' },
  ]);
  await machine.run(program('printer'), { count: 100 });
  t.deepEqual(
    lines.map(({ length }) => length),
    [100, 100],
  );
  await machine.halt();
  t.is(machine.state, 'halted');
});

test.serial('Web Workers in an endless loop are terminated', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2, graceMs: 20 });
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const run = t.throwsAsync<KernelError>(machine.run(program('trouble'), { kind: 'everyone spins', gate }));
  while (Atomics.load(gate, 0) < 2) await new Promise((resolve) => setTimeout(resolve, 2));
  await machine.halt();
  t.is((await run).code, 'Halted');
});

test.serial('an uncaught error in a Web Worker is a panic', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 1, graceMs: 20 });
  const panic = await t.throwsAsync<KernelPanic>(
    machine.run(program('trouble'), { kind: 'throw in a timer' }),
    {
      instanceOf: KernelPanic,
    },
  );
  t.is(panic.message, 'uncaught RangeError: tick');
});

test.serial('a Web Worker that closes itself is a panic', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2, graceMs: 20 });
  const panic = await t.throwsAsync<KernelPanic>(machine.run(program('trouble'), { kind: 'close' }));
  t.is(panic.message, 'its thread has ended (closed)');
});

const EVENTS: readonly [type: string, event: object, message: string][] = [
  ['close', {}, 'its thread has ended (closed)'],
  ['messageerror', {}, 'uncaught a message could not be read'],
  ['error', { error: null, message: 'Uncaught SyntaxError: what?' }, 'uncaught SyntaxError: what?'],
];

for (const [type, event, message] of EVENTS) {
  test.serial(`the event ${type} of a Web Worker is a panic`, async (t) => {
    const { machine } = await bootForTest(t, { cpus: 2, graceMs: 20 });
    const run = t.throwsAsync<KernelPanic>(machine.run(program('trouble'), { kind: 'everyone sleeps' }));
    WebWorker.all.at(-1)!.dispatch(type, event);
    const panic = await run;
    t.is(panic.cpu, 1);
    t.is(panic.message, message);
  });
}
