/**
 * Counters: plain words in each heap's record, written by its owner on slow paths only, so that counting
 * costs the fast paths nothing.
 */

import type { Word } from '@shmalloc/allocator-api';
import type { Tld } from '../thread/thread-view.ts';
import { Heap } from './heap.ts';

/** The counters of a heap, as offsets from its first. */
export const Counter = {
  /** Pages made, of shared blocks. */
  pages: 0,
  pagesFreed: 1,
  /** Pages given back by the retirement clock. */
  retired: 2,
  /** Times a page got more blocks. */
  extended: 3,
  largePages: 4,
  hugePages: 5,
  segmentsClaimed: 6,
  segmentsReleased: 7,
  /** Pages looked at for a free block. */
  searches: 8,
  /** Requests answered with 0. */
  failures: 9,
  /** Forced collections because memory was short. */
  collections: 10,
  /** Blocks taken from the list of delayed frees. */
  delayed: 11,
} as const;

export function count(tld: Tld, heap: Word, counter: number): void {
  tld.i32[heap + Heap.counters + counter]++;
}
