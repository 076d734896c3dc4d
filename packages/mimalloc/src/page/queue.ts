/**
 * The queues of a heap: a list of pages for each bin, one of single-block pages, one of full pages.
 *
 * ```
 *   QUEUES[bin]   first ⇄ page ⇄ … ⇄ last        pages with a free block, or room to extend; malloc takes from the first
 *   QUEUES[HUGE]  …                              pages of one block
 *   QUEUES[FULL]  …                              pages that were found full; a free brings one back
 * ```
 *
 * A queue is nothing that another thread relies on: the thread that inherits a heap builds its queues again
 * from the segments.
 */

import type { Word } from '@shmalloc/allocator-api';
import { BIN_DIRECT_FIRST, BIN_FULL, BIN_WORDS, DIRECT_COUNT } from '../layout/bins.ts';
import { HEAP_QUEUES, Heap } from '../layout/heap.ts';
import { binOfPage, hasFlag, IN_FULL, Page } from '../layout/page.ts';
import { isOwnPage, mostPages } from '../segment/bounds.ts';
import type { Tld } from '../thread/thread-view.ts';

const SIZES = BIN_WORDS;
const FULL_QUEUE: number = HEAP_QUEUES + (BIN_FULL << 1);

/** Where a queue's first page stands; the last one's place is behind it. */
function queueOf(heap: Word, bin: number): Word {
  return heap + HEAP_QUEUES + (bin << 1);
}

export function firstPage(tld: Tld, heap: Word, bin: number): Word {
  return tld.i32[queueOf(heap, bin)];
}

export function lastPage(tld: Tld, heap: Word, bin: number): Word {
  return tld.i32[queueOf(heap, bin) + 1];
}

/** The queue that a page is in now. */
export function queueBin(tld: Tld, page: Word): number {
  return hasFlag(tld, page, IN_FULL) ? BIN_FULL : binOfPage(tld, page);
}

/** Lets the direct table follow the first page of a queue. */
function updateDirect(tld: Tld, heap: Word, bin: number): void {
  const granules = SIZES[bin] >>> 1;
  if (granules === 0 || granules >= DIRECT_COUNT || tld.guard !== null) return;
  const { i32 } = tld;
  const first = i32[queueOf(heap, bin)];
  const page = first === 0 ? tld.emptyPage : first;
  const direct = heap + Heap.direct;
  if (i32[direct + granules] === page) return;
  for (let entry = BIN_DIRECT_FIRST[bin]; entry <= granules; entry++) i32[direct + entry] = page;
}

/** Adds a page at the end of a list that no direct table copies, or that is not empty. */
function append(i32: Int32Array, queue: Word, page: Word): void {
  const last = i32[queue + 1];
  i32[page + Page.next] = 0;
  i32[page + Page.prev] = last;
  i32[queue + 1] = page;
  i32[last === 0 ? queue : last + Page.next] = page;
}

/** Takes a page out of a list that no direct table copies, or that it is not the first of. */
function unlink(i32: Int32Array, queue: Word, page: Word): void {
  const next = i32[page + Page.next];
  const prev = i32[page + Page.prev];
  i32[next === 0 ? queue + 1 : next + Page.prev] = prev;
  i32[prev === 0 ? queue : prev + Page.next] = next;
}

/** Adds a page in front. */
export function pushPage(tld: Tld, heap: Word, bin: number, page: Word): void {
  const { i32 } = tld;
  const queue = queueOf(heap, bin);
  const first = i32[queue];
  i32[page + Page.next] = first;
  i32[page + Page.prev] = 0;
  i32[first === 0 ? queue + 1 : first + Page.prev] = page;
  i32[queue] = page;
  updateDirect(tld, heap, bin);
}

/** Adds a page at the end. */
export function appendPage(tld: Tld, heap: Word, bin: number, page: Word): void {
  const queue = queueOf(heap, bin);
  append(tld.i32, queue, page);
  if (tld.i32[queue] === page) updateDirect(tld, heap, bin);
}

/** Moves the first page to the end; the second, which there must be, is the first now. */
export function rotatePages(tld: Tld, heap: Word, bin: number): void {
  const { i32 } = tld;
  const queue = queueOf(heap, bin);
  const page = i32[queue];
  const second = i32[page + Page.next];
  i32[queue] = second;
  i32[second + Page.prev] = 0;
  append(i32, queue, page);
  updateDirect(tld, heap, bin);
}

/** Takes a page out. */
export function removePage(tld: Tld, heap: Word, bin: number, page: Word): void {
  const { i32 } = tld;
  const queue = queueOf(heap, bin);
  const wasFirst = i32[queue] === page;
  unlink(i32, queue, page);
  if (wasFirst) updateDirect(tld, heap, bin);
}

/** Moves a page that is not the first of its queue to the full ones. */
export function fillPage(tld: Tld, heap: Word, bin: number, page: Word): void {
  unlink(tld.i32, queueOf(heap, bin), page);
  append(tld.i32, heap + FULL_QUEUE, page);
}

/** Moves a page from the full ones to the end of its queue. */
export function unfillPage(tld: Tld, heap: Word, bin: number, page: Word): void {
  unlink(tld.i32, heap + FULL_QUEUE, page);
  appendPage(tld, heap, bin, page);
}

/** Calls back for each page of a heap; the page may be freed meanwhile. */
export function forEachPage(tld: Tld, heap: Word, visit: (page: Word, bin: number) => void): void {
  for (let bin = 1; bin <= BIN_FULL; bin++) forEachIn(tld, heap, bin, (page) => visit(page, bin));
}

/** Calls back for each page of one queue of a heap of this thread; the page may be freed meanwhile. */
export function forEachIn(tld: Tld, heap: Word, bin: number, visit: (page: Word) => void): void {
  let left = mostPages(tld);
  for (let page = firstPage(tld, heap, bin); page !== 0; ) {
    if (left-- === 0 || !isOwnPage(tld, page)) {
      tld.damage(
        `queue ${bin} of the heap at ${heap * 4} leads to ${page * 4}, which is none of its pages, or does not end`,
      );
      return;
    }
    const next = tld.i32[page + Page.next];
    visit(page);
    page = next;
  }
}
