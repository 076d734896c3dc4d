/**
 * Pages that were left behind and serve again: in the thread's own heap, or in one that the program has made,
 * with guests in them (`guests.ts`).
 */

import type { Word } from '@shmalloc/allocator-api';
import { Heap } from '../layout/heap.ts';
import { Page, setRetire } from '../layout/page.ts';
import { collectPage, extendPage } from '../page/blocks.ts';
import { freeMap } from '../page/free-map.ts';
import { markGuests } from '../page/guests.ts';
import { firstPage, lastPage, pushPage, removePage } from '../page/queue.ts';
import { keeperOf } from '../region/walk.ts';
import { isOwnPage, isPage, mostPages } from '../segment/bounds.ts';
import type { Tld } from '../thread/thread-view.ts';

/**
 * Brings a page of a queue that has a free block to the front.
 * @returns it, or 0
 */
export function frontPage(tld: Tld, heap: Word, bin: number): Word {
  const { i32 } = tld;
  let left = mostPages(tld);
  for (let page = firstPage(tld, heap, bin); page !== 0; page = i32[page + Page.next]) {
    if (--left < 0 || !isPage(tld, page)) {
      tld.damage(`queue ${bin} leads to ${page * 4}, which is no page, or does not end`);
      return 0;
    }
    if (i32[page + Page.free] === 0) continue;
    if (i32[page + Page.prev] !== 0) {
      removePage(tld, heap, bin, page);
      pushPage(tld, heap, bin, page);
    }
    return page;
  }
  return 0;
}

/** Whether a page of this thread has a free block, or gets one. */
function hasRoom(tld: Tld, page: Word): boolean {
  collectPage(tld, page, false);
  const { i32 } = tld;
  if (i32[page + Page.free] !== 0) return true;
  return i32[page + Page.capacity] < i32[page + Page.reserved] && extendPage(tld, page);
}

/**
 * Takes a page of a bin with a free block out of the heap that keeps what was left behind. The last one of
 * its queue with room: those that were adopted stand there, and what the keeper allocates from stands in
 * front. O(pages of the bin).
 * @returns the page, which is in front of its queue in the heap now; 0 when there is none
 */
export function takeIn(tld: Tld, heap: Word, bin: number): Word {
  if (tld.guard !== null || tld.sharesSlot) return 0;
  const keeper = keeperOf(tld, tld.i32[heap + Heap.arena]);
  if (keeper === heap || keeper === 0) return 0;
  let left = mostPages(tld);
  for (let page = lastPage(tld, keeper, bin); page !== 0; page = tld.i32[page + Page.prev]) {
    if (left-- === 0 || !isOwnPage(tld, page)) {
      tld.damage(
        `queue ${bin} of the heap at ${keeper * 4} leads to ${page * 4}, which is none of its pages, or does not end`,
      );
      return 0;
    }
    if (!hasRoom(tld, page)) continue;
    moveIn(tld, heap, keeper, bin, page);
    return page;
  }
  return 0;
}

/**
 * Moves a page that is not full. Other threads free into it over its own list, whatever heap it is in. One
 * that has found it full a while ago may still bring a block to the keeper's list: that is freed from there,
 * wherever its page belongs by then (`heap-delete.ts`).
 */
function moveIn(tld: Tld, heap: Word, keeper: Word, bin: number, page: Word): void {
  const { i32 } = tld;
  // What is freed meanwhile by others counts as live here and is a guest until it is gathered.
  markGuests(
    tld,
    page,
    freeMap(tld, page).map((free) => 1 - free),
  );
  removePage(tld, keeper, bin, page);
  setRetire(tld, page, 0);
  i32[keeper + Heap.pageCount]--;
  i32[heap + Heap.pageCount]++;
  tld.crossings.store(page + Page.xheap, heap);
  pushPage(tld, heap, bin, page);
}

/**
 * Frees the blocks of a page that are no guests.
 * @returns whether guests are left; without any, the page may go as it is
 */
export function freeAllButGuests(tld: Tld, page: Word): boolean {
  if (tld.guests?.has(page) !== true) return false;
  collectPage(tld, page, true);
  const guests = tld.guests?.get(page);
  if (guests === undefined) return false;
  const { i32 } = tld;
  const start = i32[page + Page.start];
  const size = i32[page + Page.blockWords];
  const free = freeMap(tld, page);
  for (let index = 0; index < free.length; index++) {
    if (free[index] === 1 || guests[index] === 1) continue;
    const block = start + index * size;
    // As `freeLocal`; what becomes of the page is seen to when all are free.
    i32[block] = i32[page + Page.localFree];
    i32[page + Page.localFree] = block;
    i32[page + Page.used]--;
  }
  return true;
}
