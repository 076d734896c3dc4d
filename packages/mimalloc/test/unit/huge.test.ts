import type { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { Heap } from '../../dist/layout/heap.js';
import { slicesOf } from '../../dist/layout/page.js';
import { segmentAt } from '../../dist/layout/page-map.js';
import { forEachSegment } from '../../dist/region/walk.js';
import {
  FREE_SEGMENT,
  HUGE_SEGMENT,
  KIND_HUGE,
  KIND_HUGE_TAIL,
  KIND_PAGES,
  Segment,
} from '../../dist/segment/segment.js';
import {
  counted,
  emptyOut,
  fill,
  pageAt,
  randomOf,
  seedOf,
  segmentBytes,
  segmentField,
  shuffle,
  small,
  takeAt,
  watch,
} from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';

/** Segments that are wholly there. */
function wholeSegments(heap: MiMalloc): number {
  let whole = 0;
  forEachSegment(tldOf(heap), (segment) => {
    const { i32, slicesPerSegment } = tldOf(heap);
    const high = slicesPerSegment > 32 ? -1 >>> (64 - slicesPerSegment) : 0;
    const low = slicesPerSegment >= 32 ? -1 : (1 << slicesPerSegment) - 1;
    if (i32[segment + Segment.presentLow] === low && i32[segment + Segment.presentHigh] === high) whole++;
  });
  return whole;
}

test('a huge block takes contiguous segments: the first says how many, the others that they follow', (t) => {
  const heap = small({ bytes: 1 << 22 });
  const step = segmentBytes(heap);
  for (const segments of [2, 3, 7]) {
    const block = heap.malloc((segments - 1) * step + 1);
    t.is(slicesOf(tldOf(heap), pageAt(heap, block)), 0);
    t.is(block % step, 0);
    t.is(segmentField(heap, block, 'kind'), KIND_HUGE);
    t.is(segmentField(heap, block, 'count'), segments);
    t.is(segmentField(heap, block, 'threadId'), HUGE_SEGMENT);
    t.is(tldOf(heap).i32[tldOf(heap).heap + Heap.segmentCount], 0, 'they are nobody’s');
    for (let index = 1; index < segments; index++) {
      t.is(segmentField(heap, block + index * step, 'kind'), KIND_HUGE_TAIL);
      t.is(segmentField(heap, block + index * step, 'threadId'), heap.threadId);
      t.is(pageAt(heap, block + index * step), 0, 'only the block itself leads to its page');
    }
    t.is(heap.usableSize(block), (segments - 1) * step + 4096);
    heap.validate({ quiet: true });
    heap.free(block);
    heap.validate({ quiet: true });
    for (let index = 0; index < segments; index++) {
      t.is(segmentField(heap, block + index * step, 'threadId'), FREE_SEGMENT);
      t.is(segmentField(heap, block + index * step, 'kind'), KIND_PAGES);
    }
    t.is(tldOf(heap).i32[tldOf(heap).heap + Heap.segmentCount], 0);
  }
  t.is(counted(heap, 'hugePages'), 3);
});

test('every byte of a huge block can be written without a trace elsewhere', (t) => {
  const heap = small({ bytes: 1 << 22 });
  const below = heap.malloc(100);
  const size = 5 * segmentBytes(heap) - 4096;
  const block = heap.malloc(size);
  const above = heap.malloc(size >> 1);
  heap.memory.u8.fill(0xa5, block, block + heap.usableSize(block));
  heap.validate({ quiet: true });
  emptyOut(t, heap, [below, block, above]);
});

test('all whole segments together are one block, and nothing is lost when it is freed', (t) => {
  for (const bytes of [1 << 20, 1 << 22, 3 << 22]) {
    const heap = small({ bytes });
    const all = wholeSegments(heap) * segmentBytes(heap);
    for (let round = 0; round < 3; round++) {
      const block = heap.malloc(all);
      t.not(block, 0, `${all} of ${bytes}`);
      t.is(heap.malloc(segmentBytes(heap)), 0);
      heap.validate({ quiet: true });
      heap.free(block);
      heap.validate({ quiet: true });
    }
    t.is(heap.malloc(all + 1), 0);
    t.is(heap.usedBytes(), 0);
  }
});

test('a huge block goes into the gap that is long enough, and into no other', (t) => {
  const heap = small({ bytes: 1 << 22 });
  const step = segmentBytes(heap);
  const blocks = fill(heap, step);
  const gaps = [blocks.slice(2, 4), blocks.slice(6, 9)];
  for (const gap of gaps) for (const block of gap) heap.free(block);
  heap.validate({ quiet: true });
  const three = heap.malloc(3 * step);
  t.is(three, gaps[1][0]);
  t.is(heap.malloc(3 * step), 0);
  const two = heap.malloc(2 * step);
  t.is(two, gaps[0][0]);
  heap.validate({ quiet: true });
  const freed = new Set(gaps.flat());
  emptyOut(t, heap, [three, two, ...blocks.filter((block) => !freed.has(block))]);
});

test('a claim that fails half way gives back what it had claimed', (t) => {
  const heap = small({ bytes: 1 << 22 });
  const step = segmentBytes(heap);
  const other = fill(heap, step).slice(0, -1);
  const held = other[5];
  for (const block of other) if (block !== held) heap.free(block);
  heap.validate({ quiet: true });
  const total = wholeSegments(heap);
  t.is(heap.malloc((total - 2) * step), 0, 'a segment in the middle is in use');
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 2 * step);
});

test('a huge block that grows takes the free segments behind it and stays where it is', (t) => {
  const heap = small({ bytes: 1 << 22 });
  const step = segmentBytes(heap);
  const block = heap.malloc(2 * step);
  heap.memory.u8.fill(0x77, block, block + 2 * step);
  t.is(heap.realloc(block, 3 * step), block);
  t.is(heap.usableSize(block), 3 * step);
  t.is(segmentField(heap, block, 'count'), 3);
  heap.validate({ quiet: true });
  t.is(heap.realloc(block, 6 * step - 4096), block);
  t.is(segmentField(heap, block, 'count'), 6);
  t.is(heap.realloc(block, 6 * step), block, 'its last segment is not used up');
  t.is(segmentField(heap, block, 'count'), 6);
  heap.validate({ quiet: true });
  t.true(heap.memory.u8.subarray(block, block + 2 * step).every((byte) => byte === 0x77));
  heap.free(block);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
  t.is(tldOf(heap).i32[tldOf(heap).heap + Heap.segmentCount], 0);
});

test('a huge block whose neighbour is in use moves when it grows, contents and all', (t) => {
  const heap = small({ bytes: 1 << 22 });
  const step = segmentBytes(heap);
  const block = heap.malloc(2 * step);
  const neighbour = heap.malloc(step);
  t.is(neighbour, block + 2 * step);
  heap.memory.u8.fill(0x77, block, block + 2 * step);
  const moved = heap.realloc(block, 4 * step);
  t.not(moved, block);
  t.not(moved, 0);
  t.true(heap.memory.u8.subarray(moved, moved + 2 * step).every((byte) => byte === 0x77));
  t.is(pageAt(heap, block), 0, 'the old place is free');
  heap.validate({ quiet: true });
  emptyOut(t, heap, [moved, neighbour]);
});

test('a huge block at the end of memory cannot grow in place, and what cannot grow at all stays', (t) => {
  const heap = small({ bytes: 1 << 20 });
  const step = segmentBytes(heap);
  const blocks = fill(heap, step);
  const last = Math.max(...blocks);
  heap.memory.u8.fill(0x77, last, last + step);
  t.is(heap.realloc(last, 2 * step), 0);
  t.is(heap.usableSize(last), step);
  t.true(heap.memory.u8.subarray(last, last + step).every((byte) => byte === 0x77));
  heap.validate({ quiet: true });
  emptyOut(t, heap, blocks);
});

test('a large block grows over the free slices behind it, up to the end of its segment', (t) => {
  const heap = small({ bytes: 1 << 22 });
  const slice = 4 << tldOf(heap).sliceShift;
  const most = tldOf(heap).slicesPerSegment;
  heap.malloc(segmentBytes(heap) / 2); // not in the first segment, which is not whole
  const block = heap.malloc(3 * slice);
  const segment = segmentAt(tldOf(heap), block / 4);
  const place = (block - segmentField(heap, block, 'base') * 4) / slice;
  for (let slices = 4; slices <= most - place; slices++) {
    t.is(heap.realloc(block, slices * slice), block);
    t.is(slicesOf(tldOf(heap), pageAt(heap, block)), slices);
    t.is(pageAt(heap, block + (slices - 1) * slice), pageAt(heap, block), 'its last slice leads to it');
    heap.validate({ quiet: true });
  }
  const moved = heap.realloc(block, (most - place + 1) * slice);
  t.true(moved !== block && moved !== 0);
  heap.validate({ quiet: true });
  t.not(segmentAt(tldOf(heap), moved / 4), segment);
});

test('a large block grows up to the end of its segment and not beyond, in segments of 64 slices, too', (t) => {
  const heap = small({ memory: new SharedArrayBuffer(128 * 2 ** 20) });
  t.is(tldOf(heap).slicesPerSegment, 64);
  const slice = 4 << tldOf(heap).sliceShift;
  const first = heap.malloc(40 * slice);
  const home = heap.malloc(20 * slice);
  const [below, above] = first < home ? [first, home] : [home, first];
  t.is(segmentAt(tldOf(heap), above / 4), segmentAt(tldOf(heap), below / 4));
  const end = segmentField(heap, above, 'base') * 4 + segmentBytes(heap);
  t.is(heap.realloc(above, end - above), above);
  heap.validate({ quiet: true });
  heap.free(below);
  const moved = heap.realloc(above, end - above + slice);
  t.true(moved !== 0 && moved !== above, 'free slices at the other end are of no use');
  heap.validate({ quiet: true });
  emptyOut(t, heap, [moved]);
});

test('a huge block grows into a segment that is not wholly there as far as it is', (t) => {
  const bytes = (1 << 22) - (1 << 15);
  const heap = small({ memory: new SharedArrayBuffer(1 << 22), end: bytes });
  const step = segmentBytes(heap);
  const last = Math.floor(bytes / step) * step - 2 * step;
  const blocks = fill(heap, 2 * step);
  const block = blocks.find((each) => each === last) ?? 0;
  t.not(block, 0);
  t.is(segmentField(heap, last + 2 * step, 'threadId'), FREE_SEGMENT);
  const most = bytes - last;
  t.is(heap.realloc(block, most + 1), 0, 'not beyond what there is');
  heap.validate({ quiet: true });
  t.is(segmentField(heap, last + 2 * step, 'kind'), KIND_PAGES);
  t.is(heap.realloc(block, 2 * step + 8192), block);
  t.is(heap.realloc(block, most + 1), 0, 'nor within the segment that it has now');
  t.is(heap.realloc(block, most), block);
  heap.memory.u8.fill(1, block, block + most);
  heap.validate();
  t.is(segmentField(heap, last + 2 * step, 'kind'), KIND_HUGE_TAIL);
  heap.free(block);
  heap.collect(true);
  heap.validate();
  t.is(segmentField(heap, last + 2 * step, 'threadId'), FREE_SEGMENT);
});

test('a large block does not grow over slices that are in a page', (t) => {
  const heap = small({ bytes: 1 << 22 });
  const slice = 4 << tldOf(heap).sliceShift;
  const first = heap.malloc(3 * slice);
  const second = heap.malloc(3 * slice);
  t.is(second, first + 3 * slice);
  const moved = heap.realloc(first, 4 * slice);
  t.not(moved, first);
  heap.validate({ quiet: true });
  emptyOut(t, heap, [moved, second]);
});

test('within its last OS page a large block grows for nothing', (t) => {
  const heap = small({ bytes: 1 << 24 });
  const block = heap.malloc(100_000);
  const usable = heap.usableSize(block);
  t.is(usable, Math.ceil(100_000 / 4096) * 4096);
  t.is(heap.realloc(block, usable), block);
  t.is(heap.usableSize(block), usable);
  heap.validate({ quiet: true });
  emptyOut(t, heap, [block]);
});

test('an address inside a large or huge block is none that was handed out', (t) => {
  for (const size of [100_000, 1_000_000, 5_000_000]) {
    const { heap, errors } = watch(small({ bytes: 1 << 24 }));
    const block = heap.malloc(size);
    const inside = [8, 64, 4096, 65_536, size >> 1, size - 8, size - 16].map((at) => (block + at) & ~7);
    for (const address of inside) {
      const before = errors.length;
      heap.free(address);
      t.is(heap.usableSize(address), 0);
      t.is(heap.realloc(address, 10), 0);
      t.is(errors.length, before + 3, `${size}: ${address - block}`);
      heap.validate({ quiet: true });
    }
    t.true(heap.usableSize(block) >= size);
    emptyOut(t, heap, [block]);
  }
});

test('a large or huge block is freed twice: reported, and nothing else', (t) => {
  for (const size of [100_000, 5_000_000]) {
    const { heap, errors } = watch(small({ bytes: 1 << 24 }));
    const block = heap.malloc(size);
    heap.free(block);
    heap.free(block);
    t.is(errors.length, 1);
    t.regex(errors[0].message, new RegExp(`free\\(${block}\\)`));
    heap.validate({ quiet: true });
    t.is(heap.usedBytes(), 0);
  }
});

test('memory that cannot be had from the layer below makes a large allocation fail and nothing else', (t) => {
  let willing = true;
  const os = {
    reserve: () => null,
    commit: () => willing,
    decommit: () => {},
    reset: () => {},
    purgeDelay: 10,
    now: () => 0,
  };
  const heap = small({ bytes: 1 << 22, os });
  const held = heap.malloc(100);
  willing = false;
  for (const size of [5000, 100_000, 1_000_000]) {
    t.is(heap.malloc(size), 0);
    heap.validate({ quiet: true });
    t.is(heap.alignedAlloc(4096, size), 0);
    heap.validate({ quiet: true });
  }
  willing = true;
  const blocks = [5000, 100_000, 1_000_000].map((size) => heap.malloc(size));
  t.true(blocks.every((block) => block !== 0));
  heap.validate({ quiet: true });
  willing = false;
  const usable = heap.usableSize(blocks[1]);
  t.is(heap.realloc(blocks[1], 2_000_000), 0, 'nor can a block grow');
  t.is(heap.usableSize(blocks[1]), usable);
  heap.validate({ quiet: true });
  emptyOut(t, heap, [held, ...blocks]);
});

test('random large and huge blocks leave nothing behind', (t) => {
  const random = randomOf(seedOf(t));
  const heap = small({ bytes: 1 << 22 });
  const step = segmentBytes(heap);
  const all = wholeSegments(heap);
  const live: number[] = [];
  for (let turn = 0; turn < 600; turn++) {
    const size = 1 + random(random(2) === 0 ? step : 5 * step);
    const choice = live.length < 2 ? 0 : random(4);
    if (choice < 2) {
      const block = heap.malloc(size);
      if (block !== 0) live.push(block);
    } else if (choice === 2) {
      const index = random(live.length);
      live[index] = heap.realloc(live[index], size) || live[index];
    } else heap.free(takeAt(live, random(live.length)));
    heap.validate({ quiet: true });
  }
  emptyOut(t, heap, shuffle(live, random));
  const block = heap.malloc(all * step);
  t.not(block, 0);
  emptyOut(t, heap, [block]);
});
