import { AllocError } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { pageOf } from '../../dist/layout/lookup.js';
import { Page } from '../../dist/layout/page.js';
import { tldOf } from '../support/inside.ts';
import { areIntact, blocksOf, secureHeap, type Watched, watch } from '../support/secure-heap.js';

/** Shared blocks of several bins, one with room behind it and one without; large and huge blocks. */
const SIZES = [0, 1, 7, 8, 9, 24, 100, 1000, 1016, 5000, 20_000, 70_000, 700_000];

/** Demands one report with this text, that nothing was freed, and that the heap is sound. */
function expectRefused(
  t: { is(a: unknown, b: unknown, message?: string): unknown; regex(a: string, b: RegExp): unknown },
  { heap, errors }: Watched,
  wrong: () => void,
  text: RegExp,
): void {
  const used = heap.usedBytes();
  wrong();
  t.is(errors.length, 1);
  t.is(errors[0].code, errors[0].message.includes('freed twice') ? 'DoubleFree' : 'NotAllocated');
  t.regex(errors[0].message, text);
  errors.length = 0;
  t.is(heap.usedBytes(), used);
  heap.validate({ quiet: true });
}

test('usableSize is what was asked for, to the byte', (t) => {
  const { heap, told } = secureHeap(3);
  for (const size of SIZES) {
    const block = heap.malloc(size);
    t.is(heap.usableSize(block), size);
    t.is(heap.goodSize(size), size);
    heap.free(block);
  }
  const aligned = heap.alignedAlloc(1024, 100);
  t.is(heap.usableSize(aligned), 100);
  const inside = heap.mallocAlignedAt(100, 64, 24);
  t.is((inside + 24) % 64, 0);
  t.is(heap.usableSize(inside), 100);
  t.deepEqual(told(), []);
  const below = secureHeap(2).heap;
  t.is(below.usableSize(below.malloc(100)), 112);
  t.is(below.goodSize(100), 112);
});

test('a second free is refused, at once and later, and says so', (t) => {
  for (const secure of [3, 4]) {
    for (const size of SIZES) {
      const watched = secureHeap(secure);
      const { heap } = watched;
      const keep = blocksOf(heap, 3, size);
      const [first, second] = blocksOf(heap, 2, size);
      heap.free(first);
      // A block with a page of its own is gone with it.
      const text = size > tldOf(heap).mediumMax - 8 ? /no such block/ : /freed twice/;
      expectRefused(t, watched, () => heap.free(first), text);
      heap.free(second);
      expectRefused(t, watched, () => heap.free(first), text);
      heap.collect(true);
      expectRefused(t, watched, () => heap.free(second), text);
      t.true(areIntact(heap, keep, size));
      for (const block of keep) heap.free(block);
      heap.collect(true);
      t.is(heap.usedBytes(), 0);
    }
  }
});

test('a second free in a page that is empty, or gone, is refused', (t) => {
  const watched = secureHeap(3);
  const { heap } = watched;
  const [block] = blocksOf(heap, 1, 100);
  heap.free(block);
  expectRefused(t, watched, () => heap.free(block), /freed twice/);
  expectRefused(t, watched, () => heap.free(block + 8), new RegExp(`inside the free block at ${block}`));
  heap.collect(true);
  expectRefused(t, watched, () => heap.free(block), /no such block/);
});

test('a level below, a second free after another goes unnoticed', (t) => {
  const { heap, told } = secureHeap(2);
  const [first, second] = blocksOf(heap, 8, 100);
  for (const block of [first, second, first]) heap.free(block);
  t.deepEqual(told(), []);
  // What can be told without marks is told at every level.
  heap.free(first);
  heap.free(second + 8);
  t.true(told().every((message) => /no such block|freed twice/.test(message)));
});

test('realloc, usableSize, expand and dealloc refuse a freed block, with the same words', (t) => {
  const watched = secureHeap(3);
  const { heap } = watched;
  const [block] = blocksOf(heap, 8, 100);
  heap.free(block);
  expectRefused(t, watched, () => t.is(heap.realloc(block, 50), 0), /^realloc\(\d+\): freed twice/);
  expectRefused(t, watched, () => t.is(heap.usableSize(block), 0), /^usableSize\(\d+\): freed twice/);
  expectRefused(t, watched, () => t.is(heap.expand(block, 50), 0), /^expand\(\d+\): freed twice/);
  t.throws(() => heap.dealloc(block, 100, 8), {
    instanceOf: AllocError,
    message: /^dealloc\(\d+\): freed twice/,
  });
});

test('a free of what was never handed out is refused', (t) => {
  const watched = secureHeap(3);
  const { heap } = watched;
  const [block] = blocksOf(heap, 8, 200);
  const page = pageOf(tldOf(heap), block >>> 2);
  const start = tldOf(heap).i32[page + Page.start] * 4;
  const linked = tldOf(heap).i32[page + Page.free] * 4;
  expectRefused(t, watched, () => heap.free(linked), /never handed out/);
  expectRefused(t, watched, () => heap.free(linked + 8), /never handed out/);
  const beyond = start + tldOf(heap).i32[page + Page.capacity] * 208;
  expectRefused(t, watched, () => heap.free(beyond), /never handed out/);
  expectRefused(t, watched, () => heap.free(heap.memory.end - 64), /no such block/);
  expectRefused(t, watched, () => heap.free(2 ** 40), /no such block/);
});

test('a free of an address inside a block is refused, and says in which', (t) => {
  for (const secure of [3, 4]) {
    const watched = secureHeap(secure);
    const { heap } = watched;
    for (const size of [24, 100, 5000, 20_000, 700_000]) {
      const [block] = blocksOf(heap, 3, size);
      for (const offset of [1, 4, 8, 16, size - 1]) {
        const text = new RegExp(`inside the block at ${block} of ${size} bytes`);
        expectRefused(t, watched, () => heap.free(block + offset), text);
      }
    }
    // Beside blocks with an address inside, any address is looked up.
    const [plain] = blocksOf(heap, 1, 130);
    const inside = heap.mallocAlignedAt(70, 64, 24);
    t.is(pageOf(tldOf(heap), plain >>> 2), pageOf(tldOf(heap), inside >>> 2));
    expectRefused(t, watched, () => heap.free(plain + 16), new RegExp(`inside the block at ${plain} of 130`));
    expectRefused(t, watched, () => heap.free(inside + 8), new RegExp(`inside the block at ${inside} of 70`));
    expectRefused(
      t,
      watched,
      () => heap.free(inside - 8),
      new RegExp(`in front of the block at ${inside} of 70`),
    );
    heap.free(inside);
    expectRefused(t, watched, () => heap.free(inside), /freed twice/);
    t.deepEqual(watched.told(), []);
  }
});

test('one byte written past the end is reported at free, with its place; the block is free afterwards', (t) => {
  for (const secure of [3, 4]) {
    for (const size of SIZES) {
      const { heap, errors, told } = secureHeap(secure);
      const blocks = blocksOf(heap, 4, size);
      const [, block] = blocks;
      const used = heap.usedBytes();
      heap.memory.u8[block + size] ^= 0x80;
      heap.free(block);
      t.is(errors.length, 1, `${size}`);
      t.is(errors[0].code, 'InvalidParam');
      t.is(told()[0], `free(${block}): the block of ${size} bytes was written past its end at byte ${size}`);
      t.true(heap.usedBytes() < used);
      heap.validate({ quiet: true });
      t.true(areIntact(heap, blocks, size, [block]));
      heap.free(blocks[0]);
      heap.free(blocks[2]);
      heap.free(blocks[3]);
      heap.collect(true);
      t.is(heap.usedBytes(), 0);
      t.deepEqual(told(), []);
    }
  }
});

test('each of the next bytes is looked at as well', (t) => {
  const { heap, told } = secureHeap(3);
  // 300 bytes in a block of 320: 12 of the pattern, 4 of the state, 4 of the size.
  for (let behind = 0; behind < 20; behind++) {
    const [block] = blocksOf(heap, 1, 300);
    heap.memory.u8[block + 300 + behind] ^= 0x80;
    heap.free(block);
    const place =
      behind < 16 ? `past its end at byte ${300 + behind}$` : 'by a write in front of what starts at';
    t.regex(told().join(), new RegExp(place), `${behind}`);
  }
});

test('a level below, nobody notices', (t) => {
  const { heap, told } = secureHeap(2);
  const [block] = blocksOf(heap, 4, 100);
  heap.memory.u8[block + 100]++;
  heap.free(block);
  t.deepEqual(told(), []);
});

test('an end that is gone altogether is reported, and the block is freed by its owner', (t) => {
  const { heap, told } = secureHeap(3);
  const blocks = blocksOf(heap, 8, 200);
  // Eight bytes too many, and the same again: what lies behind is in use, too.
  heap.memory.u8.fill(0, blocks[2] + 200, blocks[2] + 208);
  const used = heap.usedBytes();
  t.is(heap.usableSize(blocks[2]), 200);
  heap.free(blocks[2]);
  t.regex(told().join(), /past its end at byte 200 or before/);
  t.is(heap.usedBytes(), used - 208);
  heap.validate({ quiet: true });
  // Freed once, it is known as free.
  heap.free(blocks[2]);
  t.regex(told().join(), /freed twice/);
  t.true(areIntact(heap, blocks, 200, [blocks[2]]));
});

test('an end that is gone does not make a second free pass', (t) => {
  const { heap, told } = secureHeap(3);
  const other = watch(MiMalloc.attach(heap.share()));
  const blocks = blocksOf(heap, 8, 200);
  const gone = blocks.slice(0, 4);
  heap.free(gone[0]);
  heap.free(gone[1]);
  heap.collect(true); // onto the free list
  heap.free(gone[2]); // onto the owner's list
  other.heap.free(gone[3]); // onto the list of other threads
  for (const block of gone) heap.memory.u8.fill(0, block + 200, block + 208);
  const used = heap.usedBytes();
  for (const block of gone) {
    heap.free(block);
    t.regex(told().join(), /nothing tells whether it is in use/, `${block}`);
    other.heap.free(block);
    t.regex(other.told().join(), /nothing tells whether it is in use/, `${block}`);
  }
  t.is(heap.usedBytes(), used);
  // When they are handed out again it is told what happened to them.
  const more = blocksOf(heap, 60, 200);
  t.true(gone.every((block) => more.includes(block)));
  t.is(new Set(more).size, 60);
  t.is(told().filter((message) => /written to after it was freed/.test(message)).length, 4);
  heap.validate({ quiet: true });
  t.true(areIntact(heap, blocks, 200, gone));
});

test('one word of the end is enough to know that a block is free, or was never handed out', (t) => {
  for (const word of [200, 204]) {
    const watched = secureHeap(3);
    const { heap } = watched;
    const [block] = blocksOf(heap, 8, 200);
    const fresh = tldOf(heap).i32[pageOf(tldOf(heap), block >>> 2) + Page.free] * 4;
    heap.free(block);
    for (const [address, text] of [
      [block, /freed twice/],
      [fresh, /never handed out/],
    ] as const) {
      tldOf(heap).i32[(address + word) >>> 2] ^= 0x1111_1111;
      t.is(heap.usableSize(address), 0);
      watched.told();
      heap.free(address);
      t.regex(watched.told().join(), text);
    }
    // The damage itself is told when another thread looks at free blocks.
    heap.collect();
    t.is(watched.told().filter((message) => /was written to/.test(message)).length, 2);
    heap.validate({ quiet: true });
  }
});

test('nor does it make one pass of a block that waits on the list of delayed frees', (t) => {
  const { heap, told } = secureHeap(3);
  const other = watch(MiMalloc.attach(heap.share()));
  const blocks = blocksOf(heap, 2000, 200);
  const pages = new Map(blocks.map((block) => [pageOf(tldOf(heap), block >>> 2), block]));
  const [, first, second, third] = [...pages.values()];
  for (const block of [first, second]) other.heap.free(block);
  for (const block of [first, second, third]) heap.memory.u8.fill(0, block + 200, block + 208);
  for (const block of [first, second]) {
    heap.free(block);
    t.regex(told().join(), /nothing tells whether it is in use/);
  }
  heap.free(third);
  t.regex(told().join(), /past its end at byte 200 or before/);
  heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 1997 * 208);
});

test('what was written past its end and is freed by another thread is reported there, and freed', (t) => {
  const { heap, told } = secureHeap(3);
  const other = watch(MiMalloc.attach(heap.share()));
  const blocks = blocksOf(heap, 8, 200);
  heap.memory.u8[blocks[1] + 200]++;
  heap.memory.u8.fill(0, blocks[3] + 200, blocks[3] + 208);
  other.heap.free(blocks[1]);
  t.regex(other.told().join(), /past its end at byte 200$/);
  // It cannot look into the owner's lists.
  other.heap.free(blocks[3]);
  t.regex(other.told().join(), /nothing tells whether it is in use/);
  t.deepEqual(told(), []);
  heap.collect(true);
  t.is(heap.usedBytes(), 7 * 208);
  heap.free(blocks[3]);
  t.regex(told().join(), /past its end at byte 200 or before/);
  heap.validate({ quiet: true });
});

test('a write in front of a block is found as far as it damages the block before', (t) => {
  const { heap, told } = secureHeap(3);
  const blocks = blocksOf(heap, 19, 200).sort((a, b) => a - b);
  for (const [index, bytes] of [
    [1, 1],
    [3, 4],
  ]) {
    const [before, block] = [blocks[index - 1], blocks[index]];
    t.is(block - before, 208);
    heap.memory.u8.fill(0x11, block - bytes, block);
    heap.free(block);
    t.deepEqual(told(), []);
    heap.free(before);
    const place = `the last bytes of the block were overwritten: probably by a write in front of what starts at ${block}`;
    t.deepEqual(told(), [`free(${before}): ${place}`]);
    heap.validate({ quiet: true });
  }
});

test('an overflow of an aligned block, and of one with an address inside, is found', (t) => {
  const { heap, told } = secureHeap(3);
  for (const allocate of [
    () => heap.alignedAlloc(64, 100),
    () => heap.alignedAlloc(4096, 100),
    () => heap.alignedAlloc(1 << 17, 100),
    () => heap.mallocAlignedAt(100, 64, 24),
    () => heap.mallocAlignedAt(100, 1 << 17, 24),
    () => heap.mallocAlignedAt(100_000, 256, 8),
  ]) {
    const block = allocate();
    t.not(block, 0);
    const size = heap.usableSize(block);
    heap.memory.u8[block + size]++;
    heap.free(block);
    t.deepEqual(told(), [
      `free(${block}): the block of ${size} bytes was written past its end at byte ${size}`,
    ]);
    heap.validate({ quiet: true });
  }
  const inside = heap.mallocAlignedAt(100, 64, 24);
  heap.memory.u8[inside - 1]++;
  heap.free(inside);
  t.deepEqual(told(), [
    `free(${inside}): the block of 100 bytes was written in front of its start, at byte -1`,
  ]);
});

test('the word that leads to an address inside a block may be lost', (t) => {
  const { heap, told } = secureHeap(3);
  const inside = heap.mallocAlignedAt(100, 64, 24);
  const page = pageOf(tldOf(heap), inside >>> 2);
  const size = tldOf(heap).i32[page + Page.blockWords] * 4;
  const start = tldOf(heap).i32[page + Page.start] * 4;
  const block = start + Math.floor((inside - start) / size) * size;
  tldOf(heap).i32[block >>> 2] = 0;
  t.is(heap.usableSize(inside), 100);
  heap.free(inside + 8);
  t.is(told().length, 1);
  heap.free(inside);
  t.regex(told().join(), /in front of its start/);
  heap.validate({ quiet: true });
  heap.collect(true);
  t.is(heap.usedBytes(), 0);
});

test('a block with an address inside it, of which the end is gone, is known by the word in front', (t) => {
  const { heap, told } = secureHeap(3);
  const inside = heap.mallocAlignedAt(70, 64, 24);
  const [neighbour] = blocksOf(heap, 1, 130);
  const page = pageOf(tldOf(heap), inside >>> 2);
  t.is(pageOf(tldOf(heap), neighbour >>> 2), page);
  const start = tldOf(heap).i32[page + Page.start] * 4;
  const block = start + Math.floor((inside - start) / 144) * 144;
  heap.memory.u8.fill(0, block + 136, block + 144);
  heap.free(block);
  t.regex(told().join(), new RegExp(`in front of the block at ${inside}`));
  heap.free(inside);
  t.regex(told().join(), /past its end at byte \d+ or before/);
  heap.memory.u8.fill(0, neighbour + 136, neighbour + 144);
  heap.free(neighbour + 8);
  t.regex(told().join(), new RegExp(`inside the block at ${neighbour}`));
  heap.free(neighbour);
  t.regex(told().join(), /past its end at byte 136 or before/);
  heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
});

test('realloc keeps the end right, in place and moved, and tells of damage', (t) => {
  const { heap, told } = secureHeap(3);
  const { u8 } = heap.memory;
  let block = heap.malloc(100);
  u8.fill(1, block, block + 100);
  for (const size of [99, 60, 61, 200, 197, 5000, 4999, 20_000, 19_999, 700_000, 699_001, 3]) {
    const next = heap.realloc(block, size);
    t.is(heap.usableSize(next), size);
    t.true(u8.subarray(next, next + Math.min(60, size)).every((byte) => byte === 1));
    block = next;
    heap.validate({ quiet: true });
  }
  heap.free(block);
  t.deepEqual(told(), []);
  // In place: the new end is guarded, too.
  block = heap.malloc(100);
  t.is(heap.realloc(block, 91), block);
  u8[block + 91] = 0;
  heap.free(block);
  t.regex(told().join(), /block of 91 bytes was written past its end at byte 91/);
  // The damage is not swept away by a block that keeps its place, or moves.
  for (const size of [90, 5000]) {
    block = heap.malloc(100);
    u8[block + 100] = 0;
    const moved = heap.realloc(block, size);
    t.regex(told().join(), /^realloc\(\d+\): the block of 100 bytes was written past its end at byte 100/);
    heap.free(moved);
  }
  t.deepEqual(told(), []);
});

test('calloc, zalloc and their kin zero to the byte', (t) => {
  const { heap, told } = secureHeap(3);
  for (let size = 0; size < 40; size++) {
    const blocks = [heap.calloc(1, size), heap.zalloc(size), heap.zallocAligned(size, 32)];
    const grown = heap.rezalloc(heap.calloc(1, 5), size);
    for (const block of [...blocks, grown]) {
      t.true(heap.memory.u8.subarray(block, block + size).every((byte) => byte === 0));
      heap.free(block);
    }
  }
  heap.validate({ quiet: true });
  t.deepEqual(told(), []);
});

test('a link that leads to a block in use hands nothing out twice', (t) => {
  const { heap, told } = secureHeap(3);
  const blocks = blocksOf(heap, 8, 200);
  const page = pageOf(tldOf(heap), blocks[0] >>> 2);
  const free = tldOf(heap).i32[page + Page.free];
  tldOf(heap).guard?.setNext(tldOf(heap), page, free, blocks[5] >>> 2);
  const more = blocksOf(heap, 50, 200);
  t.is(new Set([...blocks, ...more]).size, 58);
  t.regex(told().join(), new RegExp(`leads to the block in use at ${blocks[5]}`));
  t.true(areIntact(heap, blocks, 200));
  heap.validate({ quiet: true });
});

test('the error hook may use the heap', (t) => {
  for (const secure of [2, 3, 4]) {
    const { heap } = secureHeap(secure);
    let reports = 0;
    heap.registerError(() => {
      reports++;
      for (const block of blocksOf(heap, 30, 200)) heap.free(block);
      heap.collect(true);
      heap.validate({ quiet: true });
    });
    const blocks = blocksOf(heap, 8, 200);
    const page = pageOf(tldOf(heap), blocks[0] >>> 2);
    tldOf(heap).i32[tldOf(heap).i32[page + Page.free]] ^= 0x100;
    const more = blocksOf(heap, 30, 200);
    t.is(reports, 1);
    if (secure > 2) {
      heap.memory.u8[blocks[1] + 200]++;
      heap.free(blocks[1]);
      heap.free(blocks[1]);
      t.is(reports, 3);
    }
    heap.validate({ quiet: true });
    t.is(new Set([...blocks, ...more]).size, 38);
    t.true(areIntact(heap, blocks, 200, [blocks[1]]));
  }
});
