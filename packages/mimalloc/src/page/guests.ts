/**
 * Guests: blocks in a page of a heap that are not the heap's.
 *
 * A page holds blocks of one heap, so that a heap can be destroyed with all its blocks. But threads that
 * come, make a heap, leave a block in it and go would fill memory with pages of one block each: what they
 * leave belongs to the next thread's own heap, and a heap that a program makes takes a new page. So a heap
 * also takes in a page that was left behind, with the blocks that are in use there.
 *
 * ```
 *   page that was left behind   │ live │ free │ live │ free │ free │           in the queue of the thread's own heap
 *   taken in by a heap          │guest │ free │guest │ free │ free │           in the queue of that heap, XHEAP is its record
 *   blocks come and go          │guest │ own  │ free │ own  │ free │           the third was freed, by any thread
 *   the heap is destroyed       │guest │ free │ free │ free │ free │           in the queue of the thread's own heap again
 * ```
 *
 * Which blocks are guests only the thread that has the heap needs to know, so it is no part of the region: a
 * byte for each block, in this object, as long as a guest is left. When the thread ends, all its pages are
 * left behind and there are no heaps any more; nothing has to be done.
 *
 * **A guest that is freed** is none any more before it can be handed out again. Freed blocks are on
 * LOCAL_FREE or XTHREAD_FREE; `malloc` takes from FREE. There are three places where a list becomes FREE, all
 * off the fast path, and each calls `dropGuests`.
 *
 * Not in secure mode, whose lists cannot be walked as cheaply; and not where several objects share a slot,
 * since each would have bytes of its own.
 */

import type { Word } from '@shmalloc/allocator-api';
import { Page } from '../layout/page.ts';
import type { Tld } from '../thread/thread-view.ts';

/** Marks a page's guests. @param live - a byte for each block: whether it is in use */
export function markGuests(tld: Tld, page: Word, live: Uint8Array): void {
  if (!live.includes(1)) return;
  tld.guests ??= new Map();
  tld.guests.set(page, live);
}

/**
 * The blocks of a list, from its first one on, are about to become a page's free list: they are guests no
 * longer. O(blocks of the page).
 */
export function dropGuests(tld: Tld, page: Word, first: Word): void {
  const guests = tld.guests?.get(page);
  if (guests === undefined) return;
  const { i32 } = tld;
  const start = i32[page + Page.start];
  const size = i32[page + Page.blockWords];
  let left = guests.length;
  for (let block = first; block !== 0 && left > 0; block = i32[block], left--) {
    const nth = (block - start) / size;
    // Blocks that were linked after the marking are none.
    if (nth < guests.length) guests[nth] = 0;
  }
  if (!guests.includes(1)) forgetGuests(tld, page);
}

/** Whether a block is a guest where it lies; it may be free by now. O(1). */
export function isGuest(tld: Tld, page: Word, block: Word): boolean {
  const guests = tld.guests?.get(page);
  if (guests === undefined) return false;
  return guests[(block - tld.i32[page + Page.start]) / tld.i32[page + Page.blockWords]] === 1;
}

/** A page is free, or its blocks are all of one heap again. */
export function forgetGuests(tld: Tld, page: Word): void {
  tld.guests?.delete(page);
  if (tld.guests?.size === 0) tld.guests = null;
}
