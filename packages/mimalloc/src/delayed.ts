/**
 * Blocks that other threads have freed into full pages. A full page is in no queue that is searched, so its first foreign block goes to
 * the heap's own list, where the heap finds it at its next generic allocation, and brings the page back.
 */

import { linkOf, nextDelayed } from './blocks.ts';
import { freeForeign, freeLocal } from './free.ts';
import type { Word } from './geometry.ts';
import { Heap } from './heap.ts';
import { headPage } from './lookup.ts';
import { ownerOf } from './page.ts';
import { sliceAt } from './page-map.ts';
import { Counter, count } from './stats.ts';
import { hasOtherSlot } from './thread-table.ts';
import type { Tld } from './tld.ts';
import { forEachRecord } from './walk.ts';

const DELAYED_FREE = Heap.delayedFree;
const TAKEN = Heap.taken;

/**
 * Takes the whole list and frees its blocks, wherever their pages belong now: a thread that read XHEAP of a page before the page's heap ended, and
 * pushed after, left its block with a record that is nobody's, or somebody else's by now. Whoever finds it there frees it again.
 *
 * TAKEN says what was taken and is not freed yet, for whoever inherits the record from a thread that ends in here. It is set before the exchange, and
 * moved on before each free: a thread that ends in between loses that one block. Only the record's owner takes.
 */
export function collectDelayed(tld: Tld, heap: Word): void {
  const { i32, crossings } = tld;
  if (i32[heap + TAKEN] !== 0) resumeTaken(tld, heap);
  if (i32[heap + DELAYED_FREE] === 0) return;
  for (;;) {
    // Acquire: pairs with the exchange of every push.
    const first = crossings.load(heap + DELAYED_FREE);
    i32[heap + TAKEN] = first;
    if (crossings.claim(heap + DELAYED_FREE, first, 0)) break;
  }
  freeTaken(tld, heap);
}

function freeTaken(tld: Tld, heap: Word): void {
  const { i32 } = tld;
  for (let block = i32[heap + TAKEN]; block !== 0; block = i32[heap + TAKEN]) {
    const page = headPage(tld, sliceAt(tld, block));
    i32[heap + TAKEN] = nextDelayed(tld, page, block);
    if (ownerOf(tld, page) === tld.threadId) freeLocal(tld, page, block);
    else freeForeign(tld, page, block);
    count(tld, tld.heap, Counter.delayed);
  }
}

/** What another owner of this record was about to free when it ended. If the list still leads there, it had not been taken yet. */
function resumeTaken(tld: Tld, heap: Word): void {
  const { i32, crossings } = tld;
  const taken = i32[heap + TAKEN];
  for (let block = crossings.load(heap + DELAYED_FREE); block !== 0; ) {
    if (block === taken) {
      i32[heap + TAKEN] = 0;
      return;
    }
    block = linkOf(tld, headPage(tld, sliceAt(tld, block)), block);
  }
  freeTaken(tld, heap);
}

/**
 * The same for every list that may hold blocks of this thread: those of its heaps, and those in records that are nobody's, which are this thread's
 * for that long. What came late to a record that another thread has claimed meanwhile is found by that thread.
 */
export function collectAllDelayed(tld: Tld): void {
  const { i32, crossings } = tld;
  forEachRecord(tld, (heap) => {
    if (i32[heap + DELAYED_FREE] === 0) return;
    const owner = i32[heap + Heap.threadId];
    if (owner === tld.threadId) collectDelayed(tld, heap);
    // A slot that is the last free one is left for a thread that comes, and finds the blocks itself.
    // Acquire: pairs with the store of whoever let go of the record.
    else if (
      owner === 0 &&
      hasOtherSlot(tld, heap) &&
      crossings.claim(heap + Heap.threadId, 0, tld.threadId)
    ) {
      collectDelayed(tld, heap);
      crossings.store(heap + Heap.threadId, 0);
    }
  });
}
