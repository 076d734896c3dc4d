/**
 * A heap: the queues of pages of one thread, or of one part of a program in a thread. This is its record in
 * the region.
 *
 * ```
 *  word
 *   0  THREAD_ID             whose it is; 0: the record is free
 *   1  THREAD_DELAYED_FREE   blocks that other threads have freed into full pages
 *   2  BACKING               the thread's heap that gets this one's pages when it is deleted: its first, or an arena's keeper
 *   3  NEXT                  the thread's next heap
 *   4  RECORD                the next record of all that lie beside the thread table
 *   5  TAG · 6 ARENA
 *   7  PAGE_COUNT
 *   8  RETIRED_LOW · 9 RETIRED_HIGH     bins with a retired page lie in between
 *  10  HEARTBEAT             generic allocations
 *  11  SEGMENTS              the thread's segments with free slices (in the backing heap)
 *  12  SEGMENT_COUNT
 *  13  GENERATION            how often this record had an owner
 *  14  PURGE_AT              when a segment of this thread next wants to be purged, milliseconds; 0 for none
 *  15  TAKEN                 blocks taken off that list and not freed yet
 *  16  counters              see stats.ts
 *  28  ADD_FROM              ┐ memory that this thread is adding at the moment,
 *  29  ADD_TO                │ in words; ADD_TO is 0 otherwise
 *  30  ADD_ARENA             ┘
 *  31  SEAT                  THREAD_ID while the record waits for the thread that it was claimed for, else 0
 *  32  DIRECT    129 words   pages_free_direct: a page for each number of granules up to 128
 * 162  QUEUES    92 × (first, last)
 * 352
 * ```
 *
 * Records never go away and never become anything else: a thread that frees into a heap that has just ended
 * writes to a record, not into another thread's block. So no thread ever has to wait for another before it
 * lets go of a heap.
 *
 * The direct table is a copy: entry g is the first page of the queue that serves g granules, or the empty
 * page, whose free list is always empty, so that `malloc` asks one question only. In secure mode every entry
 * is the empty page.
 */

import type { Word } from '@shmalloc/allocator-api';
import type { Tld } from '../thread/thread-view.ts';
import { BIN_COUNT, BIN_FULL, DIRECT_COUNT } from './bins.ts';

/** Offsets of a heap's fields, in words. */
export const Heap = {
  threadId: 0,
  delayedFree: 1,
  backing: 2,
  next: 3,
  record: 4,
  tag: 5,
  arena: 6,
  pageCount: 7,
  retiredLow: 8,
  retiredHigh: 9,
  heartbeat: 10,
  segments: 11,
  segmentCount: 12,
  generation: 13,
  purgeAt: 14,
  taken: 15,
  counters: 16,
  addFrom: 28,
  addTo: 29,
  addArena: 30,
  seat: 31,
  direct: 32,
} as const;

/** The queues stand behind the direct table. */
export const HEAP_QUEUES: number = Heap.direct + DIRECT_COUNT + 1;

/** Words of a record: whole cache lines. */
export const HEAP_WORDS: number = (HEAP_QUEUES + 2 * BIN_COUNT + 15) & ~15;

/** Forgets all pages of a heap. */
export function clearQueues(tld: Tld, heap: Word): void {
  const { i32, emptyPage } = tld;
  i32.fill(emptyPage, heap + Heap.direct, heap + Heap.direct + DIRECT_COUNT);
  i32.fill(0, heap + HEAP_QUEUES, heap + HEAP_QUEUES + 2 * (BIN_FULL + 1));
}
