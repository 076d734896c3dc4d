import { cpuCount, cpuCurrent, type KernelError, kalloc, kfree, printf } from '@shmalloc/kernel';
import test from 'ava';
import { BUMP, bootForTest, program } from '../support/machines.js';
import type { BlocksArgument } from '../support/programs/blocks.js';

test('run returns what the program returned, by CPU, and hands on the argument', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 4 });
  const results = await machine.run(program('who-am-i').href, { hello: ['world'] });
  t.deepEqual(
    results,
    [0, 1, 2, 3].map((id) => ({
      id,
      count: 4,
      cpuCurrent: id,
      cpuCount: 4,
      bytes: 1 << 20,
      sameMemory: true,
      argument: { hello: ['world'] },
    })),
  );
});

test('kalloc aligns to the next power of two, up to a page, and any CPU may kfree', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 3, bytes: 16 << 20 });
  const sizes = [
    0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 129, 1000, 1024, 1025, 4095, 4096, 4097, 10_000,
    70_000,
  ];
  const table = new Uint32Array(new SharedArrayBuffer(4 * 3 * sizes.length));
  const argument: BlocksArgument = { sizes, table };
  t.deepEqual(await machine.run(program('blocks'), argument), [{ nulls: 0 }, { nulls: 0 }, { nulls: 0 }]);
  t.is(new Set(table).size, table.length);
  t.deepEqual(machine.allocator.stats(), { frees: table.length });
});

test('the program that checks alignment notices an allocator that forgets about it', async (t) => {
  const { machine } = await bootForTest(t, { allocator: { ...BUMP, exportName: 'Crooked' } });
  const argument: BlocksArgument = { sizes: [100], table: new Uint32Array(new SharedArrayBuffer(4)) };
  await t.throwsAsync(() => machine.run(program('blocks'), argument), {
    message: /kalloc\(100\) returned \d+, not aligned to 128/,
  });
});

test('kalloc returns 0 when there is no memory', async (t) => {
  const { machine } = await bootForTest(t, { bytes: 65536 });
  const table = new Uint32Array(new SharedArrayBuffer(16));
  const argument: BlocksArgument = { sizes: [2 ** 20, 64, 2 ** 32, 2 ** 40], table };
  t.deepEqual(await machine.run(program('blocks'), argument), [{ nulls: 3 }]);
});

test('a machine runs one program after another', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2 });
  for (let i = 0; i < 20; i++) {
    const results = await machine.run(program('who-am-i'), i);
    t.deepEqual(
      results.map((result) => (result as { argument: number }).argument),
      [i, i],
    );
  }
});

test('a second run during the first is refused, and the first is not disturbed', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2 });
  const first = machine.run(program('who-am-i'), 1);
  const error = await t.throwsAsync<KernelError>(() => machine.run(program('who-am-i'), 2), {
    message: /runs a program already/,
  });
  t.is(error.code, 'Busy');
  t.like(await first, [{ argument: 1 }, { argument: 1 }]);
  t.like(await machine.run(program('who-am-i'), 3), [{ argument: 3 }, { argument: 3 }]);
});

test('two machines at once do not know of each other', async (t) => {
  const [a, b] = await Promise.all([
    bootForTest(t, { cpus: 2 }),
    bootForTest(t, { cpus: 3, bytes: 2 << 20 }),
  ]);
  const results = await Promise.all([a, b].map(({ machine }) => machine.run(program('who-am-i'))));
  t.deepEqual(
    results.map((list) => list.map((result) => (result as { count: number; bytes: number }).bytes)),
    [
      [1 << 20, 1 << 20],
      [2 << 20, 2 << 20, 2 << 20],
    ],
  );
  await Promise.all([a, b].map(({ machine }) => machine.run(program('printer'), { count: 50 })));
  t.deepEqual(
    [...a.lines, ...b.lines].map(({ length }) => length),
    [50, 50, 50, 50, 50],
  );
  await a.machine.halt();
  t.is((await b.machine.run(program('who-am-i'))).length, 3);
});

test('nobody leaves a barrier before all have come, in thousands of rounds', async (t) => {
  const cpus = 3;
  const { machine } = await bootForTest(t, { cpus });
  for (let i = 0; i < 2; i++) {
    const progress = new Int32Array(new SharedArrayBuffer(4 * cpus));
    t.deepEqual(await machine.run(program('rounds'), { progress, count: 1500 }), [0, 0, 0]);
  }
});

test('a program that cannot be loaded is refused, and the machine goes on', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2 });
  for (const [name, message] of [
    ['no-such-file', /cannot load the program file:.*no-such-file\.js on cpu 0: .*Cannot find module/],
    ['no-default', /its default export must be a function, got undefined/],
    ['throws-on-load', /Error: I do not load/],
  ] as const) {
    const error = await t.throwsAsync<KernelError>(() => machine.run(program(name)), { message });
    t.is(error.code, 'BadProgram');
  }
  t.is((await machine.run(program('who-am-i'))).length, 2);
});

test('a program that is no absolute URL is refused', async (t) => {
  const { machine } = await bootForTest(t);
  for (const wrong of ['./program.js', '', 7, undefined]) {
    await t.throwsAsync(() => machine.run(wrong as string), {
      instanceOf: TypeError,
      message: /program must be an absolute URL/,
    });
  }
});

test('an argument that cannot be cloned is refused, and the machine goes on', async (t) => {
  const { machine } = await bootForTest(t, { cpus: 2 });
  // A DOMException is no Error in ava's eyes.
  await t.throwsAsync(() => machine.run(program('who-am-i'), () => 0), { any: true, name: 'DataCloneError' });
  t.is((await machine.run(program('who-am-i'))).length, 2);
});

test('the functions for programs say so on a thread that is no CPU', (t) => {
  for (const call of [
    () => cpuCurrent(),
    () => cpuCount(),
    () => kalloc(1),
    () => kfree(0),
    () => printf(''),
  ]) {
    const error = t.throws<KernelError>(call, { message: /works in a program that a machine runs/ });
    t.is(error.code, 'NotOnCpu');
  }
});
