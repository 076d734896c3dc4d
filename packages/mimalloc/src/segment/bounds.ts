/**
 * How far a walk over the region can go at the most. A program that writes where it should not can make any
 * word anything; then a list goes in circles or leaves the memory, and a count says two thousand million. No
 * walk believes such a word further than the geometry allows.
 *
 * ```
 *   a queue of pages         a page has a slice at least
 *   a list of segments       a segment has its bytes
 *   a list of heaps          a record has its words
 *   chunks                   the root has an entry for each of 4 GiB
 *   a list of a page         a block has two words at least
 * ```
 */

import type { Word } from '@shmalloc/allocator-api';
import { BIN_HUGE } from '../layout/bins.ts';
import { SEGMENTS_PER_CHUNK } from '../layout/geometry.ts';
import { Field } from '../layout/header.ts';
import { HEAP_WORDS, Heap } from '../layout/heap.ts';
import { binOfPage, isRecordSlice, ownerOf, Page, slicesOf } from '../layout/page.ts';
import {
  CHUNK_WORDS,
  chunkAt,
  rootWords,
  SEGMENT_WORDS,
  segmentAt,
  sliceAt,
  tableWords,
} from '../layout/page-map.ts';
import type { Tld } from '../thread/thread-view.ts';
import { reach } from './reach.ts';
import { Segment } from './segment.ts';

/** No heap has more pages. */
export function mostPages(tld: Tld): number {
  return (tld.i32.length >>> tld.sliceShift) + 1;
}

/** No list of segments is longer. */
export function mostSegments(tld: Tld): number {
  return (tld.i32.length >>> tld.segmentShift) + 1;
}

/** No list of heap records is longer. */
export function mostRecords(tld: Tld): number {
  return Math.ceil(tld.i32.length / HEAP_WORDS);
}

/** The chunks that have memory: the first one … */
export function lowChunk(tld: Tld): number {
  return Math.max(0, tld.i32[tld.header + Field.chunkLow]);
}

/** … and one past the last. */
export function highChunk(tld: Tld): number {
  return Math.min(rootWords(tld.chunkShift), tld.i32[tld.header + Field.chunkHigh]);
}

/** How many exclusive arenas there are; each has a segment at least. */
export function arenasOf(tld: Tld): number {
  return Math.max(0, Math.min(tld.i32[tld.header + Field.arenas], mostSegments(tld)));
}

/**
 * A chunk's own words. A table that another thread has added may lie in memory that has just come, which the
 * views reach then.
 * @returns 0 when the chunk has no table, or none that can be right, which is reported
 */
export function tableOf(tld: Tld, chunk: number): Word {
  const words = chunkAt(tld, chunk);
  if (words === 0) return 0;
  const end = words + CHUNK_WORDS + SEGMENTS_PER_CHUNK * SEGMENT_WORDS;
  if (words % CHUNK_WORDS === 0 && end > tableWords(tld.slicesPerSegment) && reach(tld, end)) return words;
  tld.damage(`the table of chunk ${chunk} cannot lie at ${words * 4}`);
  return 0;
}

/** Blocks that a page has at the most, whatever CAPACITY says. */
export function capacityOf(tld: Tld, page: Word): number {
  const capacity = tld.i32[page + Page.capacity];
  const words = slicesOf(tld, page) << tld.sliceShift;
  const most = binOfPage(tld, page) === BIN_HUGE ? 1 : words / Math.max(2, tld.i32[page + Page.blockWords]);
  return Math.max(0, Math.floor(Math.min(capacity, most, tld.i32.length >>> 1))) || 0;
}

/** Whether a word is where a page's descriptor lies, as far as the page map says so. */
export function isPage(tld: Tld, page: Word): boolean {
  if (!(page > 0 && page + Page.key1 < tld.i32.length)) return false;
  return tld.i32[page + Page.blockWords] > 0 && sliceAt(tld, tld.i32[page + Page.start]) === page;
}

/** Whether a word is where a page of this thread lies. */
export function isOwnPage(tld: Tld, page: Word): boolean {
  return isPage(tld, page) && ownerOf(tld, page) === tld.threadId;
}

/** Whether a word is where a segment's descriptor lies: the place that BASE says leads back to it. */
export function isSegment(tld: Tld, segment: Word): boolean {
  if (!(segment > 0 && segment + Segment.committed < tld.i32.length)) return false;
  return segmentAt(tld, tld.i32[segment + Segment.base]) === segment;
}

/** Whether a word is where a heap's record lies: in the thread table, or in a slice of records. */
export function isRecord(tld: Tld, heap: Word): boolean {
  const { firstSlot, slots } = tld;
  if (heap >= firstSlot && heap < firstSlot + slots * HEAP_WORDS)
    return (heap - firstSlot) % HEAP_WORDS === 0;
  if (!(heap > 0 && reach(tld, heap + HEAP_WORDS))) return false;
  const slice = sliceAt(tld, heap);
  const within = heap & ((1 << tld.sliceShift) - 1);
  return slice > 0 && isRecordSlice(tld, slice) && within % HEAP_WORDS === 0;
}

/** Whether a word is where a heap of this thread lies. */
export function isOwnRecord(tld: Tld, heap: Word): boolean {
  return isRecord(tld, heap) && tld.i32[heap + Heap.threadId] === tld.threadId;
}
