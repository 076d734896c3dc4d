/** Where blocks lie, and what becomes of pages. */
import { scaled } from '@shmalloc/alloc-test';
import { Slab } from '@shmalloc/slab';
import test from 'ava';
import {
  allClear,
  counted,
  fill,
  fullPage,
  isFull,
  pageField,
  pageOf,
  randomOf,
  seedOf,
  small,
} from '../support/harness.ts';

test('a block lies at a multiple of the least power of two that holds it, up to 4096', (t) => {
  const heap = small({ bytes: 1 << 24 });
  for (let size = 1; size <= 200_000; size += 1 + (size >> 5)) {
    const block = heap.malloc(size);
    t.is(block % Math.min(4096, 2 ** Math.ceil(Math.log2(size))), 0, `${size} bytes at ${block}`);
    heap.free(block);
  }
  heap.validate();
});

test('sizes up to half a page are rounded up to a power of two, larger ones to whole pages', (t) => {
  const heap = Slab.create({ bytes: 1 << 24 });
  t.is(heap.stats().pageBytes, 65_536);
  for (const [size, usable] of [
    [0, 8],
    [1, 8],
    [8, 8],
    [9, 16],
    [4097, 8192],
    [32_768, 32_768],
    [32_769, 65_536],
    [65_537, 131_072],
    [1_000_000, 1_048_576],
  ]) {
    t.is(heap.usableSize(heap.malloc(size)), usable, `${size}`);
  }
  heap.validate();
});

test('small regions have smaller pages, unless it is said otherwise', (t) => {
  const pages = (options: object): number => Slab.create(options).stats().pageBytes;
  t.deepEqual(
    [1 << 18, 1 << 20, 1 << 21, 1 << 22, 1 << 23, 1 << 26].map((bytes) => pages({ bytes })),
    [8192, 8192, 16_384, 32_768, 65_536, 65_536],
  );
  t.is(pages({ bytes: 1 << 20, pageBytes: 65_536 }), 65_536);
});

test('blocks of one size come from one page until it is full, pages from the start of memory', (t) => {
  const heap = small();
  const blocks = fill(heap, 1000, 8);
  t.is(new Set(blocks.map((block) => pageOf(heap, block))).size, 1);
  const next = heap.malloc(1000);
  t.not(pageOf(heap, next), pageOf(heap, blocks[0]));
  t.true(next > blocks[7]);
  t.true(isFull(heap, blocks[0]));
  heap.validate();
});

test('large blocks come from the end of memory, and never lie among pages', (t) => {
  const random = randomOf(seedOf(t));
  // More than all steps can take.
  const heap = Slab.create({ bytes: 512 << 20 });
  const large: number[] = [];
  const little: number[] = [];
  for (let step = 0; step < 3000; step++) {
    const blocks = random(3) === 0 ? large : little;
    if (random(5) < 3) blocks.push(heap.malloc(blocks === large ? 40_000 + random(300_000) : random(30_000)));
    else if (blocks.length > 0) heap.free(blocks.splice(random(blocks.length), 1)[0]);
  }
  t.false(large.includes(0) || little.includes(0));
  t.true(Math.min(...large) > Math.max(...little));
  heap.validate();
  for (const block of [...large, ...little]) heap.free(block);
  allClear(t, heap);
});

test('when nothing is left between them, small blocks take what large ones have left, and the reverse', (t) => {
  const heap = small();
  const large = fill(heap, 100_000);
  fill(heap, 8192);
  heap.free(large[3]);
  t.not(heap.malloc(10), 0);
  t.not(heap.malloc(50_000), 0);
  heap.validate();
});

test('a large block that is freed joins its free neighbours', (t) => {
  const heap = small();
  const blocks = fill(heap, 100_000);
  t.is(heap.malloc(300_000), 0);
  for (const index of [2, 4, 3]) heap.free(blocks[index]);
  t.not(heap.malloc(300_000), 0);
  heap.validate();
});

test('a large block grows and shrinks where it is when it can', (t) => {
  const heap = small();
  const blocks = fill(heap, 100_000);
  const [, low, high] = [...blocks].sort((x, y) => x - y);
  heap.memory.u8[low] = 77;
  t.is(heap.realloc(low, 50_000), low);
  t.is(heap.realloc(low, 100_000), low, 'what it has given back is still free');
  heap.free(high);
  t.is(heap.realloc(low, 180_000), low);
  t.is(heap.memory.u8[low], 77);
  t.is(heap.realloc(low, 900_000), 0);
  heap.validate();
  const moved = heap.realloc(low, 100);
  t.not(moved, low);
  t.is(heap.memory.u8[moved], 77);
  heap.validate();
});

test('a shrinking block stays where it is when there is no smaller one', (t) => {
  for (const debug of [false, true]) {
    const heap = small({ debug });
    const blocks = fill(heap, 2000);
    t.is(heap.realloc(blocks[0], 10), blocks[0]);
    t.is(heap.malloc(10), 0);
    heap.validate();
    const full = small({ debug });
    const [large] = fill(full, 20_000);
    fill(full, 8000);
    full.free(full.realloc(large, 10));
    full.validate();
  }
});

test('a page that becomes empty is kept once for its class, a second one goes back whole', (t) => {
  const heap = small();
  const first = fullPage(heap, 500);
  const { pages, freePages } = heap.stats();
  t.is(pages - freePages, 2);
  for (const block of first.blocks) heap.free(block);
  t.is(heap.stats().freePages, freePages, 'the first is kept');
  heap.validate();
  heap.free(first.next);
  t.is(heap.stats().freePages, freePages + 1, 'the second goes back');
  t.is(counted(heap).pagesReturned, 1);
  heap.validate();
  const again = heap.malloc(500);
  t.is(counted(heap).pagesTaken, 2, 'the kept one serves');
  heap.free(again);
  heap.collect();
  t.is(heap.stats().freePages, freePages + 1);
  heap.collect(true);
  t.is(heap.stats().freePages, pages);
  heap.validate();
});

test('a block that comes and goes takes and gives back no page', (t) => {
  const heap = small();
  for (let turn = 0; turn < 1000; turn++) heap.free(heap.malloc(3000));
  t.like(counted(heap), { pagesTaken: 1, pagesReturned: 0, locks: 1 });
});

test('memory is linked, and so touched, 4 KiB at a time', (t) => {
  const heap = Slab.create({ bytes: 1 << 24 });
  const before = heap.footprintBytes();
  const block = heap.malloc(64);
  t.is(pageField(heap, block, 'capacity'), 64);
  t.is(heap.footprintBytes(), before + 4096 + 128);
  fill(heap, 64, 64);
  t.is(heap.footprintBytes(), before + 8192 + 128);
  heap.free(block);
  t.is(heap.footprintBytes(), before + 8192 + 128);
});

test('the fast path takes no lock: one for each page that is taken', (t) => {
  const heap = Slab.create({ bytes: 1 << 24 });
  const blocks = fill(heap, 64, 10_000);
  for (const block of blocks) heap.free(block);
  const { locks, pagesTaken, pagesReturned, lockWaits } = counted(heap);
  t.is(pagesTaken, 10);
  t.is(pagesReturned, 9);
  t.is(locks, 19);
  t.is(lockWaits, 0);
});

test('alignments above a page', (t) => {
  const heap = Slab.create({ bytes: 16 << 20 });
  for (let align = 4096; align <= 1 << 22; align *= 2) {
    for (const size of [0, 100, 40_000, 300_000]) {
      const block = heap.alignedAlloc(align, size);
      t.true(block !== 0 && block % align === 0, `${size} at ${align}: ${block}`);
      t.true(heap.usableSize(block) >= size);
      heap.validate();
      heap.free(block);
    }
  }
  allClear(t, heap);
});

test('options that cannot be are refused by name', (t) => {
  const wrong: [object, RegExp][] = [
    [{ lock: 'flock' }, /lock must be one of none, spin, mutex, outside; got "flock"/],
    [{ debug: 1 }, /debug must be true or false, got 1/],
    [{ threads: 0 }, /threads must lie between 1 and \d+, got 0/],
    [{ threads: 2000 }, /threads .* got 2000/],
    [{ pageBytes: 4096 }, /pageBytes must be 8, 16, 32 or 64 KiB, got 4096/],
    [{ pageBytes: 12_000 }, /pageBytes .* got 12000/],
    [{ lokc: 'spin' }, /unknown option lokc; known are .*threads.*lock.*pageBytes/],
    [{ bytes: 65_536, pageBytes: 65_536 }, /too small: slab needs \d+ bytes at least/],
  ];
  for (const [options, message] of wrong)
    t.throws(() => Slab.create({ bytes: 1 << 20, ...options }), { message });
});

test('more CPUs than there are slots for are refused, and a slot is free again after detach', (t) => {
  const a = small({ threads: 2 });
  const b = Slab.attach(a.share());
  t.deepEqual([a.cpuId, b.cpuId], [0, 1]);
  t.throws(() => Slab.attach(a.share()), { name: 'AllocError', message: /all 2 CPUs .* see threads/ });
  b.detach();
  const c = Slab.attach(a.share());
  t.is(c.cpuId, 1);
  t.not(c.threadId, b.threadId);
});

test('wrong frees that can be told cheaply are reported', (t) => {
  const heap = small();
  const messages: string[] = [];
  heap.registerError(({ message }) => messages.push(message));
  const block = heap.malloc(100);
  const large = heap.malloc(20_000);
  const wrong = [block + 8, block + 64, large + 8192, heap.memory.end + 4096, 16, block + 1, 2 ** 40];
  for (const address of wrong) heap.free(address);
  heap.free(block);
  heap.free(block);
  heap.free(large);
  heap.free(large);
  t.deepEqual(messages, [
    ...wrong.map((address) => `free(${address}): no such block is handed out`),
    `free(${block}): the block is free already`,
    `free(${large}): no such block is handed out`,
  ]);
  t.is(heap.stats().errors, messages.length);
  allClear(t, heap);
});

test('statistics add up', (t) => {
  const heap = small();
  const blocks = [...fill(heap, 100, 10), heap.malloc(20_000)];
  t.is(heap.malloc(1 << 21), 0);
  t.is(heap.malloc(2 ** 40), 0);
  t.is(heap.realloc(blocks[0], 2 ** 40), 0);
  const stats = heap.stats();
  t.like(stats, {
    algorithm: 'slab',
    lock: 'spin',
    usedBytes: 10 * 128 + 24_576,
    largePages: 3,
    orphanPages: 0,
    failures: 3,
    errors: 0,
  });
  t.is(stats.totalBytes, stats.pages * stats.pageBytes);
  t.is(stats.availableBytes, stats.totalBytes - stats.usedBytes);
  t.is(stats.freePages, stats.pages - 4);
  t.like(stats.cpus, [{ cpu: 0, threadId: heap.threadId, pages: 1, pagesTaken: 1, large: 1, failures: 3 }]);
});

test('the n-th page cannot be had, for every n: what failed changed nothing, and all that comes after is as ever', (t) => {
  const seed = seedOf(t);
  for (let pages = seed % scaled(3, 1); pages <= 24; pages += scaled(3, 1)) {
    for (const debug of [false, true]) {
      const heap = small({ debug });
      const cache = heap.createCache({ size: 300, ctor: (address, { i32 }) => void (i32[address / 4] = 7) });
      const rest = heap.malloc((heap.stats().freePages - pages) * 8192 - 64);
      t.is(heap.stats().freePages, pages);
      const random = randomOf(seed + pages);
      const live: number[] = [];
      const objects: number[] = [];
      let refused = 0;
      for (let step = 0; step < 300; step++) {
        const used = heap.usedBytes();
        const size = random(6) === 0 ? random(20_000) : random(3000);
        const choice = random(8);
        const index = random(live.length);
        let got = -1;
        if (choice < 3) got = heap.malloc(size);
        else if (choice === 3) got = heap.alignedAlloc(1 << random(13), size);
        else if (choice === 4) {
          const object = heap.cacheAlloc(cache);
          if (object !== 0) objects.push(object);
          if (object !== 0 && heap.memory.i32[object / 4] !== 7)
            return t.fail(`${object} is not constructed`);
          if (object === 0) got = 0;
        } else if (live.length === 0) continue;
        else if (choice === 5) {
          const moved = heap.realloc(live[index], size);
          if (moved === 0) got = 0;
          else live[index] = moved;
        } else heap.free(live.splice(index, 1)[0]);
        if (got > 0) live.push(got);
        if (got === 0) {
          refused++;
          t.is(heap.usedBytes(), used);
        }
        heap.validate();
      }
      t.true(refused > 0 || pages > 20);
      for (const block of [...live, rest]) heap.free(block);
      for (const object of objects) heap.cacheFree(cache, object);
      allClear(t, heap);
    }
  }
});

test('dealloc demands what alloc was given, as far as it can tell', (t) => {
  const heap = small();
  const block = heap.alloc(100, 64);
  t.throws(() => heap.dealloc(block, 200, 64), {
    message: /block of 128 usable bytes was not allocated with size 200/,
  });
  t.throws(() => heap.dealloc(block, 100, 1 << 20), { name: 'AllocError', message: /align 1048576/ });
  t.throws(() => heap.alloc(1 << 21, 8), {
    name: 'AllocError',
    message: /no 2097152 bytes aligned to 8 are free/,
  });
  heap.dealloc(block, 100, 64);
  allClear(t, heap);
});
