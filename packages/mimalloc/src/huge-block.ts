/**
 * A huge block in use belongs to no thread. It is in no list of its owner, so whichever thread frees it gives its memory back at once: its owner may be waiting
 * for something, or gone.
 *
 * ```
 *   THREAD_ID of the first segment
 *
 *   FREE ──claim──▶ maker's name ──publish──▶ HUGE (2) ──one exchange──▶ name of the thread that frees it ──▶ FREE
 *                      its page is made          │                          its page is cleared, its segments released
 *                                                └ in use, whether the maker is at work, idle, detached or dead
 * ```
 *
 * That one word decides. Of several threads that free the same block, of its heap's `destroy` and a free, one exchanges HUGE for its own name; the others find
 * something else, and have freed a block twice. A name stands there only while the block is being made or freed. So what a thread that ended left under its name
 * was not handed out yet, or is freed already: whoever reaps it gives it back.
 *
 * **Whose it is**, for those who ask (`visitBlocks`, `contains`, `expand`, a heap that ends), its page says: XHEAP names the heap, and NEXT, which a page in no
 * queue has no other use for, the thread. It counts only as long as the heap's record has the same thread's name. No block remembers that a heap has ended before
 * its thread: `delete` renames XHEAP in each of its blocks, and `destroy` frees them all.
 */

import { isRecord } from './bounds.ts';
import type { Word } from './geometry.ts';
import { Heap } from './heap.ts';
import { countOf, giveBack } from './huge.ts';
import { clearPage, ownerOf, Page, slicesOf } from './page.ts';
import { segmentAt } from './page-map.ts';
import { FREE_SEGMENT, HUGE_SEGMENT, KIND_HUGE, KIND_HUGE_TAIL, Segment } from './segment.ts';
import { Counter, count } from './stats.ts';
import type { Tld } from './tld.ts';
import { forEachPageIn, forEachSegment } from './walk.ts';

// ── Whose it is ──

/** Whether a page is that of a huge block. */
export function isHuge(tld: Tld, page: Word): boolean {
  return slicesOf(tld, page) === 0;
}

/** Whether a huge block is in use: neither being made nor being freed. */
export function isHugeLive(tld: Tld, page: Word): boolean {
  return tld.i32[segmentAt(tld, tld.i32[page + Page.start]) + Segment.threadId] === HUGE_SEGMENT;
}

/** The name of the thread that a page belongs to, 0 for none: that of a huge block to the thread whose heap it is from. */
export function threadOf(tld: Tld, page: Word): number {
  if (!isHuge(tld, page)) return ownerOf(tld, page);
  const { i32 } = tld;
  const heap = i32[page + Page.xheap];
  const name = i32[page + Page.next];
  return isRecord(tld, heap) && i32[heap + Heap.threadId] === name ? name : 0;
}

/** Whether a huge block is from this heap of this thread. */
function isFrom(tld: Tld, page: Word, heap: Word): boolean {
  return tld.i32[page + Page.xheap] === heap && tld.i32[page + Page.next] === tld.threadId;
}

/** Whether a page is that of a huge block which starts here. */
function isThere(tld: Tld, page: Word, block: Word): boolean {
  return tld.i32[page + Page.blockWords] !== 0 && isHuge(tld, page) && tld.i32[page + Page.start] === block;
}

/** Calls back for each huge block in use; it may be freed meanwhile, by any thread. O(segments). */
export function forEachHuge(tld: Tld, visit: (page: Word) => void): void {
  forEachSegment(tld, (segment) => {
    if (tld.i32[segment + Segment.kind] !== KIND_HUGE) return;
    if (tld.i32[segment + Segment.threadId] === HUGE_SEGMENT) forEachPageIn(tld, segment, visit);
  });
}

/** The same for those of one heap of this thread. */
export function forEachHugeOf(tld: Tld, heap: Word, visit: (page: Word) => void): void {
  forEachHuge(tld, (page) => {
    if (isFrom(tld, page, heap)) visit(page);
  });
}

/**
 * Makes the huge blocks of one heap of this thread those of another. Another thread may free one of them meanwhile, and a third make a block of its own there,
 * so the word is exchanged: that thread's block is from another heap.
 */
export function moveHuge(tld: Tld, heap: Word, keeper: Word): void {
  // Pairs with no other exchange: only this thread writes the name of a heap of its own.
  forEachHugeOf(tld, heap, (page) => tld.crossings.claim(page + Page.xheap, heap, keeper));
}

// ── Publishing and freeing ──

/** Hands out a huge block that is made. From here on its segments are not this thread's. A thread that ends right after loses the block, like any other. */
export function publishHuge(tld: Tld, page: Word): void {
  const segment = segmentAt(tld, tld.i32[page + Page.start]);
  tld.i32[tld.heap + Heap.segmentCount] -= countOf(tld, segment);
  // Release: pairs with the exchange in `freeHuge`, and publishes the page and its segments.
  tld.crossings.store(segment + Segment.threadId, HUGE_SEGMENT);
}

/**
 * Frees a huge block, whoever made it. Wait-free; O(segments of the block).
 * @param block - where it starts
 * @param heap - the heap of this thread that is being destroyed with it; 0 when the program frees it
 * @returns false when it is in use no more: another thread was quicker
 */
export function freeHuge(tld: Tld, page: Word, block: Word, heap: Word): boolean {
  const { crossings } = tld;
  const segment = segmentAt(tld, block);
  // Acquire: pairs with the store in `publishHuge`.
  if (!crossings.claim(segment + Segment.threadId, HUGE_SEGMENT, tld.threadId)) return false;
  if (!isThere(tld, page, block) || (heap !== 0 && !isFrom(tld, page, heap))) {
    // Since this thread looked, another has freed it, and this is another block. Only a program that frees twice, or destroys a heap of which it frees a block,
    // comes here; if the thread ends between the two, it frees that one as well.
    crossings.store(segment + Segment.threadId, HUGE_SEGMENT);
    return false;
  }
  tld.i32[tld.heap + Heap.segmentCount] += countOf(tld, segment);
  dropHuge(tld, segment, page);
  return true;
}

/**
 * Gives back a huge block whose segments this thread has, and counts. Until its page is cleared, that vouches for the segments behind the first one; from then on
 * their names do. A thread that ends in here leaves one or the other: see `reap.ts`.
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
