/**
 * What becomes of a page whose last block was freed: it is kept for a while if it is the only one of its bin,
 * since the next allocation is likely to want one again; otherwise its slices go back at once.
 */

import type { Word } from '@shmalloc/allocator-api';
import { BIN_HUGE } from '../layout/bins.ts';
import { Counter, count } from '../layout/counters.ts';
import { Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import { binOfPage, hasFlag, IN_FULL, Page, setRetire } from '../layout/page.ts';
import { segmentAt } from '../layout/page-map.ts';
import { releaseSegment } from '../segment/arena.ts';
import { freeSlices, purgeSegment } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import { forgetGuests } from './guests.ts';
import { firstPage, lastPage, queueBin, removePage } from './queue.ts';

/** Decides over a page that has become empty. */
export function retirePage(tld: Tld, page: Word): void {
  const { i32 } = tld;
  const bin = binOfPage(tld, page);
  const heap = i32[page + Page.xheap];
  if (
    bin !== BIN_HUGE &&
    tld.retireCycles !== 0 &&
    !hasFlag(tld, page, IN_FULL) &&
    firstPage(tld, heap, bin) === page &&
    lastPage(tld, heap, bin) === page
  ) {
    setRetire(tld, page, tld.retireCycles);
    if (bin < i32[heap + Heap.retiredLow]) i32[heap + Heap.retiredLow] = bin;
    if (bin > i32[heap + Heap.retiredHigh]) i32[heap + Heap.retiredHigh] = bin;
    return;
  }
  removePage(tld, heap, queueBin(tld, page), page);
  freePage(tld, page);
}

/** Gives the slices of a page back that is in no queue. */
export function freePage(tld: Tld, page: Word): void {
  const { i32 } = tld;
  const heap = i32[page + Page.xheap];
  i32[heap + Heap.pageCount]--;
  count(tld, heap, Counter.pagesFreed);
  const segment = segmentAt(tld, i32[page + Page.start]);
  if (tld.guests !== null) forgetGuests(tld, page);
  const isEmpty = freeSlices(tld, page);
  if (i32[tld.header + Field.purgeDelay] === 0) purgeSegment(tld, segment, true, 0);
  if (isEmpty) releaseSegment(tld, segment);
}
