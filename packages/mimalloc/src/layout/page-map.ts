/**
 * From an address to what is known about it: the page map.
 *
 * ```
 *  header          root: one word a chunk of the whole 4 GiB           a chunk's table (16 segments)
 *  ├ … ┼────┬────┬────┬────┬ … ┬────┤       ┌▶├──────────────────────────┤
 *      │ ×  │ ×  │  ────────────────────────┘ │ page descriptors         │ 16 × 16 … 64 slices × 16 words
 *      └────┴────┴────┴────┴ … ┴────┘         ├──────────────────────────┤
 *        × = NO_TABLE                         │ chunk: FREE ABANDONED …  │ 16 words
 *                                             ├──────────────────────────┤
 *   word of a block                           │ segment descriptors      │ 16 × 32 words
 *   ├── chunk ──┼ segment ┼ slice ┼ … ┤       └──────────────────────────┘
 * ```
 *
 * A root entry is the table's place less what the chunk's first slice would add, so that a slice's descriptor
 * is at `root[word >> chunkShift] + (word >> sliceShift) * 16`: one load, no division, no search.
 *
 * Departure from mimalloc, which keeps descriptors at the start of each segment and finds them by masking the
 * pointer. Here they lie apart from the blocks, because: a pointer that was never handed out meets a
 * descriptor that says so, instead of whatever bytes a program has written there; writing past a block does
 * not reach them; blocks start at multiples of their alignment, and huge ones fill their segments; and a
 * range that is no multiple of a segment can be used in full. mimalloc 3 has a page map, too.
 */

import type { Word } from '@shmalloc/allocator-api';
import { descriptorAt, rootEntry, tableOf } from '@shmalloc/thread-heap';
import type { Tld } from '../thread/thread-view.ts';
import { SEGMENTS_PER_CHUNK } from './geometry.ts';

/** Words of a descriptor, as a shift: one cache line. */
export const PAGE_SHIFT = 4;
const PAGE_WORDS: number = 1 << PAGE_SHIFT;

export const SEGMENT_WORDS = 32;

/** A chunk's own words, behind its page descriptors. */
export const Chunk = {
  /** Bit s: segment s has no owner and no pages. A hint for searches; the segment's `threadId` decides. */
  free: 0,
  /** Bit s: segment s has pages and no owner. A hint, likewise. */
  abandoned: 1,
  /** Bit s: some slices of segment s are under management. */
  present: 2,
} as const;
export const CHUNK_WORDS = 16;

/** Words of a chunk's table. */
export function tableWords(slicesPerSegment: number): number {
  return SEGMENTS_PER_CHUNK * (slicesPerSegment * PAGE_WORDS + SEGMENT_WORDS) + CHUNK_WORDS;
}

/** Entries of the root: chunks in 4 GiB. */
export function rootWords(chunkShift: number): number {
  return 1 << (30 - chunkShift);
}

/** The root entry for a table at this place. */
export function entryOf(tld: Tld, chunk: number, table: Word): number {
  return rootEntry(table, chunk << (tld.chunkShift - tld.sliceShift), PAGE_SHIFT);
}

/** The descriptor of the slice that a word lies in; 0 when the word is in no chunk with memory. */
export function sliceAt(tld: Tld, word: Word): Word {
  const entry = tld.i32[tld.root + (word >>> tld.chunkShift)];
  return descriptorAt(entry, word >>> tld.sliceShift, PAGE_SHIFT);
}

/** A chunk's own words; 0 when it has no table. */
export function chunkAt(tld: Tld, chunk: number): Word {
  // Behind the descriptors, where the next chunk's would begin.
  return tableOf(tld.i32[tld.root + chunk], (chunk + 1) << (tld.chunkShift - tld.sliceShift), PAGE_SHIFT);
}

/** The descriptor of the segment that a word lies in. The word's chunk must have a table. */
export function segmentAt(tld: Tld, word: Word): Word {
  const chunk = chunkAt(tld, word >>> tld.chunkShift);
  return chunk + CHUNK_WORDS + ((word >>> tld.segmentShift) & (SEGMENTS_PER_CHUNK - 1)) * SEGMENT_WORDS;
}
