/**
 * Segments that this thread has in hand for a moment: of a thread that has ended, or abandoned ones that
 * another thread wants to see.
 *
 * ```
 *   a name, or ABANDONED ──takeOver, one exchange──▶ this thread's, in no list of it ──letGo──▶
 *        ABANDONED, or free when it has no live block
 * ```
 *
 * Its pages have no owner all that time, so frees of any thread go onto their own lists. If this thread ends
 * in here, the segment has its name, and is mended again by the thread that reaps it.
 */

import type { Word } from '@shmalloc/allocator-api';
import { countOf, giveBack } from '../huge/huge.ts';
import { dropHuge } from '../huge/huge-block.ts';
import { Counter, count } from '../layout/counters.ts';
import { Heap } from '../layout/heap.ts';
import { Page } from '../layout/page.ts';
import { Chunk, chunkAt, sliceAt } from '../layout/page-map.ts';
import { reachSegment } from '../region/reach-segment.ts';
import { bitOf } from '../segment/arena.ts';
import { KIND_HUGE, Segment } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import { abandonSegment } from './abandon.ts';
import { mendSegment } from './mend.ts';

/** How many segments there are with this one: a huge block's, if its page is there to vouch for the count. */
export function extentOf(tld: Tld, segment: Word): number {
  return hugePageOf(tld, segment) === 0 ? 1 : countOf(tld, segment);
}

/** Whether a page starts in a slice. */
function isFirst(tld: Tld, slice: Word): boolean {
  // Acquire: pairs with the store in `dropHuge`.
  return tld.crossings.load(slice + Page.blockWords) !== 0;
}

/** The page of the huge block that starts in a segment; 0 when it has none, or no longer. */
function hugePageOf(tld: Tld, segment: Word): Word {
  if (tld.i32[segment + Segment.kind] !== KIND_HUGE) return 0;
  const base = tld.i32[segment + Segment.base];
  for (let slice = 0; slice < tld.slicesPerSegment; slice++) {
    const page = sliceAt(tld, base + (slice << tld.sliceShift));
    if (isFirst(tld, page)) return page;
  }
  return 0;
}

/**
 * Makes a segment this thread's, with views that reach all of it.
 * @param name - whose it is
 * @returns false when another thread was quicker
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
  // A thread may have ended between claiming it and taking its bit away, or between setting a bit and letting
  // go.
  crossings.clearBits(chunk + Chunk.free, bitOf(tld, base));
  crossings.clearBits(chunk + Chunk.abandoned, bitOf(tld, base));
  i32[tld.heap + Heap.segmentCount] += extentOf(tld, segment);
  return true;
}

/** Mends a segment that was taken over, and lets go of it. */
export function letGo(tld: Tld, segment: Word): void {
  const page = hugePageOf(tld, segment);
  // A huge block has a thread's name only while it is made or freed.
  if (page !== 0) dropHuge(tld, segment, page);
  else if (mendSegment(tld, segment)) {
    tld.i32[tld.heap + Heap.segmentCount]--;
    abandonSegment(tld, segment);
  } else {
    count(tld, tld.heap, Counter.segmentsReleased);
    giveBack(tld, segment);
  }
}
