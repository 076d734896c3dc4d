/**
 * A huge block in use belongs to no thread. It is in no list of its owner, so whichever thread frees it gives
 * its memory back at once: its owner may be waiting for something, or gone.
 *
 * ```
 *   THREAD_ID of the first segment
 *
 *   FREE ──claim──▶ maker's name ──publish──▶ HUGE (2) ──one exchange──▶ name of the thread that frees it ──▶ FREE
 *                      its page is made          │                          its page is cleared, its segments released
 *                                                └ in use, whether the maker is at work, idle, detached or dead
 * ```
 *
 * That one word decides. Of several threads that free the same block, of its heap's `destroy` and a free, one
 * exchanges HUGE for its own name; the others find something else, and have freed a block twice. A name
 * stands there only while the block is being made or freed. So what a thread that ended left under its name
 * was not handed out yet, or is freed already: the thread that reaps it gives it back.
 *
 * **Which thread it counts for**, for callers that ask (`visitBlocks`, `contains`, a heap that ends), its
 * page says: XHEAP names the heap, and NEXT, which a page in no queue has no other use for, the thread. It
 * counts only as long as the heap's record has the same thread's name. No block remembers that a heap has
 * ended before its thread: `delete` renames XHEAP in each of its blocks, and `destroy` frees them all.
 */

import type { Word } from '@shmalloc/allocator-api';
import { Counter, count } from '../layout/counters.ts';
import { Heap } from '../layout/heap.ts';
import { clearPage, ownerOf, Page, slicesOf } from '../layout/page.ts';
import { segmentAt } from '../layout/page-map.ts';
import { forEachPageIn, forEachSegment } from '../region/walk.ts';
import { isRecord } from '../segment/bounds.ts';
import { FREE_SEGMENT, HUGE_SEGMENT, KIND_HUGE, KIND_HUGE_TAIL, Segment } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import { countOf, giveBack } from './huge.ts';

// ── Whose it is ──

/** Whether a page is that of a huge block. */
export function isHuge(tld: Tld, page: Word): boolean {
  return slicesOf(tld, page) === 0;
}

/** The block of a huge page, if it is in use: neither being made nor being freed; else 0. */
export function hugeBlock(tld: Tld, page: Word): Word {
  // 0 when another thread is freeing it.
  const block = tld.i32[page + Page.start];
  if (block === 0) return 0;
  return tld.i32[segmentAt(tld, block) + Segment.threadId] === HUGE_SEGMENT ? block : 0;
}

/**
 * The name of the thread that a page belongs to, 0 for none: that of a huge block to the thread whose heap it
 * is from.
 */
export function threadOf(tld: Tld, page: Word): number {
  if (!isHuge(tld, page)) return ownerOf(tld, page);
  const { i32 } = tld;
  const heap = i32[page + Page.xheap];
  const name = i32[page + Page.next];
  return isRecord(tld, heap) && i32[heap + Heap.threadId] === name ? name : 0;
}

/**
 * Whether a page is still that of a huge block, from this heap of this thread. A page that was cleared keeps
 * its words, so both are asked.
 */
function isFrom(tld: Tld, page: Word, heap: Word): boolean {
  const { i32 } = tld;
  if (i32[page + Page.blockWords] === 0 || !isHuge(tld, page)) return false;
  return i32[page + Page.xheap] === heap && i32[page + Page.next] === tld.threadId;
}

/**
 * Calls back for each huge block in use, with its first segment; it may be freed meanwhile, by any thread.
 * O(segments).
 */
export function forEachHuge(tld: Tld, visit: (page: Word, segment: Word) => void): void {
  forEachSegment(tld, (segment) => {
    if (tld.i32[segment + Segment.kind] !== KIND_HUGE) return;
    if (tld.i32[segment + Segment.threadId] !== HUGE_SEGMENT) return;
    forEachPageIn(tld, segment, (page) => visit(page, segment));
  });
}

/** The same for those of one heap of this thread. */
export function forEachHugeOf(tld: Tld, heap: Word, visit: (page: Word, segment: Word) => void): void {
  forEachHuge(tld, (page, segment) => {
    if (isFrom(tld, page, heap)) visit(page, segment);
  });
}

/**
 * Whether a record ever made a huge block, whichever heap it was then. Most never do, and their heaps end
 * without a walk over all segments.
 */
function hadHuge(tld: Tld, heap: Word): boolean {
  return tld.i32[heap + Heap.counters + Counter.hugePages] !== 0;
}

/**
 * Makes the huge blocks of one heap of this thread those of another. Another thread may free one of them
 * meanwhile, and a third make a block of its own there, so the word is exchanged: that thread's block is from
 * another heap.
 */
export function moveHuge(tld: Tld, heap: Word, keeper: Word): void {
  if (!hadHuge(tld, heap)) return;
  // Pairs with no other exchange: only this thread writes the name of a heap of its own.
  forEachHugeOf(tld, heap, (page) => tld.crossings.claim(page + Page.xheap, heap, keeper));
}

// ── Publishing and freeing ──

/**
 * Hands out a huge block that is made. From here on its segments are not this thread's. A thread that ends
 * right after loses the block, like any other.
 */
export function publishHuge(tld: Tld, page: Word): void {
  const segment = segmentAt(tld, tld.i32[page + Page.start]);
  tld.i32[tld.heap + Heap.segmentCount] -= countOf(tld, segment);
  // Release: pairs with the exchange in `freeHuge`, and publishes the page and its segments.
  tld.crossings.store(segment + Segment.threadId, HUGE_SEGMENT);
}

/** Makes this thread the one that frees a huge block; false when it is in use no more. */
function take(tld: Tld, segment: Word): boolean {
  // Acquire: pairs with the store in `publishHuge`.
  return tld.crossings.claim(segment + Segment.threadId, HUGE_SEGMENT, tld.threadId);
}

/**
 * Leaves a huge block that was taken in the place of another, which has been freed since this thread looked.
 * Only a program that frees a block twice, or destroys a heap of which it frees a block at that moment, comes
 * here; if the thread ends first, this block goes as well.
 */
function putBack(tld: Tld, segment: Word): void {
  // Release: as in `publishHuge`.
  tld.crossings.store(segment + Segment.threadId, HUGE_SEGMENT);
}

/** Counts the segments of a huge block that was taken as this thread's, and gives them back. */
function dropTaken(tld: Tld, segment: Word, page: Word): void {
  const segments = countOf(tld, segment);
  tld.i32[tld.heap + Heap.segmentCount] += segments;
  dropHuge(tld, segment, page);
}

/**
 * Frees a huge block, whichever thread made it. Wait-free; O(segments of the block).
 * @param block - where it starts
 * @returns false when it is in use no more: another thread was quicker
 */
export function freeHuge(tld: Tld, page: Word, block: Word): boolean {
  const segment = segmentAt(tld, block);
  if (!take(tld, segment)) return false;
  const { i32 } = tld;
  const isThere = i32[page + Page.blockWords] !== 0 && i32[page + Page.start] === block && isHuge(tld, page);
  if (isThere) dropTaken(tld, segment, page);
  else putBack(tld, segment);
  return isThere;
}

/** Frees the huge blocks of a heap of this thread. One that another thread is freeing is that thread's. */
export function destroyHuge(tld: Tld, heap: Word): void {
  if (!hadHuge(tld, heap)) return;
  forEachHugeOf(tld, heap, (page, segment) => {
    if (!take(tld, segment)) return;
    if (isFrom(tld, page, heap)) dropTaken(tld, segment, page);
    else putBack(tld, segment);
  });
}

/**
 * Gives back a huge block whose segments this thread has, and counts. Until its page is cleared, that vouches
 * for the segments behind the first one; from then on their names do. A thread that ends in here leaves one
 * or the other: see `reap.ts`.
 */
export function dropHuge(tld: Tld, segment: Word, page: Word): void {
  const segments = countOf(tld, segment);
  const { i32, segmentShift } = tld;
  const base = i32[segment + Segment.base];
  for (let index = 1; index < segments; index++) {
    const tail = segmentAt(tld, base + (index << segmentShift));
    if (i32[tail + Segment.kind] === KIND_HUGE_TAIL && i32[tail + Segment.threadId] !== FREE_SEGMENT)
      i32[tail + Segment.threadId] = tld.threadId;
  }
  // First of all no address leads to a block here.
  i32[page + Page.start] = 0;
  // Release: pairs with the load in `extentOf`. A thread that finds no page finds the new names.
  tld.crossings.store(page + Page.blockWords, 0);
  clearPage(tld, page);
  count(tld, tld.heap, Counter.pagesFreed);
  let strangers = 0;
  for (let index = segments - 1; index >= 0; index--) {
    const each = segmentAt(tld, base + (index << segmentShift));
    if (i32[each + Segment.threadId] === tld.threadId) giveBack(tld, each);
    else strangers++;
  }
  // Damage of COUNT, or of the name.
  if (strangers > 0)
    tld.damage(`the huge block at ${base * 4} has ${strangers} segments that are none of it`);
}
