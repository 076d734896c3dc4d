/**
 * How a free of another thread's block travels, and how one of the thread's own is done.
 *
 * ```
 *   own page             LOCAL_FREE, USED−−          full: back into its queue, empty: retired
 *   another thread's     ── one exchange ──▶  XTHREAD_FREE of the page           gathered by its owner (`blocks.ts`)
 *     marked as full     ── one exchange ──▶  DELAYED_FREE of the page's heap    gathered by its thread (`delayed.ts`)
 * ```
 */

import type { Word } from '@shmalloc/allocator-api';
import { Heap } from '../layout/heap.ts';
import { blockAt } from '../layout/lookup.ts';
import { DELAYED, hasFlag, IN_FULL, Page } from '../layout/page.ts';
import { setNext } from '../page/blocks.ts';
import { fromFull } from '../page/full.ts';
import { retirePage } from '../page/retire.ts';
import { isRecord } from '../segment/bounds.ts';
import type { Tld } from '../thread/thread-view.ts';

/** Names lie above the flags. */
const FIRST_OWNER = 8;

/**
 * Frees a block of a page that this thread owns. Link before `USED−−`: a thread that ends in between leaves a
 * count that is too high.
 */
export function freeLocal(tld: Tld, page: Word, block: Word): void {
  const { i32 } = tld;
  setNext(tld, page, block, i32[page + Page.localFree]);
  i32[page + Page.localFree] = block;
  i32[page + Page.used]--;
  settlePage(tld, page);
}

/** A page has one live block less: an empty one is retired, a full one comes back. */
export function settlePage(tld: Tld, page: Word): void {
  const { i32 } = tld;
  if (i32[page + Page.used] === 0) retirePage(tld, page);
  else if (hasFlag(tld, page, IN_FULL)) fromFull(tld, page);
}

/**
 * Frees a block of a page that another thread owns. Lock-free: a retry means that another push or take went
 * through.
 *
 * The first thread to free into a full page clears its mark and pushes the block onto the heap's delayed
 * list; it reads only then which heap that is: see `heap-delete.ts`. A thread that ends between the two loses
 * this block, and the news: after a death owners look at their full pages themselves (`full.ts`).
 */
export function freeForeign(tld: Tld, page: Word, block: Word): void {
  const { crossings } = tld;
  if (tld.guard !== null) freeForeignGuarded(tld, page, block);
  // Release: pairs with the exchange in collectThreadFree, and publishes the link and all that this thread
  // wrote into the block.
  else if (!crossings.pushUnlessMarked(page + Page.xthreadFree, block)) {
    const heap = heapOf(tld, page);
    // Release: pairs with the exchange in collectDelayed.
    if (heap !== 0) crossings.push(heap + Heap.delayedFree, block);
  }
}

/**
 * The heap that is to hear of a block; 0 when the page names none, which is reported, and the block is lost.
 */
function heapOf(tld: Tld, page: Word): Word {
  const heap = tld.i32[page + Page.xheap];
  if (isRecord(tld, heap)) return heap;
  tld.damage(
    `the page at ${tld.i32[page + Page.start] * 4} belongs to the heap at ${heap * 4}, which is none`,
  );
  return 0;
}

/**
 * Frees a block of a page that is not this thread's and whose flags ask for no closer look, if it is one.
 * @param page - a descriptor, perhaps of no page, or of none that this thread's view reaches
 */
export function freeAway(tld: Tld, page: Word, block: Word): boolean {
  const { i32 } = tld;
  // Written so that what is beyond the view, which is undefined, is no page and no block.
  if (!(i32[page + Page.xthreadId] >= FIRST_OWNER && i32[page + Page.used] > 0 && block < i32.length))
    return false;
  if (blockAt(tld, page, block) !== block) return false;
  freeForeign(tld, page, block);
  return true;
}

/** The same where links are written otherwise. */
function freeForeignGuarded(tld: Tld, page: Word, block: Word): void {
  const { crossings } = tld;
  const place = page + Page.xthreadFree;
  for (let head = crossings.load(place); ; head = crossings.load(place)) {
    if ((head & DELAYED) !== 0) {
      if (crossings.claim(place, head, head & ~DELAYED)) break;
      continue;
    }
    setNext(tld, page, block, head);
    if (crossings.claim(place, head, block)) return;
  }
  const heap = heapOf(tld, page);
  if (heap === 0) return;
  const list = heap + Heap.delayedFree;
  for (let head = crossings.load(list); ; head = crossings.load(list)) {
    setNext(tld, page, block, head);
    if (crossings.claim(list, head, block)) return;
  }
}
