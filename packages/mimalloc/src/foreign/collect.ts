/**
 * Collection: everything that was put off is done now.
 */

import type { Word } from '@shmalloc/allocator-api';
import { BIN_COUNT, BIN_HUGE } from '../layout/bins.ts';
import { Counter, count } from '../layout/counters.ts';
import { Heap } from '../layout/heap.ts';
import { DELAYED, hasFlag, IN_FULL, Page, retireOf, setRetire } from '../layout/page.ts';
import { collectPage } from '../page/blocks.ts';
import { announceFull, announceSingle, fromFull, toFull } from '../page/full.ts';
import { firstPage, forEachPage, queueBin, removePage } from '../page/queue.ts';
import { freePage } from '../page/retire.ts';
import { isOwnPage } from '../segment/bounds.ts';
import { purgeArena, purgeOwn } from '../segment/purge.ts';
import type { Tld } from '../thread/thread-view.ts';
import { collectDelayed } from './delayed.ts';

/**
 * Lets the clock of retired pages tick; a page that is still empty when its time is up, or by `force`, is
 * given back. The clock of a page that is in use again ticks as well, so that its next emptying need only
 * start it again.
 */
export function collectRetired(tld: Tld, heap: Word, force: boolean): void {
  const { i32 } = tld;
  let low = BIN_COUNT;
  let high = 0;
  const last = Math.min(i32[heap + Heap.retiredHigh], BIN_COUNT - 1);
  for (let bin = Math.max(i32[heap + Heap.retiredLow], 0); bin <= last; bin++) {
    const page = firstPage(tld, heap, bin);
    if (page === 0) continue;
    const cycles = retireOf(tld, page);
    if (cycles === 0) continue;
    if (force || cycles === 1) {
      setRetire(tld, page, 0);
      if (i32[page + Page.used] !== 0) continue;
      if (!isOwnPage(tld, page)) {
        tld.damage(
          `queue ${bin} of the heap at ${heap * 4} starts with ${page * 4}, which is none of its pages`,
        );
        continue;
      }
      count(tld, heap, Counter.retired);
      removePage(tld, heap, bin, page);
      freePage(tld, page);
    } else {
      setRetire(tld, page, cycles - 1);
      if (low === BIN_COUNT) low = bin;
      high = bin;
    }
  }
  i32[heap + Heap.retiredLow] = low;
  i32[heap + Heap.retiredHigh] = high;
}

/**
 * Collects one heap.
 * @param force - also joins lists that would be joined later, and purges without waiting
 */
export function collectHeap(tld: Tld, heap: Word, force: boolean): void {
  collectDelayed(tld, heap);
  forEachPage(tld, heap, (page, bin) => {
    const { i32 } = tld;
    collectPage(tld, page, force);
    if (i32[page + Page.used] === 0) {
      removePage(tld, heap, queueBin(tld, page), page);
      freePage(tld, page);
    } else if (hasFlag(tld, page, IN_FULL)) {
      if (i32[page + Page.free] !== 0) fromFull(tld, page);
      // Another thread has taken the mark and not pushed the block yet, or never will.
      else if (tld.shared && (i32[page + Page.xthreadFree] & DELAYED) === 0) announceFull(tld, page);
    } else if (bin === BIN_HUGE) {
      if ((i32[page + Page.xthreadFree] & DELAYED) === 0) announceSingle(tld, heap, page);
    } else if (force && i32[page + Page.free] === 0 && page !== firstPage(tld, heap, bin)) {
      // Out of the way, so that a search finds a free block wherever it is.
      if (i32[page + Page.capacity] === i32[page + Page.reserved]) toFull(tld, heap, bin, page);
    }
  });
  collectRetired(tld, heap, force);
  purgeOwn(tld, force);
  purgeArena(tld, force);
}
