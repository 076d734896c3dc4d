/**
 * Blocks that other threads have freed into full pages. A full page is in no queue that is searched, so its first foreign block goes to
 * the heap's own list, where the heap finds it at its next generic allocation, and brings the page back.
 */

import { nextOf } from './blocks.ts';
import { freeLocal } from './free.ts';
import type { Word } from './geometry.ts';
import { Heap } from './heap.ts';
import { headPage } from './lookup.ts';
import { sliceAt } from './page-map.ts';
import type { Tld } from './tld.ts';

/** Takes the whole list and frees its blocks as their owner does. */
export function collectDelayed(tld: Tld, heap: Word): void {
  const { i32 } = tld;
  if (i32[heap + Heap.delayedFree] === 0) return;
  // Acquire: pairs with the exchange of every push.
  let block = Atomics.exchange(i32, heap + Heap.delayedFree, 0);
  while (block !== 0) {
    const page = headPage(tld, sliceAt(tld, block));
    const next = nextOf(tld, page, block);
    freeLocal(tld, page, block);
    block = next;
  }
}
