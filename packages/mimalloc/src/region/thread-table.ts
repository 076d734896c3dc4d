/**
 * The thread table: a heap record for each thread that can be attached at one time, and the records of
 * further heaps.
 *
 * ```
 *   HEAPS  ├ record 0 ┼ record 1 ┼ … ┼ record SLOTS−1 ┤        a thread's backing heap
 *                                                              records of `heapNew` lie in pages of their own
 * ```
 *
 * A record is claimed by exchanging its THREAD_ID from 0 for a name that no other thread has (`thread-heap`).
 */

import { AllocError, type Word } from '@shmalloc/allocator-api';
import { claimSlot as claimSlotIn, type SlotTable } from '@shmalloc/thread-heap';
import { BIN_COUNT } from '../layout/bins.ts';
import { OS_PAGE_BYTES } from '../layout/geometry.ts';
import { Field } from '../layout/header.ts';
import { clearQueues, HEAP_WORDS, Heap } from '../layout/heap.ts';
import { countCommitted } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';

/** The table, as `thread-heap` sees it. */
function tableOf({ firstSlot, slots }: Tld): SlotTable {
  const { threadId: nameAt, generation: generationAt } = Heap;
  return { firstSlot, slots, slotWords: HEAP_WORDS, nameAt, generationAt };
}

/** The record of a slot. */
export function slotAt(tld: Tld, slot: number): Word {
  return tld.firstSlot + slot * HEAP_WORDS;
}

/**
 * Claims a free slot for the calling thread. Lock-free; O(slots).
 * @throws AllocError `TooManyThreads` when all are taken
 */
export function claimSlot(tld: Tld): void {
  enterSlot(tld, takeSlot(tld));
}

/** Claims a free slot for a thread that is to come. @returns the name that it will have */
export function reserveSlot(tld: Tld): number {
  const heap = takeSlot(tld);
  // The name, and not only that it is expected: a handle whose thread was reaped before it came must not let
  // its thread in under the next name.
  tld.i32[heap + Heap.seat] = tld.i32[heap + Heap.threadId];
  return tld.i32[heap + Heap.threadId];
}

/**
 * Makes the calling thread the one that a slot was reserved for.
 * @throws AllocError `InvalidParam` when no thread is expected under this name
 */
export function takeSeat(tld: Tld, name: number): void {
  const { i32, crossings } = tld;
  for (let slot = 0; slot < tld.slots; slot++) {
    const heap = slotAt(tld, slot);
    if (i32[heap + Heap.threadId] !== name) continue;
    // Acquire: pairs with the post that brought the handle. Of two threads with the same handle one is let
    // in.
    if (crossings.claim(heap + Heap.seat, name, 0)) {
      enterSlot(tld, heap);
      return;
    }
  }
  throw new AllocError(
    'InvalidParam',
    `no thread is expected under threadId ${name}: each handle of shareSlot is for one thread, once`,
  );
}

/** The record of a free slot, which has a name now. */
function takeSlot(tld: Tld): Word {
  const { i32 } = tld;
  const { record, isFirst } = claimSlotIn(i32, tld.crossings, tableOf(tld), 'threads');
  if (isFirst) countCommitted(tld, Math.ceil((HEAP_WORDS * 4) / OS_PAGE_BYTES));
  i32[record + Heap.backing] = record;
  i32[record + Heap.next] = 0;
  i32[record + Heap.seat] = 0;
  resetHeap(tld, record);
  return record;
}

/** Makes a record the calling thread's. */
function enterSlot(tld: Tld, heap: Word): void {
  const { i32, header } = tld;
  tld.shared = heap !== slotAt(tld, 0) || i32[header + Field.shared] !== 0;
  if (heap !== slotAt(tld, 0)) {
    // The others look at the epoch at each generic allocation, and then at this.
    Atomics.store(i32, header + Field.shared, 1);
    Atomics.add(i32, header + Field.epoch, 1);
  }
  tld.heap = heap;
  tld.direct = heap + Heap.direct;
  tld.threadId = i32[heap + Heap.threadId];
}

/** Whether there is a free slot besides this one, for a thread that comes. */
export function hasOtherSlot(tld: Tld, heap: Word): boolean {
  const { i32 } = tld;
  for (let slot = 0; slot < tld.slots; slot++) {
    const other = slotAt(tld, slot);
    if (other !== heap && i32[other + Heap.threadId] === 0) return true;
  }
  return false;
}

/**
 * Makes the calling thread another hand of the thread that has a slot. Something outside sees to it that one
 * of them is at work at a time.
 */
export function joinSlot(tld: Tld, slot: number): void {
  const heap = slotAt(tld, slot);
  tld.heap = heap;
  tld.direct = heap + Heap.direct;
  tld.threadId = tld.i32[heap + Heap.threadId];
}

/** Makes a record's heap one without pages. Its counters go on. */
export function resetHeap(tld: Tld, heap: Word): void {
  const { i32 } = tld;
  for (const field of [
    Heap.tag,
    Heap.arena,
    Heap.pageCount,
    Heap.retiredHigh,
    Heap.segments,
    Heap.segmentCount,
    Heap.purgeAt,
  ])
    i32[heap + field] = 0;
  i32[heap + Heap.retiredLow] = BIN_COUNT;
  clearQueues(tld, heap);
}

/** The names of the threads that have a slot. */
export function namesOf(tld: Tld): number[] {
  const { i32 } = tld;
  const names = new Set<number>();
  for (let slot = 0; slot < tld.slots; slot++) {
    const name = i32[slotAt(tld, slot) + Heap.threadId];
    if (name !== 0) names.add(name);
  }
  return [...names];
}
