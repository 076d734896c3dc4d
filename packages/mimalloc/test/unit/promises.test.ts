/** What mimalloc promises its programs, each under its own name. */
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { emptyOut, fill, pagesOf, randomOf, seedOf, small, watch } from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';

const PTRDIFF_MAX = 2 ** 31 - 1;
const SIZE_MAX = 2 ** 32 - 1;

test('malloc(0) is not NULL, and every one is another block', (t) => {
  const heap = small();
  const blocks = fill(heap, 0, 1000);
  t.is(new Set(blocks).size, 1000);
  t.false(blocks.includes(0));
  heap.validate({ quiet: true });
  t.not(heap.calloc(0, 100), 0);
  t.not(heap.calloc(100, 0), 0);
  t.not(heap.realloc(0, 0), 0);
  t.not(heap.alignedAlloc(64, 0), 0);
  heap.validate({ quiet: true });
});

test('free(0) does nothing, and usableSize(0) is 0', (t) => {
  const { heap, errors } = watch(small());
  heap.free(0);
  t.is(heap.usableSize(0), 0);
  t.deepEqual(errors, []);
  heap.validate({ quiet: true });
});

test('sizes that no memory has give NULL: PTRDIFF_MAX, SIZE_MAX and everything above', (t) => {
  const { heap, errors } = watch(small());
  const sizes = [
    PTRDIFF_MAX,
    PTRDIFF_MAX + 1,
    SIZE_MAX - 4096,
    SIZE_MAX - 1,
    SIZE_MAX,
    2 ** 32,
    2 ** 53,
    2 ** 1000,
  ];
  const block = heap.malloc(10);
  for (const size of sizes) {
    t.is(heap.malloc(size), 0, `malloc(${size})`);
    t.is(heap.calloc(1, size), 0);
    t.is(heap.realloc(0, size), 0);
    t.is(heap.realloc(block, size), 0);
    t.is(heap.alignedAlloc(16, size), 0);
    t.is(heap.alignedAlloc(65_536, size), 0);
    heap.validate({ quiet: true });
  }
  t.deepEqual(errors, []);
  t.is(heap.usedBytes(), 16);
});

test('a calloc whose product overflows gives NULL', (t) => {
  const heap = small();
  for (const [count, size] of [
    [2 ** 16, 2 ** 16],
    [2 ** 16 + 1, 2 ** 16],
    [2 ** 31, 2],
    [SIZE_MAX, SIZE_MAX],
    [2 ** 32 - 1, 2],
    [2 ** 32, 2 ** 32],
    [2 ** 53, 2 ** 53],
    [3, 1431655766], // 3 × this is 2 more than 2^32
  ]) {
    t.is(heap.calloc(count, size), 0, `${count} × ${size}`);
    heap.validate({ quiet: true });
  }
  t.is(heap.usedBytes(), 0);
});

test('calloc is zeroed, on memory that was used before', (t) => {
  const random = randomOf(seedOf(t));
  const heap = small({ bytes: 1 << 22 });
  const { u8 } = heap.memory;
  for (let round = 0; round < 300; round++) {
    const size = 1 + random(2 ** (1 + random(18)));
    const dirty = heap.malloc(size);
    u8.fill(0xff, dirty, dirty + heap.usableSize(dirty));
    heap.free(dirty);
    const count = 1 + random(5);
    const block = heap.calloc(count, Math.ceil(size / count));
    t.true(u8.subarray(block, block + size).every((byte) => byte === 0));
    heap.free(block);
    heap.validate({ quiet: true });
  }
});

test('realloc(p, 0) is a block, realloc(0, n) is malloc(n)', (t) => {
  const { heap, errors } = watch(small());
  for (const size of [1, 100, 5000, 100_000]) {
    const block = heap.realloc(0, size);
    t.true(block !== 0 && heap.usableSize(block) >= size);
    const none = heap.realloc(block, 0);
    t.not(none, 0);
    heap.validate({ quiet: true });
    heap.free(none);
    heap.validate({ quiet: true });
  }
  t.deepEqual(errors, []);
  t.is(heap.usedBytes(), 0);
});

test('a block of 16 bytes or more is aligned to 16, a smaller one to 8, whatever its size', (t) => {
  const heap = small({ bytes: 1 << 22 });
  for (let size = 0; size <= 20_000; size += size < 2100 ? 1 : 61) {
    const blocks = fill(heap, size, 7);
    const align = size >= 16 ? 16 : 8;
    if (!blocks.every((block) => block % align === 0)) return t.fail(`${size} bytes at ${blocks}`);
    for (const block of blocks) heap.free(block);
  }
  for (const size of [30_000, 100_000, 500_000, 1_000_000]) {
    const block = heap.malloc(size);
    t.is(block % 4096, 0);
    heap.free(block);
  }
  heap.validate({ quiet: true });
});

test('a power of two up to a slice is aligned to itself', (t) => {
  const heap = small({ bytes: 1 << 24 });
  for (let size = 8; size <= 4 << tldOf(heap).sliceShift; size *= 2) {
    for (const block of fill(heap, size, 20)) t.is(block % size, 0, `${size}`);
    heap.validate({ quiet: true });
  }
});

test('usableSize is at least what was asked for and at most an eighth or 16 bytes more, up to the medium sizes', (t) => {
  const heap = small({ bytes: 1 << 24 });
  for (let size = 1; size <= tldOf(heap).mediumMax; size += 1 + (size >> 6)) {
    const block = heap.malloc(size);
    const usable = heap.usableSize(block);
    t.true(usable >= size && (usable - size < 16 || usable - size <= usable / 8), `${size}: ${usable}`);
    heap.memory.u8.fill(0xee, block, block + usable);
    heap.free(block);
  }
  heap.validate({ quiet: true });
});

test('requests beyond memory give 0 and lose nothing', (t) => {
  for (const size of [8, 100, 1024, 1025, 3000, 10_000, 60_000, 200_000]) {
    const heap = small();
    const blocks = fill(heap, size);
    t.true(blocks.length > 0);
    heap.validate({ quiet: true });
    const used = heap.usedBytes();
    for (const other of [size, size + 1, 1 << 20])
      t.is(heap.malloc(other), 0, `${other} in a heap full of ${size}`);
    heap.validate({ quiet: true });
    t.is(heap.usedBytes(), used);
    emptyOut(t, heap, blocks);
    const again = fill(heap, size);
    t.true(again.length >= blocks.length, `${size}: ${again.length} instead of ${blocks.length}`);
    heap.validate({ quiet: true });
  }
});

test('at least 90 % of a region of 16 MiB can be handed out, at every size up to a slice', (t) => {
  for (const size of [16, 64, 256, 1024, 4096]) {
    const heap = small({ bytes: 1 << 24 });
    const blocks = fill(heap, size);
    const share = (blocks.length * size) / (1 << 24);
    t.true(share > 0.9, `${size} bytes: ${(share * 100).toFixed(1)} %`);
    heap.validate({ quiet: true });
    emptyOut(t, heap, blocks);
  }
});

test('malloc and free of small blocks make no page and no segment anew', (t) => {
  const heap = small();
  heap.free(heap.malloc(64));
  const pages = pagesOf(heap);
  for (let times = 0; times < 1000; times++) heap.free(heap.malloc(64));
  t.is(pagesOf(heap), pages);
  heap.validate({ quiet: true });
});

test('several hundred heaps live in one process and know nothing of each other', (t) => {
  const heaps = Array.from({ length: 400 }, (_, index) =>
    MiMalloc.create({
      bytes: 256 * 1024 + 4096 * (index % 50),
      backing: index % 8 === 0 ? 'wasm' : 'sab',
      grow: false,
    }),
  );
  const blocks = heaps.map((heap, index) => fill(heap, 40 + index, 20));
  for (const [index, heap] of heaps.entries()) {
    for (const block of blocks[index]) heap.memory.u8.fill(index, block, block + 40 + index);
  }
  for (const [index, heap] of heaps.entries()) {
    heap.validate({ quiet: true });
    for (const block of blocks[index]) {
      t.true(heap.memory.u8.subarray(block, block + 40 + index).every((byte) => byte === (index & 255)));
    }
    for (const block of blocks[index]) heap.free(block);
    t.is(heap.usedBytes(), 0);
  }
});

test('wrong kinds of arguments are errors that name the value, and change nothing', (t) => {
  const { heap, errors } = watch(small());
  const block = heap.malloc(100);
  const wrong: [unknown, RegExp][] = [
    [-1, /-1/],
    [1.5, /1\.5/],
    [Number.NaN, /NaN/],
    [Number.POSITIVE_INFINITY, /Infinity/],
    ['16', /"16"/],
    [null, /null/],
    [undefined, /undefined/],
    [16n, /16n/],
    [{}, /Object/],
  ];
  for (const [value, message] of wrong) {
    const bad = value as number;
    for (const call of [
      () => heap.malloc(bad),
      () => heap.free(bad),
      () => heap.calloc(bad, 1),
      () => heap.calloc(1, bad),
      () => heap.realloc(bad, 1),
      () => heap.realloc(block, bad),
      () => heap.alignedAlloc(8, bad),
      () => heap.alignedAlloc(bad, 8),
      () => heap.usableSize(bad),
      () => heap.dealloc(bad, 1, 1),
      () => heap.dealloc(block, bad, 1),
    ]) {
      t.throws(call, { message }, `${call} with ${String(value)}`);
      heap.validate({ quiet: true });
    }
  }
  t.deepEqual(errors, []);
  emptyOut(t, heap, [block]);
});

test('a detached heap refuses every call by an AllocError', (t) => {
  const heap = small();
  const other = MiMalloc.attach(heap.share());
  const block = heap.malloc(10);
  heap[Symbol.dispose]();
  heap.detach();
  const calls: (() => unknown)[] = [
    () => heap.malloc(1),
    () => heap.malloc(100_000),
    () => heap.calloc(1, 1),
    () => heap.free(block),
    () => heap.realloc(block, 100),
    () => heap.realloc(0, 100),
    () => heap.alignedAlloc(64, 1),
    () => heap.usableSize(block),
    () => heap.alloc(1, 1),
    () => heap.dealloc(block, 10, 1),
    () => heap.usedBytes(),
    () => heap.totalBytes(),
    () => heap.availableBytes(),
    () => heap.validate({ quiet: true }),
    () => heap.collect(),
    () => heap.collect(true),
    () => heap.addMemory(0, 2 ** 30),
    () => heap.init(65_536, 65_536),
  ];
  for (const call of calls) t.throws(call, { message: /detached/ }, String(call));
  other.free(block);
  other.collect(true);
  other.validate({ quiet: true });
  t.is(other.usedBytes(), 0);
});
