/**
 * Full pages. They wait in a queue of their own, so that no thread looks at them in vain, and come back with
 * the first block that is freed.
 */

import type { Word } from '@shmalloc/allocator-api';
import { BIN_FULL, BIN_HUGE } from '../layout/bins.ts';
import { Field } from '../layout/header.ts';
import { binOfPage, clearFlag, DELAYED, IN_FULL, Page, setFlag, setRetire } from '../layout/page.ts';
import { forEachHeap } from '../region/walk.ts';
import type { Tld } from '../thread/thread-view.ts';
import { collectPage } from './blocks.ts';
import { fillPage, forEachIn, removePage, unfillPage } from './queue.ts';
import { freePage } from './retire.ts';

/** Moves a page without a free block, which is not the first of its queue, out of the way. */
export function toFull(tld: Tld, heap: Word, bin: number, page: Word): void {
  fillPage(tld, heap, bin, page);
  setRetire(tld, page, 0);
  setFlag(tld, page, IN_FULL);
  if (tld.shared) announceFull(tld, page);
}

/**
 * When this thread learns that it is not alone, its full pages have to be announced. What was freed into them
 * until then is found now.
 */
export function meetOthers(tld: Tld): void {
  if (tld.shared || tld.i32[tld.header + Field.shared] === 0) return;
  tld.shared = true;
  forEachHeap(tld, (heap) => forEachIn(tld, heap, BIN_FULL, (page) => announceFull(tld, page)));
}

/**
 * Looks through the pages that no thread looks at. A thread that has ended may have taken the mark off one of
 * them and never brought the news; from then on no thread would hear of what is freed into it.
 */
export function lookAtFull(tld: Tld): void {
  const deaths = tld.i32[tld.header + Field.deaths];
  if (tld.deaths === deaths) return;
  tld.deaths = deaths;
  forEachHeap(tld, (heap) => {
    if (tld.shared) forEachIn(tld, heap, BIN_FULL, (page) => announceFull(tld, page));
    forEachIn(tld, heap, BIN_HUGE, (page) => announceSingle(tld, heap, page));
  });
}

/** The same for a page of one block: if that was freed, the page goes. */
export function announceSingle(tld: Tld, heap: Word, page: Word): void {
  tld.crossings.mark(page + Page.xthreadFree);
  collectPage(tld, page, false);
  if (tld.i32[page + Page.used] !== 0) return;
  removePage(tld, heap, BIN_HUGE, page);
  freePage(tld, page);
}

/** Lets other threads know that no thread looks at this page. A thread that is alone need not. */
export function announceFull(tld: Tld, page: Word): void {
  const { i32 } = tld;
  // The flag first, then one more look: a block that came before the flag is found now, one that comes later
  // goes to the heap's list.
  tld.crossings.mark(page + Page.xthreadFree);
  if (i32[page + Page.xthreadFree] === DELAYED) return;
  collectPage(tld, page, false);
  if (i32[page + Page.free] !== 0) fromFull(tld, page);
}

/** Brings a full page back that has a free block again. */
export function fromFull(tld: Tld, page: Word): void {
  const { i32 } = tld;
  const heap = i32[page + Page.xheap];
  clearFlag(tld, page, IN_FULL);
  if (tld.shared) tld.crossings.unmark(page + Page.xthreadFree);
  unfillPage(tld, heap, binOfPage(tld, page), page);
}
