/** What programs see: names, figures, pages, wrong input, threads that come and go. */

import { AllocError, type AllocErrorCode, type HeapAlgorithm } from '@shmalloc/allocator-api';
import { AxAlloc, type AxAllocOptions } from '@shmalloc/axalloc';
import { BitmapPages } from '@shmalloc/bitmap';
import test, { type ExecutionContext } from 'ava';
import { ALGORITHMS, algorithmsWith, allocatorOver, attachTo, NAMES } from '../support/tools.js';

type Wrong = never;

function refused(t: ExecutionContext, code: AllocErrorCode, call: () => unknown, shown = ''): void {
  const error = t.throws(call, { instanceOf: AllocError });
  t.is(error?.code, code, error?.message);
  t.true(error?.message.includes(shown), `${error?.message} does not name ${shown}`);
}

test('create refuses wrong options by name, and keeps no page', (t) => {
  const pages = BitmapPages.create({ bytes: 1 << 20 });
  const used = pages.usedPages();
  const create = (options: object) => () =>
    AxAlloc.create({ pages, algorithms: ALGORITHMS, ...options } as AxAllocOptions);
  t.throws(create({ pages: undefined }), { instanceOf: TypeError, message: /Undefined/ });
  t.throws(create({ pages: 7 }), { instanceOf: TypeError, message: /Number/ });
  t.throws(create({ algorithms: 'tlsf' }), { instanceOf: TypeError, message: /String/ });
  t.throws(create({ algorithms: [{ algorithm: 'x' }] }), {
    instanceOf: TypeError,
    message: /x must have create/,
  });
  t.throws(create({ algorithm: 7 }), { instanceOf: TypeError, message: /7/ });
  t.throws(create({ threads: 1.5 }), { instanceOf: RangeError, message: /1\.5/ });
  refused(t, 'InvalidParam', create({ algorithms: [] }), 'none');
  refused(t, 'InvalidParam', create({ algorithms: [ALGORITHMS[0], ALGORITHMS[0]] }), 'different');
  refused(
    t,
    'InvalidParam',
    create({ algorithms: [{ ...ALGORITHMS[0], algorithm: 'x'.repeat(48) }] }),
    'xxx',
  );
  refused(t, 'InvalidParam', create({ algorithm: 'slob' }), 'slob');
  refused(t, 'InvalidParam', create({ threads: 0 }), '0');
  refused(t, 'InvalidParam', create({ threads: 256 }), '256');
  refused(t, 'InvalidParam', create({ maxGenerations: 127 }), '127');
  refused(t, 'InvalidParam', create({ limit: 2 ** 33 }), String(2 ** 33));
  refused(t, 'InvalidParam', create({ policy: { percent: 2 ** 40 } }), String(2 ** 40));
  refused(
    t,
    'InvalidParam',
    create({ algorithms: algorithmsWith({ lock: 'string' as Wrong }), algorithm: 'tlsf' }),
  );
  refused(t, 'NoMemory', create({ policy: { initialBytes: 2 << 20 } }), 'mimalloc');
  refused(t, 'InvalidParam', create({ pages: BitmapPages.create({ bytes: 1 << 20, pageSize: 16 }) }), '16');
  t.is(pages.usedPages(), used);
  create({})();
});

test('an algorithm that no range is large enough for leaves no page taken', (t) => {
  const greedy: HeapAlgorithm = {
    algorithm: 'greedy',
    create: ({ end } = {}) => {
      throw new AllocError('RegionTooSmall', `region up to ${end} is too small`);
    },
    attach: () => t.fail() as Wrong,
  };
  const pages = BitmapPages.create({ bytes: 1 << 20 });
  const used = pages.usedPages();
  refused(t, 'NoMemory', () => AxAlloc.create({ pages, algorithms: [greedy] }), 'is too small');
  t.is(pages.usedPages(), used);
});

test('attach refuses another page part, unknown algorithms, and more threads than there are lines', (t) => {
  const { allocator } = allocatorOver(1 << 20, { threads: 2 });
  const other = BitmapPages.create({ bytes: 1 << 20 });
  const handle = allocator.share();
  refused(
    t,
    'InvalidParam',
    () => AxAlloc.attach(handle, { attachPages: () => other, algorithms: ALGORITHMS }),
    'another memory',
  );
  const attachPages = BitmapPages.attach;
  refused(
    t,
    'InvalidParam',
    () => AxAlloc.attach(handle, { attachPages, algorithms: [ALGORITHMS[0]] }),
    'tlsf',
  );
  const second = attachTo(handle);
  refused(t, 'TooManyThreads', () => attachTo(handle), '2 threads');
  second.detach();
  second.detach();
  {
    using third = attachTo(handle);
    t.true(third.threadId > second.threadId);
  }
  attachTo(handle);
});

test('a detached thread is told so, whatever it calls', (t) => {
  const { allocator } = allocatorOver(1 << 20);
  const block = allocator.malloc(64);
  const gone = attachTo(allocator.share());
  gone.detach();
  for (const call of [
    () => gone.malloc(1),
    () => gone.calloc(1, 1),
    () => gone.alignedAlloc(64, 1),
    () => gone.realloc(block, 1),
    () => gone.free(block),
    () => gone.usableSize(block),
    () => gone.dealloc(block, 64, 16),
    () => gone.swap('tlsf'),
    () => gone.settle(),
    () => gone.collect(),
    () => gone.reap(99),
    () => gone.name,
    () => gone.usedBytes(),
    () => gone.footprintBytes(),
    () => gone.liveBlocks(),
    () => gone.validate(),
    () => gone.stats(),
    () => gone.allocPages(1, 4096),
    () => gone.allocPagesAt(4096, 1, 4096),
    () => gone.deallocPages(4096, 1),
    () => gone.page(1),
    () => gone.totalPages(),
    () => gone.usedPages(),
    () => gone.availablePages(),
  ])
    refused(t, 'InvalidParam', call, 'detached');
  t.true(allocator.usableSize(block) >= 64);
});

test('pages: alone, at a place, in a scope; those of heaps are not for programs', (t) => {
  const { allocator, pages } = allocatorOver(1 << 20);
  t.is(allocator.pageSize, 4096);
  t.is(allocator.totalPages(), pages.totalPages());
  const used = allocator.usedPages();
  const run = allocator.allocPages(4, 16384);
  t.is(run % 16384, 0);
  t.is(allocator.usedPages(), used + 4);
  t.is(allocator.availablePages(), allocator.totalPages() - used - 4);
  allocator.deallocPages(run, 4);
  t.is(allocator.allocPagesAt(run, 2, 4096), run);
  refused(t, 'NoMemory', () => allocator.allocPagesAt(run, 1, 4096));
  allocator.deallocPages(run, 2);
  {
    using page = allocator.page(2, 8192);
    t.is(page.address % 8192, 0);
    t.is(page.bytes, 8192);
    t.is(page.count, 2);
    page.fill(7);
    t.true(page.view().every((byte) => byte === 7));
    page.zero();
    t.true(page.view().every((byte) => byte === 0));
    t.is(allocator.usedPages(), used + 2);
    page[Symbol.dispose]();
    t.is(allocator.usedPages(), used);
  }
  t.is(allocator.usedPages(), used, 'disposed of twice, and given back once');
  const block = allocator.malloc(100);
  refused(t, 'NotAllocated', () => allocator.deallocPages(block - (block % 4096), 1), 'heap');
  refused(t, 'NotAllocated', () => allocator.deallocPages(allocator.share().start, 1), 'heap');
  refused(t, 'NotAllocated', () => allocator.deallocPages(run, 1));
  t.throws(() => allocator.deallocPages(-1, 1), { instanceOf: RangeError });
  t.throws(() => allocator.deallocPages(run, 0.5), { instanceOf: RangeError });
  refused(t, 'NoMemory', () => allocator.page(2 ** 20));
  t.is(allocator.usedPages(), used);
});

test('figures are true: bytes of all heaps, pages, blocks', (t) => {
  for (const name of NAMES) {
    const { allocator } = allocatorOver(4 << 20, { algorithm: name });
    t.is(allocator.usedBytes(), 0, name);
    const blocks = Array.from({ length: 100 }, (_, nth) => allocator.malloc(nth * 10));
    const used = allocator.usedBytes();
    t.true(used >= 49_500 && used < 120_000, `${name}: ${used}`);
    allocator.swap('basic');
    t.is(allocator.usedBytes(), used);
    blocks.push(allocator.malloc(1000));
    t.true(allocator.usedBytes() >= used + 1000);
    t.is(allocator.usedBytes() + allocator.availableBytes(), allocator.totalBytes());
    t.true(allocator.footprintBytes() > 49_500);
    t.true(allocator.footprintBytes() <= allocator.usedPages() * 4096);
    t.is(allocator.liveBlocks(), 101);
    const stats = allocator.stats();
    t.deepEqual(
      stats.generations.map((one) => [one.name, one.number, one.current, one.blocks]),
      [
        [name, 1, false, 100],
        ['basic', 2, true, 1],
      ],
    );
    t.is(
      stats.generations.reduce((sum, { pages }) => sum + pages, stats.statePages),
      allocator.usedPages(),
    );
    for (const block of blocks) allocator.free(block);
    t.is(allocator.usedBytes(), 0);
  }
});

test('blocks of an old heap: their size, realloc in place and away, dealloc', (t) => {
  for (const name of NAMES) {
    const { allocator } = allocatorOver(4 << 20, { algorithm: name });
    const { u8 } = allocator.memory;
    const [one, two, three] = [allocator.malloc(1000), allocator.malloc(1000), allocator.alloc(1000, 64)];
    u8.fill(1, one, one + 1000);
    u8.fill(2, two, two + 1000);
    allocator.swap('basic');
    t.true(allocator.usableSize(one) >= 1000);
    t.is(allocator.realloc(one, 900), one, 'fits where it is');
    t.is(allocator.stats().generations[0].blocks, 3);
    const smaller = allocator.realloc(one, 10);
    t.not(smaller, one);
    t.true(u8.subarray(smaller, smaller + 10).every((byte) => byte === 1));
    const larger = allocator.realloc(two, 100_000);
    t.true(u8.subarray(larger, larger + 1000).every((byte) => byte === 2));
    refused(t, 'InvalidParam', () => allocator.dealloc(three, 50_000, 64), '50000');
    t.is(allocator.stats().generations.length, 2);
    allocator.dealloc(three, 1000, 64);
    t.is(allocator.stats().generations.length, 1);
    t.is(allocator.liveBlocks(), 2);
  }
});

test('realloc of an old block that cannot move stays where it is if it fits, else gives 0', (t) => {
  const { allocator } = allocatorOver(1 << 20);
  const block = allocator.malloc(100_000);
  allocator.swap('basic');
  while (allocator.malloc(1000) !== 0);
  t.is(allocator.realloc(block, 200_000), 0);
  t.is(allocator.realloc(block, 2 ** 40), 0);
  t.is(allocator.realloc(block, 1000), block);
  t.true(allocator.usableSize(block) >= 100_000);
});

test('wrong frees are reported once and change nothing, in the current heap and in old ones', (t) => {
  for (const name of NAMES) {
    const { allocator } = allocatorOver(4 << 20, {
      algorithm: name,
      algorithms: algorithmsWith({ debug: true }),
    });
    const errors: AllocError[] = [];
    allocator.registerError((error) => errors.push(error));
    const old = [allocator.malloc(100), allocator.malloc(100)];
    allocator.swap('tlsf');
    const block = allocator.malloc(100);
    const page = allocator.page(1);
    const used = allocator.usedBytes();
    const wrong = [old[0] + 16, block + 16, 8, 2 ** 31, 2 ** 40, allocator.share().start + 64, page.address];
    for (const address of wrong) {
      for (const [what, call] of [
        ['free', () => allocator.free(address)],
        ['usableSize', () => t.is(allocator.usableSize(address), 0)],
        ['realloc', () => t.is(allocator.realloc(address, 8), 0)],
      ] as const) {
        errors.length = 0;
        call();
        t.deepEqual(
          errors.map(({ code }) => code),
          ['NotAllocated'],
          `${name}: ${what}(${address})`,
        );
        t.true(errors[0].message.includes(String(address)));
      }
      errors.length = 0;
      refused(t, 'NotAllocated', () => allocator.dealloc(address, 8, 8), String(address));
      t.is(errors.length, 0);
      t.is(allocator.liveBlocks(), 3, `${name}: ${address}`);
      t.is(allocator.usedBytes(), used);
      allocator.validate();
    }
    errors.length = 0;
    page[Symbol.dispose]();
    for (const one of [...old, block]) allocator.free(one);
    t.is(errors.length, 0);
    t.is(allocator.stats().generations.length, 1);
    allocator.free(old[0]);
    t.is(errors.length, 1, 'a second free of a block whose heap is gone');
  }
});

test('a swap is refused when all generations hold blocks, and goes when one is free again', (t) => {
  const { allocator, pages } = allocatorOver(4 << 20, { maxGenerations: 3 });
  const blocks = ['basic', 'buddy'].map((name) => {
    const block = allocator.malloc(10);
    allocator.swap(name);
    return block;
  });
  const used = pages.usedPages();
  const current = allocator.malloc(10);
  refused(t, 'NoMemory', () => allocator.swap('tlsf'), '3 generations');
  refused(t, 'InvalidParam', () => allocator.swap('slob'), 'slob');
  t.throws(() => allocator.swap(undefined as Wrong), { instanceOf: TypeError });
  t.is(pages.usedPages(), used);
  t.is(allocator.name, 'buddy');
  allocator.free(blocks[0]);
  allocator.swap('tlsf');
  t.is(allocator.name, 'tlsf');
  allocator.free(blocks[1]);
  allocator.free(current);
  t.is(allocator.stats().generations.length, 1);
});

test('a thread that idles holds one old generation, until it settles or detaches', (t) => {
  const { allocator, pages } = allocatorOver(4 << 20);
  const fresh = pages.usedPages();
  const [one, other] = [attachTo(allocator.share()), attachTo(allocator.share())];
  for (let swaps = 0; swaps < 20; swaps++) allocator.swap(NAMES[swaps % NAMES.length]);
  t.is(allocator.stats().generations.length, 2);
  one.settle();
  t.is(allocator.stats().generations.length, 2);
  other.detach();
  t.is(allocator.stats().generations.length, 1);
  allocator.swap('tlsf');
  t.is(one.name, 'tlsf', 'the name is the current one');
  one.free(one.malloc(1));
  t.is(pages.usedPages(), fresh);
});

test('reap refuses what is no thread, and its own', (t) => {
  const { allocator } = allocatorOver(1 << 20);
  refused(t, 'InvalidParam', () => allocator.reap(allocator.threadId), String(allocator.threadId));
  t.throws(() => allocator.reap(-1), { instanceOf: RangeError, message: /-1/ });
  t.throws(() => allocator.reap('one' as Wrong), { instanceOf: TypeError, message: /one/ });
  allocator.reap(0);
  allocator.reap(12345);
  allocator.validate();
});

test('validate names what is broken', (t) => {
  const breakAt = (word: (allocator: AxAlloc) => number, value: number, broken: RegExp): void => {
    const { allocator } = allocatorOver(1 << 20);
    allocator.free(allocator.malloc(1));
    allocator.memory.i32[word(allocator)] = value;
    t.throws(() => allocator.validate(), { message: broken });
  };
  const header = (allocator: AxAlloc): number => allocator.share().start / 4;
  breakAt((allocator) => header(allocator) + 16, 0, /current generation has slot 0/);
  breakAt((allocator) => header(allocator) + 16, 2, /current generation is 2, and its slot 2 says 0/);
  breakAt((allocator) => allocator.entry(1), 6, /slot 1 has state 6/);
  breakAt((allocator) => allocator.tally, -5, /slot 1 has -5 blocks/);
  breakAt((allocator) => allocator.entry(1) + 2, 64, /the heap of slot 1 at 64 lies in no page/);
  const { allocator } = allocatorOver(1 << 20);
  const last = allocator.map + allocator.mapPages - 1;
  allocator.memory.u8[last] = 2;
  t.throws(() => allocator.validate(), { message: /slot 2 is free and has 1 pages/ });
  allocator.memory.u8[last] = 100;
  t.throws(() => allocator.validate(), { message: /the map says 100 of page 255/ });
  allocator.memory.u8[last] = 0;
  allocator.validate({ quiet: true });
  // What may be so for a moment while others work is told only when none does.
  allocator.memory.i32[allocator.entry(1)] = 3; // CLOSING
  allocator.validate();
  t.throws(() => allocator.validate({ quiet: true }), { message: /generation is not open/ });
  allocator.memory.i32[allocator.entry(1)] = 2;
  const first = allocator.memory.u8.indexOf(129, allocator.map); // where the heap's run begins
  allocator.memory.u8[first] = 1;
  allocator.validate();
  t.throws(() => allocator.validate({ quiet: true }), { message: /of slot 1 belongs to no run/ });
  allocator.memory.u8[first] = 129;
  allocator.validate({ quiet: true });
  const own = allocator.share().start / 4096;
  allocator.memory.u8[allocator.map + own] = 0;
  t.throws(() => allocator.validate(), { message: /pages of the allocator itself/ });
});

test('pages are counted by what they are for, in every thread, and can be had zeroed', (t) => {
  const { allocator } = allocatorOver(1 << 20);
  const other = attachTo(allocator.share());
  const before = allocator.usages();
  t.deepEqual(before, { heap: 0, virtual: 0, 'page-cache': 0, 'page-table': 0, dma: 0, global: 0 });
  const table = other.allocPages(2, 4096, 'page-table');
  const plain = allocator.allocPages(1, 4096);
  allocator.memory.u8.fill(0xaa, plain, plain + 4096);
  allocator.deallocPages(plain, 1);
  const zeroed = allocator.allocZeroedPages(3, 4096, 'dma');
  t.true(allocator.memory.u8.subarray(zeroed, zeroed + 3 * 4096).every((byte) => byte === 0));
  const block = allocator.malloc(100);
  t.deepEqual(other.usages(), {
    ...before,
    heap: allocator.usedBytes(),
    'page-table': 2 * 4096,
    dma: 3 * 4096,
  });
  t.true(allocator.usages().heap >= 100);
  refused(t, 'InvalidParam', () => allocator.allocPages(1, 4096, 'heap' as Wrong), 'heap');
  refused(t, 'NotAllocated', () => allocator.deallocPages(table + 8 * 4096, 1, 'page-table'));
  allocator.deallocPages(table, 2, 'page-table');
  other.deallocPages(zeroed, 3, 'dma');
  allocator.free(block);
  t.deepEqual(allocator.usages(), before);
});

test('visitBlocks and leaks show the blocks of all heaps', (t) => {
  const { allocator } = allocatorOver(1 << 20);
  const old = allocator.malloc(100);
  allocator.swap('mimalloc');
  const young = allocator.malloc(5000);
  t.deepEqual(
    allocator.leaks().map(({ address }) => address),
    [young, old],
  );
  let seen = 0;
  allocator.visitBlocks(() => {
    seen++;
    return false;
  });
  t.is(seen, 1);
  for (const block of [old, young]) allocator.free(block);
  t.deepEqual(allocator.leaks(), []);
});
