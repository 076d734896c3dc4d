/**
 * Damage to the allocator's own state: whatever stands there, every call comes back, with an answer or with
 * an AllocError. The byte heap of this test is robust itself, so that what is tested is the state alone: it
 * is bounded by construction, and refuses what it has not handed out.
 */

import {
  AllocError,
  type Handle,
  type Heap,
  type HeapAlgorithm,
  type MemorySource,
  SharedMemory,
} from '@shmalloc/allocator-api';
import { AxAlloc } from '@shmalloc/axalloc';
import { BitmapPages } from '@shmalloc/bitmap';
import test from 'ava';
import { randomOf, seedOf } from '../support/tools.js';

const BYTES = 1 << 20;
const MAGIC = 0x53414645;

/** The parts of a heap that its threads share in this test: all of them are in one thread. */
interface Shared {
  readonly ranges: [start: number, end: number][];
  readonly live: Map<number, number>;
}

/** Blocks are handed out upwards, and known in a table of JavaScript's. */
function safe(name: string): HeapAlgorithm {
  const heaps = new Map<number, Shared>();
  const over = (memory: SharedMemory, start: number, shared: Shared): Heap => {
    const wrong = (what: string, address: number): AllocError =>
      new AllocError('NotAllocated', `${what}(${address}): no such block is handed out`);
    const alignedAlloc = (align: number, size: number): number => {
      for (const range of shared.ranges) {
        const at = Math.ceil(range[0] / align) * align;
        if (at + Math.max(size, 8) > range[1]) continue;
        range[0] = at + Math.max(size, 8);
        shared.live.set(at, Math.max(size, 8));
        return at;
      }
      return 0;
    };
    // What a two-level allocator asks of a heap, and no more.
    const heap = {
      memory,
      threadId: 0,
      share: () => ({ algorithm: name, memory: memory.source, start }),
      detach: () => {},
      validate: () => {},
      stats: () => ({}),
      registerError: () => {},
      collect: () => {},
      reap: () => {},
      footprintBytes: () => 0,
      visitBlocks: () => {},
      addMemory: (from: number, size: number) => void shared.ranges.push([from, from + size]),
      totalBytes: () => shared.ranges.length * 4096,
      usedBytes: () => [...shared.live.values()].reduce((sum, size) => sum + size, 0),
      availableBytes: () => 0,
      malloc: (size: number) => alignedAlloc(16, size),
      calloc: (count: number, size: number) => alignedAlloc(16, count * size),
      alignedAlloc,
      tryRealloc: (address: number, size: number) =>
        shared.live.has(address) ? alignedAlloc(16, size) : wrong('realloc', address),
      tryFree: (address: number) => (shared.live.delete(address) ? null : wrong('free', address)),
      tryUsableSize: (address: number) => shared.live.get(address) ?? wrong('usableSize', address),
    } as unknown as Heap;
    return heap;
  };
  return {
    algorithm: name,
    create: (options) => {
      const { memory, start, end } = options as { memory: MemorySource; start: number; end: number };
      const shared = SharedMemory.from(memory);
      shared.i32[start / 4] = MAGIC;
      heaps.set(start, { ranges: [[start + 16, end]], live: new Map() });
      return over(shared, start, heaps.get(start) as Shared);
    },
    attach: ({ memory, start }: Handle) => {
      const shared = heaps.get(start);
      if (shared === undefined) throw new AllocError('InvalidParam', `no heap lies at ${start}`);
      return over(SharedMemory.from(memory), start, shared);
    },
  };
}

const ADVERSARIAL = [
  0, 1, -1, 2, 3, 4, 7, 8, 10, 11, 64, 127, 128, 255, 256, 259, 0x7fffffff, -0x80000000, 515,
];

type Call = readonly [
  name: string,
  call: (on: AxAlloc, random: (n: number) => number, block: number) => unknown,
];

const CALLS: readonly Call[] = [
  ['malloc', (on, random) => on.malloc(random(5000))],
  ['malloc of much', (on, random) => on.malloc(random(200_000))],
  ['calloc', (on, random) => on.calloc(3, random(500))],
  ['alignedAlloc', (on, random) => on.alignedAlloc(2 ** random(13), random(500))],
  ['realloc', (on, random, block) => on.realloc(block, random(9000))],
  ['free', (on, _random, block) => on.free(block)],
  ['free of anything', (on, random) => on.free(random(BYTES) & ~7)],
  ['usableSize', (on, _random, block) => on.usableSize(block)],
  ['alloc', (on, random) => on.alloc(random(5000), 8)],
  ['dealloc', (on, _random, block) => on.dealloc(block, 8, 8)],
  ['allocPages', (on) => on.allocPages(2, 4096)],
  ['deallocPages', (on, random) => on.deallocPages(random(256) * 4096, 1)],
  ['swap', (on, random) => on.swap(['safe', 'sound'][random(2)])],
  ['settle', (on) => on.settle()],
  ['collect', (on) => on.collect(true)],
  ['name', (on) => on.name],
  ['stats', (on) => on.stats()],
  ['liveBlocks', (on) => on.liveBlocks()],
  ['totalBytes', (on) => on.totalBytes() + on.usedBytes() + on.availableBytes() + on.footprintBytes()],
  ['validate', (on) => on.validate()],
  ['validate, quiet', (on) => on.validate({ quiet: true })],
  ['reap', (on, random) => on.reap(1 + random(6))],
];

test('with random and adversarial words in the state every call comes back', (t) => {
  const random = randomOf(seedOf(t));
  let reported = 0;
  for (let life = 0; life < 120; life++) {
    const algorithms = [safe('safe'), safe('sound')];
    const pages = BitmapPages.create({ bytes: BYTES });
    const allocator = AxAlloc.create({ pages, algorithms, threads: 4, maxGenerations: 6 });
    const attach = (): AxAlloc =>
      AxAlloc.attach(allocator.share(), { attachPages: (handle) => BitmapPages.attach(handle), algorithms });
    const each = [allocator, attach()];
    for (const on of each) on.registerError(() => reported++);
    const blocks = Array.from({ length: 40 }, (_, nth) => each[nth % 2].malloc(50 + nth));
    allocator.swap('sound');
    for (let nth = 0; nth < 20; nth++) blocks.push(each[nth % 2].malloc(100));
    const { i32, u8, header, places, map, mapPages } = allocator;
    const done: string[] = [];
    for (let times = 1 + random(4); times > 0; times--) {
      const value = random(4) === 0 ? random(2 ** 32) | 0 : ADVERSARIAL[random(ADVERSARIAL.length)];
      // The header, a thread's line, a generation's entry, or a byte of the map.
      const parts = [48, 48 + 4 * 16, places.mapBytes / 4];
      if (random(4) === 0) {
        const page = random(mapPages);
        u8[map + page] = value;
        done.push(`map[${page}] = ${value & 255}`);
      } else {
        const word = random(parts[random(3)]);
        i32[header + word] = value;
        done.push(`word ${word} = ${value}`);
      }
    }
    for (let turn = 0; turn < 30; turn++) {
      const [name, call] = CALLS[random(CALLS.length)];
      try {
        call(each[random(2)], random, blocks[random(blocks.length)]);
      } catch (error) {
        if (!(error instanceof AllocError))
          t.fail(`${done.join(', ')}: ${name} threw ${(error as Error).stack}`);
      }
    }
    // Another thread that comes now.
    try {
      attach().malloc(10);
    } catch (error) {
      if (!(error instanceof AllocError))
        t.fail(`${done.join(', ')}: attach threw ${(error as Error).stack}`);
    }
  }
  t.true(reported > 0);
});

/** An allocator of two generations of which the old one has a block. */
function two() {
  const pages = BitmapPages.create({ bytes: BYTES });
  const algorithms = [safe('safe'), safe('sound')];
  const allocator = AxAlloc.create({ pages, algorithms });
  const told: string[] = [];
  allocator.registerError(({ code, message }) => void told.push(`${code}: ${message}`));
  const block = allocator.malloc(100);
  allocator.swap('sound');
  return { allocator, algorithms, block, told };
}

test('a damaged word that says which generation is current: it is told, and blocks come from the one before', (t) => {
  for (const [value, said] of [
    [0, /slot 0/],
    [77, /slot 77/],
    [-1, /slot 127/],
    [(9 << 7) | 1, /its slot 1 says/],
  ] as const) {
    const { allocator, told } = two();
    allocator.memory.i32[allocator.header + 16] = value;
    t.not(allocator.malloc(100), 0);
    t.is(told.length, 1);
    t.regex(told[0], /^Corrupted: /);
    t.regex(told[0], said);
    t.throws(() => allocator.validate(), { instanceOf: AllocError, message: said });
  }
});

test('a damaged place of a heap is told where a block of it is freed, and nothing is touched there', (t) => {
  const { allocator, block, told } = two();
  allocator.memory.i32[allocator.entry(1) + 2] = 0x40000;
  allocator.heaps[1] = null; // as in a thread that has not attached yet
  allocator.free(block);
  t.is(told.length, 1);
  t.regex(told[0], /^Corrupted: .*slot 1 is said to lie at 262144/);
  t.is(allocator.usableSize(block), 0);
  t.is(told.length, 2);
});

test('a map that gives a heap pages which are not handed out: the heap goes all the same, and it is told', (t) => {
  const { allocator, block, told } = two();
  const before = allocator.usedPages();
  allocator.memory.u8.fill(1, allocator.map + 200, allocator.map + 203);
  allocator.free(block);
  t.is(told.length, 1);
  t.regex(told[0], /^Corrupted: .*slot 1 has 3 pages at 819200/);
  t.is(allocator.stats().generations.length, 1);
  t.is(allocator.usedPages(), before - 8);
  allocator.validate({ quiet: true });
});

test('a count of lines that cannot be: everything is looked at, and nothing else', (t) => {
  const { allocator, block, told } = two();
  for (const value of [-1, 0x7fffffff, 1000]) {
    allocator.memory.i32[allocator.header + 33] = value;
    t.is(allocator.liveBlocks(), 1);
    allocator.validate({ quiet: true });
  }
  allocator.free(block);
  t.is(allocator.stats().generations.length, 1);
  t.deepEqual(told, []);
});

test('attach refuses a header whose geometry cannot be', (t) => {
  const { allocator, algorithms } = two();
  const { i32, header } = allocator;
  const attach = (): void => {
    AxAlloc.attach(allocator.share(), {
      attachPages: (handle) => BitmapPages.attach(handle),
      algorithms,
    }).detach();
  };
  attach();
  for (const [word, what] of [
    [2, 'threads'],
    [3, 'generations'],
    [4, 'page size'],
    [5, 'first page'],
    [6, 'map'],
  ] as const) {
    const before = i32[header + word];
    for (const value of [-1, 0x7fffffff, word === 5 ? 200 : 0]) {
      i32[header + word] = value;
      const error = t.throws(attach, { instanceOf: AllocError, message: new RegExp(what) });
      t.is(error?.code, 'InvalidParam');
    }
    i32[header + word] = before;
  }
  attach();
});
