import type { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { mallocAligned } from '../../dist/alloc/aligned.js';
import { HAS_ALIGNED, hasFlag } from '../../dist/layout/page.js';
import {
  counted,
  emptyOut,
  fill,
  pageAt,
  randomOf,
  seedOf,
  segmentBytes,
  sliceBytes,
  small,
  takeAt,
  watch,
} from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** Demands that blocks lie apart. */
function areApart(heap: MiMalloc, blocks: readonly number[], size: number): boolean {
  const sorted = blocks.toSorted((a, b) => a - b);
  return sorted.every((block, index) => {
    return index === 0 || sorted[index - 1] + size <= block || heap.usableSize(sorted[index - 1]) === 0;
  });
}

test('ten blocks of every size up to 2048 are aligned to every power of two up to the size', (t) => {
  const heap = small({ bytes: 4 * MIB });
  for (let size = 1; size <= 2048; size++) {
    for (let align = 1; align <= size; align *= 2) {
      const blocks: number[] = [];
      for (let times = 0; times < 10; times++) {
        const block = heap.alignedAlloc(align, size);
        if (block === 0 || block % align !== 0) return t.fail(`${size} bytes at ${align}: ${block}`);
        blocks.push(block);
      }
      if (!areApart(heap, blocks, size)) return t.fail(`${size} bytes at ${align} overlap`);
      for (const block of blocks) heap.free(block);
    }
    if (size % 64 === 0) heap.validate({ quiet: true });
  }
  heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
});

test('alignments larger than the size are met, too, from 1 to a whole segment and beyond', (t) => {
  const heap = small({ bytes: 16 * MIB });
  for (let align = 1; align <= 4 * MIB; align *= 2) {
    for (const size of [0, 1, 7, 8, 24, 100, 1000, 5000, 70_000, 300_000]) {
      const block = heap.alignedAlloc(align, size);
      t.not(block, 0, `${size} at ${align}`);
      t.is(block % align, 0);
      t.true(heap.usableSize(block) >= size);
      heap.memory.u8.fill(0xff, block, block + size);
      heap.validate({ quiet: true });
      heap.free(block);
      heap.validate({ quiet: true });
    }
  }
  t.is(heap.usedBytes(), 0);
});

test('in a region of 4 GiB alignments up to 2^31 are met', (t) => {
  const heap = small({ memory: new SharedArrayBuffer(4 * GIB) });
  for (let power = 0; power <= 27; power++) {
    const align = 2 ** power;
    const blocks = [0, 1, 100, 100_000, 5_000_000].map((size) => {
      const block = heap.alignedAlloc(align, size);
      t.true(block !== 0 && block % align === 0, `${size} at 2^${power}: ${block}`);
      t.true(heap.usableSize(block) >= size);
      return block;
    });
    t.is(new Set(blocks).size, blocks.length);
    heap.validate({ quiet: true });
    for (const block of blocks) heap.free(block);
    heap.validate({ quiet: true });
  }
  for (const power of [28, 29, 30, 31]) {
    const block = heap.alignedAlloc(2 ** power, 100);
    t.true(block !== 0 && block % 2 ** power === 0, `2^${power}`);
    heap.free(block);
  }
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
});

test('an alignment that the region has no place for gives 0 and loses nothing', (t) => {
  const heap = small({ memory: new SharedArrayBuffer(16 * MIB), start: 64 * KIB, end: 8 * MIB });
  for (const align of [8 * MIB, 64 * MIB, 2 ** 31]) {
    for (const size of [0, 100, 10_000, MIB]) {
      t.is(heap.alignedAlloc(align, size), 0, `${size} at ${align}`);
      heap.validate({ quiet: true });
    }
  }
  t.is(heap.usedBytes(), 0);
  t.not(heap.alignedAlloc(4 * MIB, 100), 0);
});

test('an aligned block costs no more than its size rounded up to the alignment', (t) => {
  const heap = small({ bytes: 16 * MIB });
  for (const [align, size] of [
    [64, 64],
    [64, 100],
    [256, 300],
    [1024, 1000],
    [4096, 4096],
    [4096, 5000],
  ]) {
    const block = heap.alignedAlloc(align, size);
    const rounded = Math.ceil(size / align) * align;
    t.true(heap.usableSize(block) <= rounded * 1.15, `${size} at ${align}: ${heap.usableSize(block)}`);
    t.false(hasFlag(tldOf(heap), pageAt(heap, block), HAS_ALIGNED), 'and is the start of its block');
    heap.free(block);
  }
  heap.validate({ quiet: true });
});

test('aligned blocks of 0 bytes are blocks: apart from each other and from all others', (t) => {
  const heap = small({ bytes: 16 * MIB });
  for (const align of [
    1,
    8,
    64,
    4096,
    sliceBytes(heap),
    2 * sliceBytes(heap),
    segmentBytes(heap),
    2 * segmentBytes(heap),
  ]) {
    const blocks = [heap.alignedAlloc(align, 0), heap.alignedAlloc(align, 0), heap.malloc(100_000)];
    t.is(new Set(blocks).size, 3, `${align}`);
    t.true(blocks.every((block) => block !== 0));
    heap.memory.u8.fill(0xff, blocks[2], blocks[2] + 100_000);
    heap.validate({ quiet: true });
    for (const block of blocks) heap.free(block);
    heap.validate({ quiet: true });
  }
  t.is(heap.usedBytes(), 0);
});

/** One block at an offset, looked at from all sides. Returns what is wrong, or nothing. */
function atOffset(
  heap: MiMalloc,
  size: number,
  align: number,
  offset: number,
): { block: number; wrong: string } {
  const block = mallocAligned(tldOf(heap), tldOf(heap).heap, size, align, offset);
  if (block === 0) return { block, wrong: 'no memory' };
  if ((block + offset) % align !== 0) return { block, wrong: `${block} + ${offset} is not aligned` };
  if (heap.usableSize(block) < size) return { block, wrong: `usableSize is ${heap.usableSize(block)}` };
  return { block, wrong: '' };
}

test('address plus offset is aligned for every offset (a multiple of 8) of alignments up to 1024, whatever the size', (t) => {
  const { heap, errors } = watch(small({ bytes: 4 * MIB }));
  for (const size of [
    1,
    8,
    40,
    100,
    1000,
    6000,
    tldOf(heap).mediumMax - 500,
    tldOf(heap).mediumMax,
    100_000,
  ]) {
    for (let align = 16; align <= 1024; align *= 2) {
      for (let offset = 0; offset < align; offset += 8) {
        const { block, wrong } = atOffset(heap, size, align, offset);
        if (wrong !== '') return t.fail(`${size} bytes, align ${align}, offset ${offset}: ${wrong}`);
        heap.free(block);
      }
    }
    heap.validate({ quiet: true });
  }
  t.deepEqual(errors, []);
  heap.collect(true);
  t.is(heap.usedBytes(), 0);
});

test('offsets at random with alignments up to 4 MiB, many blocks alive', (t) => {
  const random = randomOf(seedOf(t));
  const { heap, errors } = watch(small({ memory: new SharedArrayBuffer(256 * MIB) }));
  const live: { block: number; size: number }[] = [];
  for (let step = 0; step < 3000; step++) {
    if (live.length < 40 && random(3) > 0) {
      const align = 2 ** random(23);
      const size = random(random(4) === 0 ? 300_000 : 3000);
      const offset = 8 * random(Math.max(1, align / 4));
      const { block, wrong } = atOffset(heap, size, align, offset);
      if (wrong !== '') return t.fail(`${size} bytes, align ${align}, offset ${offset}: ${wrong}`);
      heap.memory.u8.fill(step, block, block + size);
      for (const other of live) {
        if (block < other.block + other.size && other.block < block + size)
          t.fail(`${block} overlaps ${other.block}`);
      }
      live.push({ block, size });
    } else if (live.length > 0) heap.free(takeAt(live, random(live.length)).block);
    if (step % 50 === 0) heap.validate({ quiet: true });
  }
  t.deepEqual(errors, []);
  emptyOut(
    t,
    heap,
    live.map(({ block }) => block),
  );
});

test('an offset beyond the alignment counts modulo it', (t) => {
  const heap = small({ bytes: 4 * MIB });
  for (const [size, align, offset] of [
    [100, 64, 72],
    [100, 64, 64],
    [200_000, 4096, 5000 * 8],
    [100, 65_536, 2 ** 31 + 8],
  ]) {
    const { block, wrong } = atOffset(heap, size, align, offset);
    t.is(wrong, '', `${size}, ${align}, ${offset}`);
    heap.free(block);
    heap.validate({ quiet: true });
  }
});

test('an interior address is freed, resized and measured as the block that it lies in', (t) => {
  const { heap, errors } = watch(small({ bytes: 4 * MIB }));
  const size = 200;
  const inside = fill(heap, 1, 0);
  // Blocks of this bin start at multiples of 16: with this offset the address lies inside.
  for (let times = 0; times < 50; times++)
    inside.push(mallocAligned(tldOf(heap), tldOf(heap).heap, size, 64, 8));
  for (const [index, address] of inside.entries()) {
    t.is((address + 8) % 64, 0);
    t.true(hasFlag(tldOf(heap), pageAt(heap, address), HAS_ALIGNED));
    t.true(heap.usableSize(address) >= size && heap.usableSize(address) < size + 100);
    heap.memory.u8.fill(index, address, address + size);
  }
  heap.validate({ quiet: true });
  for (const [index, address] of inside.entries()) {
    if (index % 3 === 0) {
      const moved = heap.realloc(address, 5000);
      t.true(moved !== 0 && moved !== address);
      t.true(heap.memory.u8.subarray(moved, moved + size).every((byte) => byte === index));
      heap.free(moved);
    } else if (index % 3 === 1) {
      t.is(heap.realloc(address, size - 20), address, 'what still fits stays');
      t.true(heap.memory.u8.subarray(address, address + size - 20).every((byte) => byte === index));
      heap.free(address);
    } else heap.free(address);
    heap.validate({ quiet: true });
  }
  t.deepEqual(errors, []);
  t.is(heap.usedBytes(), 0);
});

test('in a page with interior addresses a block is freed twice: reported, and nothing else', (t) => {
  const { heap, errors } = watch(small());
  const blocks = [1, 2, 3].map(() => mallocAligned(tldOf(heap), tldOf(heap).heap, 100, 64, 8));
  heap.free(blocks[1]);
  heap.free(blocks[1]);
  t.is(errors.length, 1);
  heap.validate({ quiet: true });
  t.true(heap.usableSize(blocks[0]) >= 100);
  emptyOut(t, heap, [blocks[0], blocks[2]]);
});

test('a page forgets its interior addresses when it is given back', (t) => {
  const heap = small({ retireCycles: 0 });
  const address = mallocAligned(tldOf(heap), tldOf(heap).heap, 100, 64, 8);
  const page = pageAt(heap, address);
  t.true(hasFlag(tldOf(heap), page, HAS_ALIGNED));
  heap.free(address);
  heap.validate({ quiet: true });
  const block = heap.malloc(100);
  t.is(pageAt(heap, block), page);
  t.false(hasFlag(tldOf(heap), page, HAS_ALIGNED));
});

test('an aligned request that finds no memory costs one forced collection', (t) => {
  const heap = small();
  const blocks = fill(heap, 1000);
  const before = counted(heap, 'collections');
  t.is(heap.alignedAlloc(2 * sliceBytes(heap), 100), 0);
  t.is(counted(heap, 'collections'), before + 1);
  t.is(heap.alignedAlloc(2 ** 31, 2 ** 40), 0);
  t.is(counted(heap, 'collections'), before + 1);
  heap.validate({ quiet: true });
  emptyOut(t, heap, blocks);
});
