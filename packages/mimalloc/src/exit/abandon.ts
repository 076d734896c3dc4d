/**
 * Threads that end. What a thread still has in use when it detaches belongs to no thread for a while: a
 * thread that needs memory adopts it.
 *
 * ```
 *   owner's name ──detach──▶ ABANDONED (1) ──reclaim, one exchange──▶ the new owner's name
 *                              │  ▲
 *                              │  └ frees of other threads go on: onto each page's XTHREAD_FREE
 *                              └ the chunk's ABANDONED bit helps to find it
 * ```
 */

import type { Word } from '@shmalloc/allocator-api';
import { collectHeap } from '../foreign/collect.ts';
import { collectAllDelayed, collectDelayed } from '../foreign/delayed.ts';
import { Heap } from '../layout/heap.ts';
import { GUARDED, HAS_ALIGNED, Page } from '../layout/page.ts';
import { Chunk, chunkAt } from '../layout/page-map.ts';
import { forEachPage } from '../page/queue.ts';
import { resetHeap } from '../region/thread-table.ts';
import { forEachHeap, forEachSegment } from '../region/walk.ts';
import { bitOf, findSegment } from '../segment/arena.ts';
import { ABANDONED_SEGMENT, KIND_HUGE_TAIL, Segment } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import { reclaim } from './reclaim.ts';

/** Lets go of everything that this thread has, and of its name. */
export function abandonThread(tld: Tld): void {
  forEachHeap(tld, (heap) => {
    collectHeap(tld, heap, true);
    forEachPage(tld, heap, (page) => {
      // From here on no thread waits for news of this page: frees go onto its own list.
      tld.crossings.unmark(page + Page.xthreadFree);
      tld.i32[page + Page.xthreadId] &= HAS_ALIGNED | GUARDED;
    });
  });
  forEachSegment(tld, (segment) => {
    const { i32 } = tld;
    // Huge blocks are no thread's already; what follows the first segment of one may have this thread's name,
    // and goes with it.
    if (i32[segment + Segment.threadId] === tld.threadId && i32[segment + Segment.kind] !== KIND_HUGE_TAIL)
      abandonSegment(tld, segment);
  });
  tld.guests = null;
  forEachHeap(tld, (heap) => {
    // What came while the pages were let go.
    collectDelayed(tld, heap);
    resetHeap(tld, heap);
    // Release: pairs with the exchange in claimSlot.
    tld.crossings.store(heap + Heap.threadId, 0);
  });
}

/** Leaves a segment to a thread that needs memory. */
export function abandonSegment(tld: Tld, segment: Word): void {
  const { i32, crossings } = tld;
  const base = i32[segment + Segment.base];
  // The bit first: a thread that ends in between leaves a bit that says too much, and no segment that no
  // thread finds.
  crossings.setBits(chunkAt(tld, base >>> tld.chunkShift) + Chunk.abandoned, bitOf(tld, base));
  // Release: pairs with the exchange in `reclaim`, and publishes the segment as it is.
  crossings.store(segment + Segment.threadId, ABANDONED_SEGMENT);
}

/** Adopts everything that was abandoned, and frees what was on its way to heaps that have ended. */
export function reclaimAll(tld: Tld): void {
  findSegment(tld, Chunk.abandoned, (segment) => {
    reclaim(tld, segment);
    return false;
  });
  collectAllDelayed(tld);
}
