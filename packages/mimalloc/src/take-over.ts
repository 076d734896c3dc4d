/**
 * Segments that this thread has in hand for a moment: of a thread that has ended, or abandoned ones that somebody wants to see.
 *
 * ```
 *   a name, or ABANDONED ──takeOver, one exchange──▶ this thread's, in no list of it ──letGo──▶ ABANDONED, or free when it has no live block
 * ```
 *
 * Its pages have no owner all that time, so frees of any thread go onto their own lists. If this thread ends in here, the segment has its name, and is mended
 * again by whoever reaps it.
 */

import { abandonSegment } from './abandon.ts';
import { bitOf } from './arena.ts';
import type { Word } from './geometry.ts';
import { Heap } from './heap.ts';
import { countOf, giveBack } from './huge.ts';
import { mendSegment } from './mend.ts';
import { Chunk, chunkAt, segmentAt } from './page-map.ts';
import { reachSegment } from './reach-segment.ts';
import { KIND_HUGE, Segment } from './segment.ts';
import { Counter, count } from './stats.ts';
import type { Tld } from './tld.ts';
import { forEachPageIn } from './walk.ts';

/** How many segments there are with this one: a huge block's, if its page is there to vouch for the count. */
export function extentOf(tld: Tld, segment: Word): number {
  let segments = 1;
  if (tld.i32[segment + Segment.kind] === KIND_HUGE)
    forEachPageIn(tld, segment, () => {
      segments = countOf(tld, segment);
    });
  return segments;
}

/** Calls back for the segments behind the first one of a huge block. */
function forEachTail(tld: Tld, segment: Word, extent: number, visit: (tail: Word) => void): void {
  const base = tld.i32[segment + Segment.base];
  for (let index = 1; index < extent; index++) visit(segmentAt(tld, base + (index << tld.segmentShift)));
}

/**
 * Makes a segment this thread's, with views that reach all of it.
 * @param name - whose it is
 * @returns false when somebody else was quicker
 */
export function takeOver(tld: Tld, segment: Word, name: number): boolean {
  const { crossings } = tld;
  if (tld.i32[segment + Segment.threadId] !== name) return false;
  // Acquire: pairs with the store in `abandonSegment`, or with whatever brought the news of the thread's end.
  if (!crossings.claim(segment + Segment.threadId, name, tld.threadId)) return false;
  reachSegment(tld, segment);
  const { i32 } = tld;
  const base = i32[segment + Segment.base];
  const chunk = chunkAt(tld, base >>> tld.chunkShift);
  // A thread may have ended between claiming it and taking its bit away, or between setting a bit and letting go.
  crossings.clearBits(chunk + Chunk.free, bitOf(tld, base));
  crossings.clearBits(chunk + Chunk.abandoned, bitOf(tld, base));
  const extent = extentOf(tld, segment);
  i32[tld.heap + Heap.segmentCount] += extent;
  // While the page is there to vouch for them: without it their name is all that tells whose they are.
  forEachTail(tld, segment, extent, (tail) => {
    i32[tail + Segment.threadId] = tld.threadId;
  });
  return true;
}

/** Mends a segment that was taken over, and lets go of it. */
export function letGo(tld: Tld, segment: Word): void {
  const { i32 } = tld;
  const extent = extentOf(tld, segment);
  if (mendSegment(tld, segment)) {
    i32[tld.heap + Heap.segmentCount] -= extent;
    abandonSegment(tld, segment);
    return;
  }
  count(tld, tld.heap, Counter.segmentsReleased);
  forEachTail(tld, segment, extent, (tail) => giveBack(tld, tail));
  giveBack(tld, segment);
}
