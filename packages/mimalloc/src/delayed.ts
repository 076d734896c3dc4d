/**
 * Blocks that other threads have freed into full pages. A full page is in no queue that is searched, so its first foreign block goes to
 * the heap's own list, where the heap finds it at its next generic allocation, and brings the page back.
 */

import { nextDelayed } from './blocks.ts';
import { freeForeign, freeLocal } from './free.ts';
import type { Word } from './geometry.ts';
import { Heap } from './heap.ts';
import { headPage } from './lookup.ts';
import { ownerOf } from './page.ts';
import { sliceAt } from './page-map.ts';
import { Counter, count } from './stats.ts';
import type { Tld } from './tld.ts';
import { forEachRecord } from './walk.ts';

/**
 * Takes the whole list and frees its blocks, wherever their pages belong now: a thread that read XHEAP of a page before the page's heap ended, and
 * pushed after, left its block with a record that is nobody's, or somebody else's by now. Whoever finds it there frees it again.
 */
export function collectDelayed(tld: Tld, heap: Word): void {
  const { i32 } = tld;
  if (i32[heap + Heap.delayedFree] === 0) return;
  // Acquire: pairs with the exchange of every push.
  let block = Atomics.exchange(i32, heap + Heap.delayedFree, 0);
  while (block !== 0) {
    const page = headPage(tld, sliceAt(tld, block));
    const next = nextDelayed(tld, page, block);
    if (ownerOf(tld, page) === tld.threadId) freeLocal(tld, page, block);
    else freeForeign(tld, page, block);
    count(tld, tld.heap, Counter.delayed);
    block = next;
  }
}

/**
 * The same for every list that may hold blocks of this thread: those of its heaps, and those in records that are nobody's. What came late to a record
 * which another thread has claimed meanwhile is found by that thread.
 */
export function collectAllDelayed(tld: Tld): void {
  const { i32 } = tld;
  forEachRecord(tld, (heap) => {
    const owner = i32[heap + Heap.threadId];
    if (owner === 0 || owner === tld.threadId) collectDelayed(tld, heap);
  });
}
