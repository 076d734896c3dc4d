/**
 * The arena: all memory of the region, as segments that threads claim and release.
 *
 * ```
 *   create ─┐                                      ┌─▶ a thread's segment: pages
 *   init ───┼─▶ ranges ─▶ slices ─▶ free segments ─┤                                ─▶ back, when its last page goes
 *   addMemory                (PRESENT)             └─▶ n in a row: one huge block
 *   growth ─┘
 * ```
 *
 * A segment belongs to the thread that has exchanged its THREAD_ID from 0 to its own name: `claim` is the one
 * way to do so. It returns with views that reach the segment, and what the claim was made for is looked at
 * once more afterwards. The chunk's FREE bits only save a searcher from looking at each segment: a bit that
 * is set too long costs a failed exchange, and one that is missing too long hides a segment until its
 * releaser has set it.
 */

import type { Word } from '@shmalloc/allocator-api';
import { Counter, count } from '../layout/counters.ts';
import { SEGMENTS_PER_CHUNK } from '../layout/geometry.ts';
import { Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import { Chunk, chunkAt, segmentAt } from '../layout/page-map.ts';
import type { Tld } from '../thread/thread-view.ts';
import { highChunk, isSegment, lowChunk, mostSegments, tableOf } from './bounds.ts';
import {
  countCommitted,
  FREE_SEGMENT,
  findSlices,
  freePresent,
  KIND_PAGES,
  linkSegment,
  Segment,
  type SliceRequest,
  unlinkSegment,
} from './segment.ts';
import { findRun } from './slices.ts';

/** The bits of a chunk's words that stand for segments. */
const CHUNK_MASK: number = (1 << SEGMENTS_PER_CHUNK) - 1;

/** Whether a segment's slices could meet the request if it were claimed. */
function couldServe(
  tld: Tld,
  segment: Word,
  arena: number,
  { count: slices, align, residue }: SliceRequest,
): boolean {
  const { i32 } = tld;
  return (
    i32[segment + Segment.arena] === arena &&
    findRun(i32[segment + Segment.presentLow], i32[segment + Segment.presentHigh], slices, align, residue) >=
      0
  );
}

/**
 * Makes this thread a segment's owner, with views that reach all of it. What was known of the segment before
 * is to be looked at again: until the exchange others may have had it, taken slices out of it for heap
 * records, and let it go again.
 * @returns false when another thread was quicker
 */
export function claim(tld: Tld, segment: Word): boolean {
  const { crossings } = tld;
  // Acquire: pairs with the store in `release`, and receives the segment as its last owner left it.
  if (!crossings.claim(segment + Segment.threadId, FREE_SEGMENT, tld.threadId)) return false;
  if (!freePresent(tld, segment)) {
    tld.damage(`the segment at ${tld.i32[segment + Segment.base] * 4} has slices beyond the memory`);
    crossings.store(segment + Segment.threadId, FREE_SEGMENT);
    return false;
  }
  const base = tld.i32[segment + Segment.base];
  const chunk = chunkAt(tld, base >>> tld.chunkShift);
  crossings.clearBits(chunk + Chunk.free, bitOf(tld, base));
  tld.i32[tld.heap + Heap.segmentCount]++;
  return true;
}

/** Counts the memory of a segment's descriptors, an OS page, when it gets its first page. */
export function touch(tld: Tld, segment: Word): void {
  const { i32 } = tld;
  if (i32[segment + Segment.touched] !== 0) return;
  i32[segment + Segment.touched] = 1;
  countCommitted(tld, 1);
}

/** Lets a segment without pages go. */
export function release(tld: Tld, segment: Word): void {
  const { i32, crossings } = tld;
  const base = i32[segment + Segment.base];
  i32[segment + Segment.kind] = KIND_PAGES;
  i32[segment + Segment.count] = 0;
  i32[segment + Segment.freeLow] = i32[segment + Segment.presentLow];
  i32[segment + Segment.freeHigh] = i32[segment + Segment.presentHigh];
  const purgeAt = i32[segment + Segment.purgeAt];
  if (purgeAt !== 0 && i32[tld.header + Field.purgeAt] === 0) i32[tld.header + Field.purgeAt] = purgeAt;
  i32[tld.heap + Heap.segmentCount]--;
  // The bit first: a thread that ends in between leaves a bit that says too much, and no segment that no
  // thread finds.
  crossings.setBits(chunkAt(tld, base >>> tld.chunkShift) + Chunk.free, bitOf(tld, base));
  // Release: pairs with the exchange in `claim`.
  crossings.store(segment + Segment.threadId, FREE_SEGMENT);
}

/** A segment's bit in its chunk's words. */
export function bitOf(tld: Tld, base: Word): number {
  return 1 << ((base >>> tld.segmentShift) & (SEGMENTS_PER_CHUNK - 1));
}

/**
 * Calls back for every segment of which a bit is set in this word of its chunk, in address order, until one
 * is accepted.
 */
export function findSegment(tld: Tld, field: number, accept: (segment: Word) => boolean): Word {
  const high = highChunk(tld);
  for (let chunk = lowChunk(tld); chunk < high; chunk++) {
    const words = tableOf(tld, chunk);
    if (words === 0) continue;
    for (let bits = tld.i32[words + field] & CHUNK_MASK; bits !== 0; bits &= bits - 1) {
      const index = 31 - Math.clz32(bits & -bits);
      const base = (chunk << tld.chunkShift) + (index << tld.segmentShift);
      const segment = segmentAt(tld, base);
      const found = tld.i32[segment + Segment.base];
      if (found === base) {
        if (accept(segment)) return segment;
        // 0: another thread has set the bit just now, and this one does not see what it wrote before.
      } else if (found !== 0) tld.damage(`the segment at ${base * 4} says that it lies at ${found * 4}`);
    }
  }
  return 0;
}

/**
 * A segment that this thread has and in which the request can be met.
 * @returns 0 when there is none
 */
export function ownSegmentFor(tld: Tld, arena: number, request: SliceRequest): Word {
  const { i32 } = tld;
  let left = mostSegments(tld);
  for (let segment = i32[tld.heap + Heap.segments]; segment !== 0; segment = i32[segment + Segment.next]) {
    if (--left < 0 || !isSegment(tld, segment)) {
      tld.damage(`the list of segments leads to ${segment * 4}, which is none, or does not end`);
      return 0;
    }
    if (i32[segment + Segment.arena] === arena && findSlices(tld, segment, request) >= 0) return segment;
  }
  return 0;
}

/**
 * Claims a free segment in which the request can be met.
 * @returns 0 when there is none
 */
export function claimSegmentFor(tld: Tld, arena: number, request: SliceRequest): Word {
  const found = findSegment(tld, Chunk.free, (segment) => {
    if (!couldServe(tld, segment, arena, request) || !claim(tld, segment)) return false;
    if (tld.i32[segment + Segment.arena] === arena && findSlices(tld, segment, request) >= 0) return true;
    release(tld, segment);
    return false;
  });
  if (found === 0) return 0;
  count(tld, tld.heap, Counter.segmentsClaimed);
  touch(tld, found);
  linkSegment(tld, found);
  return found;
}

/** Gives back a segment whose last page has gone. */
export function releaseSegment(tld: Tld, segment: Word): void {
  unlinkSegment(tld, segment);
  count(tld, tld.heap, Counter.segmentsReleased);
  release(tld, segment);
}
