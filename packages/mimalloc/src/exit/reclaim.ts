/**
 * Adopting what threads that have ended left behind: on allocation before a free segment is claimed, and, if
 * the region is made so, on a free into it.
 */

import type { Word } from '@shmalloc/allocator-api';
import { BIN_HUGE } from '../layout/bins.ts';
import { Heap } from '../layout/heap.ts';
import { binOfPage, Page } from '../layout/page.ts';
import { Chunk, chunkAt } from '../layout/page-map.ts';
import { collectPage } from '../page/blocks.ts';
import { appendPage, removePage } from '../page/queue.ts';
import { freePage } from '../page/retire.ts';
import { adoptSlices } from '../region/memory.ts';
import { reachSegment } from '../region/reach-segment.ts';
import { forEachPageIn, keeperOf } from '../region/walk.ts';
import { bitOf, findSegment } from '../segment/arena.ts';
import { ABANDONED_SEGMENT, linkSegment, Segment } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';

/**
 * Makes an abandoned segment this thread's, with views that reach all of it; false when another thread was
 * quicker.
 */
export function reclaim(tld: Tld, segment: Word): boolean {
  const { crossings } = tld;
  // Only heaps of its arena may have the pages of an exclusive one.
  const keeper = keeperOf(tld, tld.i32[segment + Segment.arena]);
  if (keeper === 0) return false;
  // Acquire: pairs with the store in `abandonSegment`.
  if (!crossings.claim(segment + Segment.threadId, ABANDONED_SEGMENT, tld.threadId)) return false;
  reachSegment(tld, segment);
  const { i32 } = tld;
  const base = i32[segment + Segment.base];
  crossings.clearBits(chunkAt(tld, base >>> tld.chunkShift) + Chunk.abandoned, bitOf(tld, base));
  i32[tld.heap + Heap.segmentCount]++;
  if ((i32[segment + Segment.freeLow] | i32[segment + Segment.freeHigh]) !== 0) linkSegment(tld, segment);
  adoptSlices(tld, segment); // memory that came while no thread had it
  const pages: Word[] = [];
  forEachPageIn(tld, segment, (page) => pages.push(page));
  for (const page of pages) {
    i32[page + Page.xthreadId] |= tld.threadId;
    i32[page + Page.xheap] = keeper;
    i32[keeper + Heap.pageCount]++;
    appendPage(tld, keeper, binOfPage(tld, page), page);
  }
  for (const page of pages) {
    if (binOfPage(tld, page) === BIN_HUGE) tld.crossings.mark(page + Page.xthreadFree);
    collectPage(tld, page, true);
    if (i32[page + Page.used] !== 0) continue;
    removePage(tld, keeper, binOfPage(tld, page), page);
    freePage(tld, page);
  }
  return true;
}

/** Adopts one abandoned segment of this arena; false when there is none. */
export function reclaimOne(tld: Tld, arena: number): boolean {
  return (
    0 !==
    findSegment(
      tld,
      Chunk.abandoned,
      (segment) => tld.i32[segment + Segment.arena] === arena && reclaim(tld, segment),
    )
  );
}
