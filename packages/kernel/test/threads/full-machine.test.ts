import { nextPowerOfTwo } from '@shmalloc/allocator-api';
import {
  ALLOCATORS,
  type AllocatorName,
  type BootOptions,
  boot,
  KALLOC_MAX_BYTES,
  type KernelError,
  KernelPanic,
  type Machine,
} from '@shmalloc/kernel';
import test, { type ExecutionContext } from 'ava';
import { BUMP, bootForTest, program } from '../support/machines.js';
import type { BlocksArgument } from '../support/programs/blocks.js';
import type { Calls } from '../support/programs/pages.js';

const NAMES = Object.keys(ALLOCATORS) as AllocatorName[];
const PAGE = 4096;

async function bootPaged(t: ExecutionContext, options: BootOptions = {}): Promise<Machine> {
  const defaults = { cpus: 2, bytes: 32 << 20, allocator: 'tlsf', paged: true } as const;
  return (await bootForTest(t, { ...defaults, ...options })).machine;
}

/** Runs calls on one CPU. */
async function on(machine: Machine, cpu: number, calls: Calls): Promise<unknown[]> {
  return (await machine.run(program('pages'), { on: cpu, calls }))[cpu] as unknown[];
}

/** Pages that are in use once everybody has let go of what is not needed. */
async function quietPages(machine: Machine): Promise<number> {
  await machine.settle();
  machine.allocator.collect?.(true);
  return machine.physical.usedPages();
}

for (const name of NAMES) {
  test(`${name} over pages serves two CPUs: kalloc, kfree of the other's blocks, and a swap brings all pages back`, async (t) => {
    const machine = await bootPaged(t, { allocator: name, paged: { swap: true } });
    const before = await quietPages(machine);
    const sizes = Array.from({ length: 300 }, (_, i) => (i * 37) % 5000);
    const table = new Uint32Array(new SharedArrayBuffer(4 * 2 * sizes.length));
    const argument: BlocksArgument = { sizes, table };
    t.deepEqual(await machine.run(program('blocks'), argument), [{ nulls: 0 }, { nulls: 0 }]);
    machine.allocator.validate({ quiet: true });
    t.true(machine.physical.heapPages > 0);
    machine.swap(name);
    t.is(await quietPages(machine), before);
    machine.allocator.validate({ quiet: true });
  });
}

test('kalloc aligns up to a page, answers 0 when it cannot, and refuses more than 16 MiB', async (t) => {
  const machine = await bootPaged(t, { bytes: 64 << 20, allocator: 'mimalloc' });
  const sizes = [0, 1, 8, 9, 100, 4096, 70_000, KALLOC_MAX_BYTES, KALLOC_MAX_BYTES + 1, 2 ** 30, 2 ** 40];
  const given = (await on(
    machine,
    1,
    sizes.map((size) => ['kalloc', size] as const),
  )) as number[];
  sizes.forEach((size, index) => {
    const align = Math.min(PAGE, nextPowerOfTwo(Math.max(1, size)));
    t.is(given[index] === 0, size > KALLOC_MAX_BYTES, `${size} bytes`);
    t.is(given[index] % align, 0);
  });
  const freed = await on(
    machine,
    0,
    given.map((address) => ['kfree', address] as const),
  );
  t.deepEqual(
    freed,
    given.map(() => undefined),
  );
  t.regex(
    String((await on(machine, 0, [['kalloc', 2 ** 24 + 0.5]]))[0]),
    /size must be a non-negative integer/,
  );
});

test('programs reserve, touch, advise and free pages; any CPU may', async (t) => {
  const machine = await bootPaged(t, { paged: { frames: 2 } });
  const before = machine.physical.usedPages();
  const [at, ...rest] = await on(machine, 0, [
    ['vmalloc', 0, 4 * PAGE],
    ['touch', '$', 2 * PAGE],
    ['touch', '$', 3 * PAGE],
    ['madvise', '$', PAGE, 'FREE'],
    ['touch', '$', 3 * PAGE],
    ['vmalloc', 0, 100],
    ['vmalloc', '$', PAGE],
    ['kalloc', 100],
  ]);
  t.deepEqual(rest.slice(0, 4), [true, false, 1, false]);
  t.regex(
    String(rest[4]),
    /vmalloc: address and length must be multiples of 4096, and length not 0, got 0 and 100/,
  );
  t.is(rest[5], 0);
  t.like(machine.physical.stats().vm, { reserved: 4, frames: 2, resident: 2 });
  const [, again] = await on(machine, 1, [
    ['vmfree', at as number, 4 * PAGE],
    ['vmfree', at as number, 4 * PAGE],
    ['kfree', rest[6] as number],
  ]);
  t.regex(String(again), /vmfree: the page at \d+ is not reserved/);
  t.is((await quietPages(machine)) - machine.physical.heapPages, before - machine.physical.heapPages);
  machine.allocator.validate({ quiet: true });
});

test('a machine without pages says so', async (t) => {
  const { machine } = await bootForTest(t);
  const messages = await on(machine, 0, [
    ['vmalloc', 0, PAGE],
    ['vmfree', PAGE, PAGE],
    ['madvise', PAGE, PAGE, 'FREE'],
    ['touch', PAGE, 1],
    ['swap', 'tlsf'],
  ]);
  for (const message of messages)
    t.regex(String(message), /\(\) needs a machine with pages: boot\({ paged: true/);
  for (const call of [() => machine.physical, () => machine.swap('tlsf')])
    t.is(t.throws<KernelError>(call)?.code, 'NotPaged');
  for (const call of [() => machine.settle(), () => machine.report()])
    t.is((await t.throwsAsync<KernelError>(call))?.code, 'NotPaged');
});

test('what was not loaded at boot cannot be swapped in, and the one at work goes on', async (t) => {
  const machine = await bootPaged(t, { paged: { swap: ['buddy'] } });
  t.throws(() => machine.swap('mimalloc'), { code: 'InvalidParam', message: /mimalloc/ });
  t.regex(String((await on(machine, 1, [['swap', 'mimalloc']]))[0]), /mimalloc/);
  t.is((await machine.report()).allocator, 'tlsf');
  machine.swap('buddy');
  t.is((await machine.report()).allocator, 'buddy');
  await on(machine, 1, [['swap', 'tlsf']]);
  t.is((await machine.report()).allocator, 'tlsf');
});

for (const allocator of NAMES) {
  test(`a block of ${allocator} that is freed twice panics, and the message names it`, async (t) => {
    const machine = await bootPaged(t, { allocator, debug: true });
    const calls: Calls = [
      ['kalloc', 100],
      ['kfree', '$'],
      ['kfree', '$'],
    ];
    const error = await t.throwsAsync<KernelPanic>(() => on(machine, 1, calls), { instanceOf: KernelPanic });
    t.is(error?.cpu, 1);
    t.regex(String(error?.message), /free\(\d+\)/);
  });
}

test('an address that never was a block panics, and so does one outside of all heaps', async (t) => {
  for (const address of [12345 * 16, 4096, 2 ** 31]) {
    const machine = await bootPaged(t);
    const error = await t.throwsAsync<KernelPanic>(() => on(machine, 0, [['kfree', address]]), {
      instanceOf: KernelPanic,
    });
    t.regex(String(error?.message), new RegExp(`free\\(${address}\\)`));
    await machine.halt();
  }
});

test('a machine that has stopped swaps nothing, and has no report', async (t) => {
  const machine = await bootPaged(t);
  await machine.halt();
  t.is(t.throws<KernelError>(() => machine.swap('tlsf'))?.code, 'Halted');
  t.is((await t.throwsAsync<KernelError>(() => machine.report()))?.code, 'Halted');
});

test('the report tells of every CPU what it did, and what cannot be told is not 0', async (t) => {
  const machine = await bootPaged(t, { allocator: 'tlsf', paged: { swap: ['mimalloc'] } });
  await on(machine, 0, [
    ['kalloc', 100],
    ['kfree', '$'],
    ['kalloc', 100_000],
  ]);
  const { cpus, main, memory } = await machine.report();
  t.deepEqual(
    cpus.map(({ operations }) => operations),
    [3, 0],
  );
  t.like(cpus[0], { lockWaits: { value: 0, whole: true }, pagesHeld: null, remoteFrees: null });
  t.true(cpus[0].slowCalls > 0 && cpus[0].slowSeconds > 0);
  t.true(main.slowCalls > 0, 'it has made the heap');
  t.true(memory.heapPages >= 25 && memory.usedPages === memory.heapPages);
});

test('a machine of one’s own allocator has pages as well, and one that cannot grow is refused', async (t) => {
  const allocator = { module: import.meta.resolve('@shmalloc/tlsf'), exportName: 'Tlsf' };
  const machine = await bootPaged(t, { allocator, paged: { swap: ['mimalloc'] } });
  t.is((await machine.report()).allocator, 'Tlsf');
  machine.swap('mimalloc');
  machine.swap('Tlsf');
  await t.throwsAsync(() => bootPaged(t, { allocator: BUMP }), {
    message: /cannot grow: it has no addMemory/,
  });
});

for (const [name, options, error] of [
  ['paged that is no object', { paged: 7 }, /paged must be true, false or an object, got 7/],
  [
    'an unknown allocator to swap in',
    { paged: { swap: ['jemalloc'] } },
    /paged.swap must be one of .*"jemalloc"/,
  ],
  [
    'swap that is no list',
    { paged: { swap: 'tlsf' } },
    /paged.swap must be true, false or a list of names, got tlsf/,
  ],
  ['half a frame', { paged: { frames: 0.5 } }, /paged.frames .* got 0.5/],
  ['memory that is to grow', { paged: true, bytes: 1 << 20, maxBytes: 2 << 20 }, /does not grow/],
  [
    'memory without room for pages',
    { paged: true, memory: new SharedArrayBuffer(8192) },
    /too small for a memory of pages/,
  ],
] as const) {
  test(`boot refuses ${name}`, async (t) => {
    await t.throwsAsync(() => boot(options as unknown as BootOptions), { message: error });
  });
}
