/**
 * Threads that end. What a thread still has in use when it detaches belongs to nobody for a while: whoever needs memory adopts it.
 *
 * ```
 *   owner's name ──detach──▶ ABANDONED (1) ──reclaim, one exchange──▶ the new owner's name
 *                              │  ▲
 *                              │  └ frees of other threads go on: onto each page's XTHREAD_FREE
 *                              └ the chunk's ABANDONED bit helps to find it
 * ```
 */

import { adoptSlices, bitOf, findSegment } from './arena.ts';
import { collectPage } from './blocks.ts';
import { collectHeap } from './collect.ts';
import { collectAllDelayed } from './delayed.ts';
import type { Word } from './geometry.ts';
import { Heap } from './heap.ts';
import { binOfPage, GUARDED, HAS_ALIGNED, Page } from './page.ts';
import { Chunk, chunkAt, segmentAt } from './page-map.ts';
import { appendPage, forEachPage, removePage } from './queue.ts';
import { freePage } from './retire.ts';
import { ABANDONED_SEGMENT, KIND_HUGE_TAIL, KIND_PAGES, linkSegment, Segment } from './segment.ts';
import { resetHeap } from './thread-table.ts';
import type { Tld } from './tld.ts';
import { forEachHeap, forEachPageIn, forEachSegment, keeperOf } from './walk.ts';

/** Lets go of everything that this thread has, and of its name. */
export function abandonThread(tld: Tld): void {
  const { i32 } = tld;
  forEachHeap(tld, (heap) => {
    collectHeap(tld, heap, true);
    forEachPage(tld, heap, (page) => {
      // From here on nobody waits for news of this page: frees go onto its own list.
      tld.crossings.unmark(page + Page.xthreadFree);
      i32[page + Page.xthreadId] &= HAS_ALIGNED | GUARDED;
    });
  });
  forEachSegment(tld, (segment) => {
    // What follows the first segment of a huge block goes with it.
    if (i32[segment + Segment.threadId] === tld.threadId && i32[segment + Segment.kind] !== KIND_HUGE_TAIL)
      abandonSegment(tld, segment);
  });
  forEachHeap(tld, (heap) => {
    resetHeap(tld, heap);
    // Release: pairs with the exchange in claimSlot.
    tld.crossings.store(heap + Heap.threadId, 0);
  });
}

function abandonSegment(tld: Tld, segment: Word): void {
  const { i32, crossings } = tld;
  const base = i32[segment + Segment.base];
  // The bit first: a thread that ends in between leaves a bit that says too much, and no segment that nobody finds.
  crossings.setBits(chunkAt(tld, base >>> tld.chunkShift) + Chunk.abandoned, bitOf(tld, base));
  // Release: pairs with the exchange in `reclaim`, and publishes the segment as it is.
  crossings.store(segment + Segment.threadId, ABANDONED_SEGMENT);
}

/** Makes an abandoned segment this thread's; false when somebody else was quicker. */
function reclaim(tld: Tld, segment: Word): boolean {
  const { i32, crossings } = tld;
  // Only heaps of its arena may have the pages of an exclusive one.
  const keeper = keeperOf(tld, i32[segment + Segment.arena]);
  if (keeper === 0) return false;
  // Acquire: pairs with the store in `abandonSegment`.
  if (!crossings.claim(segment + Segment.threadId, ABANDONED_SEGMENT, tld.threadId)) return false;
  const base = i32[segment + Segment.base];
  crossings.clearBits(chunkAt(tld, base >>> tld.chunkShift) + Chunk.abandoned, bitOf(tld, base));
  i32[tld.heap + Heap.segmentCount] += Math.max(1, i32[segment + Segment.count]);
  for (let index = 1; index < i32[segment + Segment.count]; index++)
    i32[segmentAt(tld, base + (index << tld.segmentShift)) + Segment.threadId] = tld.threadId;
  if (
    i32[segment + Segment.kind] === KIND_PAGES &&
    (i32[segment + Segment.freeLow] | i32[segment + Segment.freeHigh]) !== 0
  )
    linkSegment(tld, segment);
  adoptSlices(tld, segment); // memory that came while nobody had it
  const pages: Word[] = [];
  forEachPageIn(tld, segment, (page) => pages.push(page));
  for (const page of pages) {
    i32[page + Page.xthreadId] |= tld.threadId;
    i32[page + Page.xheap] = keeper;
    i32[keeper + Heap.pageCount]++;
    appendPage(tld, keeper, binOfPage(tld, page), page);
  }
  for (const page of pages) {
    collectPage(tld, page, true);
    if (i32[page + Page.used] !== 0) continue;
    removePage(tld, keeper, binOfPage(tld, page), page);
    freePage(tld, page);
  }
  return true;
}

/** Adopts one abandoned segment of this arena; false when there is none. */
export function reclaimOne(tld: Tld, arena: number): boolean {
  const { i32 } = tld;
  return (
    0 !==
    findSegment(
      tld,
      Chunk.abandoned,
      (segment) =>
        i32[segment + Segment.arena] === arena &&
        i32[segment + Segment.kind] === KIND_PAGES &&
        reclaim(tld, segment),
    )
  );
}

/** Adopts everything that was abandoned, and frees what was on its way to heaps that have ended. */
export function reclaimAll(tld: Tld): void {
  findSegment(tld, Chunk.abandoned, (segment) => {
    reclaim(tld, segment);
    return false;
  });
  collectAllDelayed(tld);
}
