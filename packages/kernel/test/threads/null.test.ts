/**
 * A write through NULL stops the machine, with its address, what was found and which CPU noticed: on the bare
 * and on the paged kernel, with real CPUs.
 */

import { someOf } from '@shmalloc/alloc-test';
import { type BootOptions, type KernelError, KernelPanic, PhysicalMemory } from '@shmalloc/kernel';
import test from 'ava';
import { BUMP, bootForTest, program } from '../support/machines.js';

const PATTERN = 0x4c4c554e;

const MACHINES: Record<string, BootOptions> = {
  bare: { allocator: 'tlsf' },
  'bare, one CPU': { allocator: 'tlsf', cpus: 1 },
  'bare, mimalloc': { allocator: 'mimalloc', bytes: 16 << 20 },
  paged: { allocator: 'tlsf', paged: true },
  'paged, mimalloc': { allocator: 'mimalloc', paged: true, bytes: 16 << 20 },
};

/**
 * What the writer does next. The first look that finds the write stops the machine: the writer's own, another
 * CPU's, or the timer's.
 */
const NEXT: readonly string[] = [
  'spins in plain code',
  'goes on allocating',
  'prints',
  'comes to the barrier',
  'asks for too much',
  // The allocator itself notices, before it says no.
  'asks for more than there is',
  'is at its end',
  'throws',
  'halts',
];

for (const [name, options] of someOf('machines', MACHINES, 3)) {
  // What a program does next is the kernel's affair, and not the allocator's: all of it on two machines, and
  // what each noticer finds on the others.
  const all = name === 'bare' || name === 'paged';
  for (const next of all ? NEXT : ['spins in plain code', 'asks for more than there is', 'is at its end']) {
    test.serial(
      `${name}: a program writes at NULL and ${next}: the machine panics and says so`,
      async (t) => {
        const { machine, lines } = await bootForTest(t, { cpus: 2, graceMs: 50, ...options });
        const panic = await t.throwsAsync<KernelPanic>(
          () => machine.run(program('null-writer'), { next, at: 8 }),
          { instanceOf: KernelPanic },
        );
        t.regex(
          panic.message,
          /^a write through NULL, which (cpu \d|the timer) noticed: .*address 8 .*0xabababab/,
        );
        // A CPU that is alone, in plain code, looks at nothing.
        if (options.cpus === 1 && next === 'spins in plain code') t.is(panic.cpu, -1);
        const said = /which (.*?) noticed/.exec(panic.message)?.[1];
        t.is(said, panic.cpu < 0 ? 'the timer' : `cpu ${panic.cpu}`);
        t.true(
          lines
            .flat()
            .some((line) =>
              line.startsWith(`panic: ${panic.cpu < 0 ? 'timer' : said}: a write through NULL`),
            ),
        );
        t.is(machine.state, 'panicked');
        await machine.halt();
      },
    );
  }
}

test.serial(
  'on a paged machine vmalloc notices, too; the last words of the zone count as the first',
  async (t) => {
    const { machine } = await bootForTest(t, { cpus: 2, graceMs: 50, allocator: 'tlsf', paged: true });
    const panic = await t.throwsAsync<KernelPanic>(() =>
      machine.run(program('null-writer'), { next: 'asks for pages', at: 1020 }),
    );
    t.regex(String(panic?.message), /address 1020 /);
  },
);

test.serial(
  'a write while no program runs is noticed, and the next call says what the machine died of',
  async (t) => {
    for (const paged of [false, true]) {
      const { machine } = await bootForTest(t, { cpus: 2, allocator: 'tlsf', paged });
      machine.memory.i32[3] = 0;
      const error = await t.throwsAsync<KernelError>(() => machine.run(program('who-am-i')));
      t.is(error?.code, 'Panicked');
      t.regex(String(error?.message), /timer: a write through NULL.*address 12 /);
      t.is(machine.panic?.cpu, -1);
    }
  },
);

test.serial(
  'a machine that writes nothing there runs as ever, and its zone holds the pattern alone',
  async (t) => {
    for (const options of Object.values(MACHINES)) {
      const { machine } = await bootForTest(t, { cpus: 2, ...options });
      const sizes = [1, 8, 100, 4096, 30_000, 2 ** 30];
      const table = new Uint32Array(new SharedArrayBuffer(4 * machine.cpus * sizes.length));
      for (let run = 0; run < 5; run++) await machine.run(program('blocks'), { sizes, table });
      t.is(machine.state, 'running');
      t.true(machine.memory.i32.subarray(0, 256).every((word) => word === PATTERN));
    }
  },
);

test.serial(
  'memory that does not begin at address 0, and an allocator that lays no pattern, have no such zone',
  async (t) => {
    const memory = new SharedArrayBuffer(4 << 20);
    for (const options of [
      { allocator: 'tlsf', bytes: undefined, memory, start: 1 << 20 },
      { allocator: 'tlsf', bytes: undefined, memory, start: 1 << 20, paged: true },
      { allocator: BUMP, bytes: 1 << 20 },
    ] as const) {
      const { machine } = await bootForTest(t, { cpus: 2, ...options } as BootOptions);
      new Int32Array(memory)[0] = 5;
      const ids = await machine.run(program('who-am-i'));
      t.is(ids.length, 2);
      await machine.halt();
      t.is(machine.state, 'halted');
    }
  },
);

test('physical memory: page 0 is never handed out, a view at NULL is refused, and a write there is told', (t) => {
  const memory = PhysicalMemory.create({ bytes: 1 << 20 });
  const { i32, u8 } = memory.memory;
  for (let page = memory.vmalloc(0, 4096); page !== 0; page = memory.vmalloc(0, 4096)) {
    t.true(page >= 4096);
    t.true(memory.touch(page, 4096));
    u8.fill(0xff, page, page + 4096);
  }
  t.is(memory.vmalloc(0, 4096), 0);
  t.true(i32.subarray(0, 256).every((word) => word === PATTERN));
  t.throws(() => memory.memory.view('u8', 0, 16), { instanceOf: RangeError, message: /NULL/ });
  memory.validate({ quiet: true });
  i32[2] = 7;
  t.throws(() => memory.validate(), { message: /address 8 .*write through NULL/ });
  t.regex(String(memory.takeNullWrite()?.message), /address 8 /);
  t.is(memory.takeNullWrite(), null);
  memory.validate({ quiet: true });
});
