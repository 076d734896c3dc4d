/**
 * Heaps that end before their thread does.
 *
 * ```
 *   delete    page ─XHEAP─▶ heap        each page:  XHEAP := keeper, into the keeper's queue,
 *               └──────────▶ keeper                 full ones: DELAYED set again, one more look
 *                                       then:       the heap's list of delayed frees, once more
 *                                       then:       the record is free
 *   destroy   each page goes back to its segment, whatever it holds; one with guests as above, without the heap's own blocks
 * ```
 *
 * **Why no block is lost** that another thread frees meanwhile. It frees a block of a full page in three
 * steps: it clears DELAYED (exchange), reads XHEAP, pushes the block on the list of the heap it read
 * (exchange). Where do these steps fall?
 *
 * - It cleared DELAYED after we had set it again: the exchange orders its read of XHEAP behind our write, so
 *   it read the keeper.
 * - It cleared DELAYED before, and read the keeper: the keeper finds the block.
 * - It read the heap, and pushed before we took the list: we find the block.
 * - It read the heap, and pushed after we took the list: the block waits in a record, because records never
 *   become anything else. The page is not lost by it: its flag is set again, so the next block of it that is
 *   freed brings it back. The block itself is freed by the thread that claims the record next, at its next
 *   generic allocation, or by the thread that collects with force; both look where its page belongs by then
 *   (`collectDelayed`).
 *
 * A page that is not full has no flag, and its blocks come back over its own list, whichever heap it is in. A
 * huge block has no list, and needs no heap to be freed.
 */

import type { Word } from '@shmalloc/allocator-api';
import { collectDelayed } from '../foreign/delayed.ts';
import { freeAllButGuests } from '../foreign/take-in.ts';
import { destroyHuge, moveHuge } from '../huge/huge-block.ts';
import { BIN_FULL, BIN_HUGE } from '../layout/bins.ts';
import { Heap } from '../layout/heap.ts';
import { Page, setRetire } from '../layout/page.ts';
import { collectPage } from '../page/blocks.ts';
import { announceFull, announceSingle, fromFull } from '../page/full.ts';
import { forgetGuests } from '../page/guests.ts';
import { appendPage, forEachPage, removePage } from '../page/queue.ts';
import { freePage } from '../page/retire.ts';
import { isOwnRecord } from '../segment/bounds.ts';
import type { Tld } from '../thread/thread-view.ts';
import { releaseHeap } from './heap-records.ts';

/** Where the pages of a heap go. */
function keeperFor(tld: Tld, heap: Word): Word {
  const backing = tld.i32[heap + Heap.backing];
  if (isOwnRecord(tld, backing) && backing !== heap) return backing;
  tld.damage(`the heap at ${heap * 4} is backed by ${backing * 4}, which is no heap of this thread`);
  return tld.heap;
}

/**
 * Moves a page of a heap that ends to the keeper, where its blocks live on; or frees it, when it has none.
 */
function movePage(tld: Tld, heap: Word, keeper: Word, bin: number, page: Word): void {
  const { i32 } = tld;
  collectPage(tld, page, false);
  removePage(tld, heap, bin, page);
  if (i32[page + Page.used] === 0) {
    freePage(tld, page);
    return;
  }
  forgetGuests(tld, page);
  setRetire(tld, page, 0);
  i32[heap + Heap.pageCount]--;
  i32[keeper + Heap.pageCount]++;
  // Before the flag: see above.
  tld.crossings.store(page + Page.xheap, keeper);
  appendPage(tld, keeper, bin, page);
  if (bin === BIN_HUGE) announceSingle(tld, keeper, page);
  if (bin !== BIN_FULL) return;
  if (i32[page + Page.free] !== 0) fromFull(tld, page);
  else if (tld.shared) announceFull(tld, page);
}

/** Ends a heap; its blocks live on in its keeper. */
export function deleteHeap(tld: Tld, heap: Word): void {
  const keeper = keeperFor(tld, heap);
  forEachPage(tld, heap, (page, bin) => movePage(tld, heap, keeper, bin, page));
  moveHuge(tld, heap, keeper);
  collectDelayed(tld, heap);
  releaseHeap(tld, heap);
}

/**
 * Ends a heap with all its blocks; guests (`guests.ts`) live on. No other thread may be freeing one of them
 * at this moment.
 */
export function destroyHeap(tld: Tld, heap: Word): void {
  // First the list: it may hold blocks of others, from the record's last owner.
  collectDelayed(tld, heap);
  const keeper = keeperFor(tld, heap);
  forEachPage(tld, heap, (page, bin) => {
    if (freeAllButGuests(tld, page)) {
      movePage(tld, heap, keeper, bin, page);
      return;
    }
    removePage(tld, heap, bin, page);
    freePage(tld, page);
  });
  destroyHuge(tld, heap);
  releaseHeap(tld, heap);
}
