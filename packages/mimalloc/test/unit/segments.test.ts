import { countBits } from '@shmalloc/allocator-api';
import type { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { Heap } from '../../dist/layout/heap.js';
import { slicesOf } from '../../dist/layout/page.js';
import { Chunk, chunkAt, segmentAt } from '../../dist/layout/page-map.js';
import { forEachSegment } from '../../dist/region/walk.js';
import { claimSegmentFor, ownSegmentFor } from '../../dist/segment/arena.js';
import { FREE_SEGMENT, findSlices, Segment, type SliceRequest } from '../../dist/segment/segment.js';
import {
  counted,
  emptyOut,
  fill,
  headerField,
  pageAt,
  randomOf,
  seedOf,
  segmentBytes,
  segmentField,
  sliceBytes,
  small,
  takeAt,
} from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';

/** Segments that this thread has a free slice in, from its list; the links backwards are checked. */
function linkedSegments(t: { is(a: unknown, b: unknown): unknown }, heap: MiMalloc): number[] {
  const found: number[] = [];
  let prev = 0;
  for (
    let at = tldOf(heap).i32[tldOf(heap).heap + Heap.segments];
    at !== 0;
    at = tldOf(heap).i32[at + Segment.next]
  ) {
    t.is(tldOf(heap).i32[at + Segment.prev], prev);
    found.push(at);
    prev = at;
  }
  return found;
}

/** Every invariant of segments that `validate` leaves to the tests. */
function segmentsAreRight(
  t: { is(a: unknown, b: unknown, m?: string): unknown; true(a: boolean, m?: string): unknown },
  heap: MiMalloc,
): void {
  const linked = new Set(linkedSegments(t, heap));
  let owned = 0;
  forEachSegment(tldOf(heap), (segment) => {
    const at = (field: keyof typeof Segment): number => tldOf(heap).i32[segment + Segment[field]];
    const mine = at('threadId') === heap.threadId;
    // Those of a huge block go with the first of them, which is no thread's.
    if (mine && at('kind') === 0) owned++;
    const hasFree = (at('freeLow') | at('freeHigh')) !== 0;
    t.is(linked.has(segment), mine && at('kind') === 0 && hasFree, `segment at ${at('base') * 4}`);
    t.is(at('purgeLow') & ~at('freeLow') & (at('kind') === 0 ? -1 : 0), 0, 'PURGE ⊆ FREE');
    if (at('threadId') === FREE_SEGMENT) {
      t.is(at('freeLow'), at('presentLow'));
      t.is(at('freeHigh'), at('presentHigh'));
      t.is(at('used'), 0);
      t.is(at('kind'), 0);
    }
  });
  t.is(tldOf(heap).i32[tldOf(heap).heap + Heap.segmentCount], owned, 'segments counted');
}

/** Slices that a segment has free. */
function freeSlicesOf(heap: MiMalloc, address: number): number {
  return (
    countBits(segmentField(heap, address, 'freeLow')) + countBits(segmentField(heap, address, 'freeHigh'))
  );
}

test('slices of freed pages become one run, whatever the order, and a large block fits into it', (t) => {
  const random = randomOf(seedOf(t));
  for (let round = 0; round < 6; round++) {
    const heap = small({ bytes: 1 << 22, retireCycles: 0 });
    const slice = sliceBytes(heap);
    // A page of one slice for each of these sizes, all in one segment; then one page less at a time.
    const pages = Array.from({ length: 8 }, (_, index) => heap.malloc(16 * (index + 1)));
    t.is(new Set(pages.map((block) => segmentAt(tldOf(heap), block / 4))).size, 1);
    t.is(new Set(pages.map((block) => pageAt(heap, block))).size, 8);
    const held = heap.malloc(16 * 20);
    const rest = fill(heap, tldOf(heap).mediumMax + 1);
    while (pages.length > 0) {
      heap.free(takeAt(pages, random(pages.length)));
      heap.validate({ quiet: true });
      segmentsAreRight(t, heap);
    }
    const large = heap.malloc(8 * slice);
    t.not(large, 0, 'eight slices in a row');
    t.is(segmentAt(tldOf(heap), large / 4), segmentAt(tldOf(heap), held / 4));
    heap.validate({ quiet: true });
    emptyOut(t, heap, [...rest, held, large]);
    segmentsAreRight(t, heap);
  }
});

test('a segment whose last page goes is nobody’s, and another size or a large block can have it', (t) => {
  const heap = small({ retireCycles: 0 });
  const filled = fill(heap, 64);
  t.is(heap.malloc(5000), 0);
  const segment = segmentAt(tldOf(heap), filled[200] / 4);
  for (const block of filled) if (segmentAt(tldOf(heap), block / 4) === segment) heap.free(block);
  heap.validate({ quiet: true });
  segmentsAreRight(t, heap);
  t.is(tldOf(heap).i32[segment + Segment.threadId], FREE_SEGMENT);
  const rest = filled.filter((block) => segmentAt(tldOf(heap), block / 4) !== segment);
  const other = heap.malloc(tldOf(heap).mediumMax);
  t.is(segmentAt(tldOf(heap), other / 4), segment);
  heap.free(other);
  const large = heap.malloc(segmentBytes(heap));
  t.is(segmentAt(tldOf(heap), large / 4), segment);
  heap.validate({ quiet: true });
  emptyOut(t, heap, [...rest, large]);
});

test('the bitmap of free segments follows every claim and release', (t) => {
  const heap = small({ retireCycles: 0 });
  const bitOf = (address: number): number => {
    const words = chunkAt(tldOf(heap), (address / 4) >>> tldOf(heap).chunkShift);
    return (tldOf(heap).i32[words + Chunk.free] >>> (((address / 4) >>> tldOf(heap).segmentShift) & 15)) & 1;
  };
  const blocks = fill(heap, 1000);
  for (const block of blocks) t.is(bitOf(block), 0);
  for (const block of blocks) heap.free(block);
  for (const block of blocks) t.is(bitOf(block), 1);
  t.is(counted(heap, 'segmentsClaimed'), counted(heap, 'segmentsReleased'));
  heap.validate({ quiet: true });
});

test('a thread looks into its own segments first, and claims another only when none has room', (t) => {
  const heap = small({ bytes: 1 << 24 });
  const slices = tldOf(heap).slicesPerSegment;
  // One page for each bin of one slice: fewer than a segment has slices.
  const blocks: number[] = [];
  for (let size = 16; blocks.length < slices - 12; size += 16) blocks.push(heap.malloc(size));
  t.is(counted(heap, 'segmentsClaimed'), 1);
  segmentsAreRight(t, heap);
  const [medium] = [heap.malloc(tldOf(heap).mediumMax)];
  t.true(counted(heap, 'segmentsClaimed') <= 2);
  heap.validate({ quiet: true });
  emptyOut(t, heap, [...blocks, medium]);
});

test('a segment is found in which the request can be met, one’s own before a free one, or none', (t) => {
  const heap = small();
  const segmentFor = (at: MiMalloc, arena: number, request: SliceRequest): number =>
    ownSegmentFor(tldOf(at), arena, request) || claimSegmentFor(tldOf(at), arena, request);
  for (const count of [1, 2, 8, tldOf(heap).slicesPerSegment]) {
    const request = { count, align: 1, residue: 0 };
    const segment = segmentFor(heap, 0, request);
    t.true(findSlices(tldOf(heap), segment, request) >= 0);
    t.is(tldOf(heap).i32[segment + Segment.threadId], heap.threadId);
  }
  t.is(segmentFor(heap, 0, { count: tldOf(heap).slicesPerSegment + 1, align: 1, residue: 0 }), 0);
  t.is(segmentFor(heap, 1, { count: 1, align: 1, residue: 0 }), 0, 'an arena that there is not');
  t.is(linkedSegments(t, heap).length, counted(heap, 'segmentsClaimed'));
});

test('when no eight slices in a row are left, a page of fewer serves, down to one that holds a block', (t) => {
  const heap = small({ retireCycles: 0 });
  const size = tldOf(heap).mediumMax / 2 - 16; // fits into one slice
  const blocks = fill(heap, size);
  const counts = new Set(blocks.map((block) => slicesOf(tldOf(heap), pageAt(heap, block))));
  t.true(counts.has(8), [...counts].join());
  t.true(
    [...counts].some((slices) => slices < 8),
    [...counts].join(),
  );
  // Every slice is in a page.
  let free = 0;
  forEachSegment(tldOf(heap), (segment) => {
    free +=
      countBits(tldOf(heap).i32[segment + Segment.freeLow]) +
      countBits(tldOf(heap).i32[segment + Segment.freeHigh]);
  });
  t.is(free, 0);
  heap.validate({ quiet: true });
  emptyOut(t, heap, blocks);
});

test('a page of fewer slices than usual is one like others: it fills, comes back and goes', (t) => {
  const heap = small({ retireCycles: 0 });
  const size = tldOf(heap).mediumMax / 2 - 16;
  const blocks = fill(heap, size);
  const little = blocks.filter((block) => slicesOf(tldOf(heap), pageAt(heap, block)) < 8);
  for (const block of little) {
    heap.free(block);
    heap.validate({ quiet: true });
    const again = heap.malloc(size);
    t.not(again, 0);
    heap.validate({ quiet: true });
  }
});

test('large blocks take exactly the slices they need, first fit, and give them back', (t) => {
  const heap = small({ bytes: 1 << 24 });
  const slice = sliceBytes(heap);
  const most = tldOf(heap).slicesPerSegment;
  const home = heap.malloc(8); // in the first segment, which shares its slices with the header
  for (const slices of [3, 5, most >> 1, most - 1, most]) {
    const block = heap.malloc(slices * slice);
    t.is(slicesOf(tldOf(heap), pageAt(heap, block)), slices);
    t.is(heap.usableSize(block), slices * slice);
    if (segmentAt(tldOf(heap), block / 4) !== segmentAt(tldOf(heap), home / 4))
      t.is(freeSlicesOf(heap, block), most - slices);
    heap.validate({ quiet: true });
    heap.free(block);
    heap.validate({ quiet: true });
    segmentsAreRight(t, heap);
  }
  t.is(heap.usedBytes(), 8);
});

test('a large block ends where its OS pages do, and the rest of its last slice costs no memory', (t) => {
  const heap = small({ bytes: 1 << 26 });
  const slice = sliceBytes(heap);
  t.true(slice > 4096);
  heap.free(heap.malloc(100_000)); // the segment's descriptors have memory from here on
  heap.collect(true);
  const before = headerField(heap, 'committed');
  const block = heap.malloc(3 * slice + 1);
  t.is(heap.usableSize(block), 3 * slice + 4096);
  t.is(headerField(heap, 'committed') - before, (3 * slice) / 4096 + 1);
  heap.free(block);
  heap.validate({ quiet: true });
});

test('random pages of every kind keep the lists and bitmaps of segments right', (t) => {
  const random = randomOf(seedOf(t));
  const heap = small({ bytes: 1 << 21 });
  const live: number[] = [];
  for (let step = 0; step < 3000; step++) {
    if (live.length === 0 || random(100) < 55) {
      const kind = random(10);
      const size =
        kind < 5 ? random(600) : kind < 8 ? random(tldOf(heap).mediumMax) : random(2 * segmentBytes(heap));
      const block = heap.malloc(size);
      if (block !== 0) live.push(block);
    } else heap.free(takeAt(live, random(live.length)));
    heap.validate({ quiet: true });
    if (step % 8 === 0) segmentsAreRight(t, heap);
  }
  t.log(`${counted(heap, 'segmentsClaimed')} segments claimed, ${counted(heap, 'failures')} answers of 0`);
  emptyOut(t, heap, live);
  segmentsAreRight(t, heap);
});
