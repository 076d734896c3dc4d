import type { KernelError } from '@shmalloc/kernel';
import test from 'ava';
import { bootForTest, program } from '../support/machines.js';

test('halt ends CPUs that are in an endless loop, and their run', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2, graceMs: 50 });
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const run = machine.run(program('trouble'), { kind: 'everyone spins', gate });
  const refused = t.throwsAsync<KernelError>(run, { message: 'the machine has been halted' });
  while (Atomics.load(gate, 0) < 2) await new Promise((resolve) => setTimeout(resolve, 2));
  await machine.halt();
  t.is((await refused).code, 'Halted');
  t.is(machine.state, 'halted');
});

test('halt ends CPUs that wait', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2 });
  const run = t.throwsAsync(machine.run(program('trouble'), { kind: 'everyone sleeps' }));
  await machine.halt();
  t.like(await run, { code: 'Halted' });
});

test('halt may be called at any time and again', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2 });
  await Promise.all([machine.halt(), machine.halt()]);
  await machine.halt();
  await machine[Symbol.asyncDispose]();
  const error = await t.throwsAsync<KernelError>(() => machine.run(program('who-am-i')));
  t.is(error.code, 'Halted');
});

test('halt before the program is loaded rejects the run', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2 });
  const run = t.throwsAsync<KernelError>(machine.run(program('who-am-i')));
  await machine.halt();
  t.is((await run).code, 'Halted');
});

test('a timer that a program has left behind does not keep the machine', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2, graceMs: 60_000 });
  t.deepEqual(await machine.run(program('trouble'), { kind: 'timer left behind' }), ['done', undefined]);
  await machine.halt();
  t.is(machine.state, 'halted');
});

test('halt loses nothing that was printed', async (t) => {
  const { machine, lines } = await bootForTest(t, { cpus: 2, graceMs: 10_000 });
  const run = t.throwsAsync(machine.run(program('talker')));
  while (lines.some(({ length }) => length < 5)) await new Promise((resolve) => setTimeout(resolve, 2));
  await machine.halt();
  await run;
  for (const list of lines) {
    list.forEach((line, i) => {
      const expected = i % 2 === 0 ? String(i / 2) : /^begun( and ended)?$/;
      if (typeof expected === 'string') t.is(line, expected);
      else t.regex(line, expected);
    });
  }
});

test('a program halts the machine: run resolves with what was there', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2 });
  const results = await machine.run(program('trouble'), { kind: 'halt', exitCode: 0 });
  t.is(results.length, 2);
  t.is(results[1], undefined);
  t.is(machine.state, 'halted');
  t.is(machine.exitCode, 0);
});

test('a program halts the machine with an exit code: run rejects', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2 });
  const error = await t.throwsAsync<KernelError>(
    machine.run(program('trouble'), { kind: 'halt', exitCode: 3 }),
    { message: 'the machine has been halted with exit code 3' },
  );
  t.is(error.code, 'Halted');
  t.is(machine.exitCode, 3);
  await t.throwsAsync(() => machine.run(program('who-am-i')), { message: /exit code 3/ });
});

test('a program that halts while it is loaded never starts', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2 });
  const error = await t.throwsAsync<KernelError>(machine.run(`${program('panics-on-load')}?halt`));
  t.is(error.code, 'Halted');
});
