import { type HeapAlgorithm, LOCK_KINDS } from '@shmalloc/allocator-api';
import { BasicBest, BasicFirst, BasicWorst } from '@shmalloc/basic';
import { Buddy } from '@shmalloc/buddy';
import {
  ALLOCATORS,
  type AllocatorModule,
  type AllocatorName,
  attachAllocator,
  type BootOptions,
  boot,
  createAllocator,
  type KernelError,
} from '@shmalloc/kernel';
import { MiMalloc } from '@shmalloc/mimalloc';
import { Slab } from '@shmalloc/slab';
import { Tlsf } from '@shmalloc/tlsf';
import test from 'ava';
import { BUMP, bootForTest, program } from '../support/machines.js';
import type { BlocksArgument } from '../support/programs/blocks.js';

// Checked by the compiler: the algorithm packages offer what the kernel needs.
const CLASSES: readonly HeapAlgorithm[] = [MiMalloc, Slab, BasicFirst, BasicBest, BasicWorst, Tlsf, Buddy];

for (const name of Object.keys(ALLOCATORS) as AllocatorName[]) {
  for (const lock of ALLOCATORS[name].locks) {
    test(`${name} with lock ${lock} serves two CPUs: kalloc, kfree of the other's blocks, and all memory is back`, async (t) => {
      const { machine } = await bootForTest(t, { cpus: 2, bytes: 4 << 20, allocator: name, lock });
      const { allocator } = machine;
      const sizes = Array.from({ length: 300 }, (_, i) => (i * 37) % 5000);
      const table = new Uint32Array(new SharedArrayBuffer(4 * 2 * sizes.length));
      const before = (allocator.stats() as { usedBytes: number }).usedBytes;
      const argument: BlocksArgument = { sizes, table };
      t.deepEqual(await machine.run(program('blocks'), argument), [{ nulls: 0 }, { nulls: 0 }]);
      allocator.validate({ quiet: true });
      allocator.collect?.(true);
      t.is((allocator.stats() as { usedBytes: number }).usedBytes, before);
    });
  }
}

test('every class that the registry names is the one that its package exports', async (t) => {
  for (const [name, { load, exportName, locks }] of Object.entries(ALLOCATORS)) {
    const algorithm = ((await load()) as Record<string, HeapAlgorithm>)[exportName];
    t.true(CLASSES.includes(algorithm), name);
    t.is(algorithm.algorithm, name);
    t.true(locks.length > 0 && locks.every((lock) => LOCK_KINDS.includes(lock)), name);
  }
});

test('an allocator of your own boots by the URL of its module, with its options', async (t) => {
  const allocator = await createAllocator({ ...BUMP, options: { greeting: 'hello' } }, { lock: 'mutex' });
  t.like(allocator, { options: { lock: 'mutex', greeting: 'hello' } });
  const attached = await attachAllocator(BUMP, allocator.share());
  t.is(attached.memory.source, allocator.memory.source);
});

test('the lock defaults to spin; with one CPU there is none, as something else guards the heap', async (t) => {
  t.like((await bootForTest(t, { cpus: 2 })).machine.allocator, { options: { lock: 'spin' } });
  t.like((await bootForTest(t)).machine.allocator, { options: { lock: 'outside' } });
  t.like((await bootForTest(t, { lock: 'none' })).machine.allocator, { options: { lock: 'outside' } });
  t.like((await bootForTest(t, { lock: 'mutex' })).machine.allocator, { options: { lock: 'mutex' } });
});

test('an allocator may name the locks that make it safe: the first is the default, and none needs none', async (t) => {
  for (const [locks, lock] of [
    [['mutex', 'spin'], 'mutex'],
    [['none'], 'none'],
    [[], 'none'],
  ] as const) {
    const { machine } = await bootForTest(t, { cpus: 2, allocator: { ...BUMP, locks } });
    t.like(machine.allocator, { options: { lock } });
    await machine.halt();
  }
});

for (const name of Object.keys(ALLOCATORS) as AllocatorName[]) {
  test(`${name} knows its footprint: it grows with what is touched, and never shrinks`, async (t) => {
    const allocator = await createAllocator(name, { bytes: 1 << 20 });
    const empty = allocator.footprintBytes();
    t.true(empty > 0 && empty < 65536, String(empty));
    const block = allocator.malloc(100_000);
    const full = allocator.footprintBytes();
    t.true(full >= empty + 100_000 && full <= 1 << 20, String(full));
    allocator.free(block);
    t.is(allocator.footprintBytes(), full);
  });
}

test('the physical memory is one region [heap.start, heap.end), also inside memory that exists', async (t) => {
  const memory = new SharedArrayBuffer(1 << 20);
  const { machine } = await bootForTest(t, { bytes: undefined, memory, start: 65536, end: 131072 });
  t.deepEqual(machine.heap, { start: 65536, end: 131072 });
  t.is(machine.memory.buffer, memory);
  t.is(machine.cpus, 1);
  t.is(machine.state, 'running');
  const [who] = await machine.run(program('who-am-i'));
  t.like(who, { bytes: 1 << 20 });
});

test('without options there is one CPU with TLSF on 16 MiB', async (t) => {
  const machine = await boot();
  t.teardown(() => machine.halt());
  t.like(machine.allocator.stats(), { algorithm: 'tlsf', lock: 'outside' });
  t.is(machine.memory.byteLength, 16 << 20);
});

const WRONG: readonly [name: string, options: unknown, error: { name: string; message: RegExp }][] = [
  ['no CPU', { cpus: 0 }, { name: 'AllocError', message: /cpus must be 1 … 64, got 0/ }],
  ['65 CPUs', { cpus: 65 }, { name: 'AllocError', message: /cpus .* got 65/ }],
  ['half a CPU', { cpus: 0.5 }, { name: 'RangeError', message: /cpus .* got 0.5/ }],
  ['CPUs in words', { cpus: 'two' }, { name: 'TypeError', message: /cpus must be a number, got "two"/ }],
  ['negative bytes', { bytes: -1 }, { name: 'RangeError', message: /bytes .* got -1/ }],
  ['too many bytes', { bytes: 2 ** 40, allocator: 'tlsf' }, { name: 'AllocError', message: /1099511627776/ }],
  [
    'an unknown allocator',
    { allocator: 'jemalloc' },
    {
      name: 'AllocError',
      message:
        /allocator must be one of mimalloc, slab, basic-first, basic-best, basic-worst, tlsf, buddy; got "jemalloc"/,
    },
  ],
  [
    'a number for an allocator',
    { allocator: 7 },
    { name: 'TypeError', message: /allocator must be a string, got 7/ },
  ],
  ['no allocator', { allocator: null }, { name: 'TypeError', message: /allocator/ }],
  [
    'a module without a name',
    { allocator: { module: 'x:y' } },
    { name: 'TypeError', message: /allocator must be a name or/ },
  ],
  [
    'an export that is no class',
    { allocator: { ...BUMP, exportName: 'notAClass' } },
    { name: 'AllocError', message: /exports no algorithm notAClass/ },
  ],
  [
    'an unknown lock',
    { lock: 'big' },
    {
      name: 'AllocError',
      message: /lock must be one of none, spin, mutex, outside; got "big"/,
    },
  ],
  [
    'a console of 100 bytes',
    { consoleBytes: 100 },
    { name: 'AllocError', message: /consoleBytes .* got 100/ },
  ],
  [
    'a wrong onPrint',
    { onPrint: 'me' },
    { name: 'TypeError', message: /onPrint must be a function, got string/ },
  ],
  ['a wrong wait', { consoleWaitMs: -5 }, { name: 'RangeError', message: /consoleWaitMs .* got -5/ }],
  ['a wrong grace', { graceMs: Number.NaN }, { name: 'RangeError', message: /graceMs .* got NaN/ }],
  ['a grace without end', { graceMs: 2 ** 31 }, { name: 'AllocError', message: /graceMs .* got 2147483648/ }],
  ['options that are none', null, { name: 'TypeError', message: /boot options must be an object, got null/ }],
];

for (const [name, options, error] of WRONG) {
  test(`boot refuses ${name}, naming it`, async (t) => {
    await t.throwsAsync(() => boot(options as BootOptions), error);
  });
}

test('boot refuses an allocator that a CPU cannot attach, and leaves nothing running', async (t) => {
  const allocator: AllocatorModule = { ...BUMP, exportName: 'Stubborn' };
  const error = await t.throwsAsync<KernelError>(() => boot({ cpus: 2, allocator }), {
    message: /cannot boot on cpu 0: Error: I do not attach/,
  });
  t.is(error.code, 'BootFailed');
});
