/**
 * Memory that comes: with `create`, by `addMemory` and `addArena`, and when a thread lets the region grow.
 *
 * ```
 *   [from, to) ─▶ ADD_… of the thread's record ─▶ tables for chunks that have none ─▶ slices ─▶ epoch ─▶ the other threads look
 *
 *   ├ tables ┼──────── slices ────────┤├ the next piece ─────┤├ …
 * ```
 *
 * Tables come out of the range itself, for the chunks that the memory may reach later, too: pieces that touch
 * are then as good as one piece. Any number of threads may add at the same time. A thread that ends in the
 * middle leaves its range in its record, and the thread that reaps it adds what is missing: every step can be
 * done twice.
 */

import { AllocError, countBits, type Word } from '@shmalloc/allocator-api';
import { NO_TABLE } from '@shmalloc/thread-heap';
import { OS_PAGE_WORDS, SEGMENTS_PER_CHUNK } from '../layout/geometry.ts';
import { Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import { isRecordSlice, Page } from '../layout/page.ts';
import {
  CHUNK_WORDS,
  Chunk,
  chunkAt,
  entryOf,
  rootWords,
  SEGMENT_WORDS,
  segmentAt,
  sliceAt,
  tableWords,
} from '../layout/page-map.ts';
import { bitOf, claim, findSegment, release } from '../segment/arena.ts';
import { reach } from '../segment/reach.ts';
import { countCommitted, endOfSlices, KIND_PAGES, linkSegment, Segment } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';

/** Bytes under management. O(segments). */
export function presentBytes(tld: Tld): number {
  const { i32 } = tld;
  let slices = 0;
  findSegment(tld, Chunk.present, (segment) => {
    slices += countBits(i32[segment + Segment.presentLow]) + countBits(i32[segment + Segment.presentHigh]);
    return false;
  });
  return slices * (4 << tld.sliceShift);
}

/**
 * Demands that a range can be added, without adding it.
 * @param from - words, a slice's start
 * @param to - words, a slice's end
 * @throws AllocError `MemoryOverlap` when a part of it is under management
 */
export function checkNew(tld: Tld, from: Word, to: Word): void {
  const words = tableWords(tld.slicesPerSegment);
  for (let chunk = 0; chunk < rootWords(tld.chunkShift); chunk++) {
    const table = sliceAt(tld, chunk << tld.chunkShift);
    if (table !== 0 && table < to && table + words > from) {
      throw new AllocError(
        'MemoryOverlap',
        `[${from * 4}, ${to * 4}) overlaps a table of this heap at ${table * 4}`,
      );
    }
  }
  for (let base = from; base < to; base += 1 << tld.sliceShift) {
    if (isPresent(tld, base)) {
      throw new AllocError(
        'MemoryOverlap',
        `[${from * 4}, ${to * 4}) overlaps memory of this heap at ${base * 4}`,
      );
    }
  }
}

/** Whether a word lies in memory that the heap has. */
export function isPresent(tld: Tld, base: Word): boolean {
  if (chunkAt(tld, base >>> tld.chunkShift) === 0) return false;
  const slice = (base >>> tld.sliceShift) & (tld.slicesPerSegment - 1);
  const word = tld.i32[segmentAt(tld, base) + (slice < 32 ? Segment.presentLow : Segment.presentHigh)];
  // A slice of heap records has left the management, and must not come again.
  return ((word >>> (slice & 31)) & 1) === 1 || tld.i32[sliceAt(tld, base) + Page.start] !== 0;
}

/**
 * Puts a range under management: makes tables for chunks that have none, out of the range itself, and adds
 * the slices.
 * @param from - words, a slice's start
 * @param to - words, a slice's end
 * @param arena - 0, or an exclusive arena, whose range is whole segments
 * @param tables - words of the range that are meant for tables, when it is memory that has just been grown,
 *   and so is zero; −1 for any other memory
 */
export function addRange(tld: Tld, from: Word, to: Word, arena: number, tables = -1): void {
  const { i32, heap } = tld;
  i32[heap + Heap.addFrom] = from;
  i32[heap + Heap.addArena] = arena;
  i32[heap + Heap.addTo] = to;
  layRange(tld, from, to, arena, tables);
  tld.i32[heap + Heap.addTo] = 0;
}

/** Adds what a thread that has ended was adding. Its record is this thread's. */
export function finishRange(tld: Tld, heap: Word): void {
  const { i32 } = tld;
  const from = i32[heap + Heap.addFrom];
  const to = i32[heap + Heap.addTo];
  if (to === 0) return;
  if (!(from > 0 && from < to && reach(tld, to))) tld.damage(`no memory can lie at [${from * 4}, ${to * 4})`);
  else layRange(tld, from, to, i32[heap + Heap.addArena], -1);
  tld.i32[heap + Heap.addTo] = 0;
  announceMemory(tld);
}

function layRange(tld: Tld, from: Word, to: Word, arena: number, tables: number): void {
  const { chunkShift, segmentShift } = tld;
  const start = layTables(tld, from, to, tables);
  widen(tld, from >>> chunkShift, ((to - 1) >>> chunkShift) + 1);
  for (let base = start; base < to; ) {
    const segmentEnd = ((base >>> segmentShift) + 1) << segmentShift;
    const end = Math.min(to, segmentEnd);
    const words = chunkAt(tld, base >>> chunkShift);
    // A table that another thread has made may lie in memory that has just come.
    if (words !== 0 && reach(tld, words + CHUNK_WORDS + SEGMENTS_PER_CHUNK * SEGMENT_WORDS))
      addSlices(tld, base, end, arena);
    base = end;
  }
}

/** The last chunk that the memory can ever reach, as far as that is known; −1 where it is not. */
function lastChunk(tld: Tld): number {
  return ((tld.i32[tld.header + Field.maxWords] - 1) | 0) >> tld.chunkShift;
}

/**
 * Makes tables in the first words of the range: one for each chunk of it that has none, and then for chunks
 * that the memory may reach later. Memory that came in pieces is to serve what memory of that size serves, so
 * tables must not lie between the pieces.
 * @param tables - words of fresh memory that are meant for tables; −1 for memory that is not fresh. A quarter
 *   of the range may be used for them in any case
 * @returns where the slices for blocks begin
 */
function layTables(tld: Tld, from: Word, to: Word, tables: number): Word {
  const { chunkShift, sliceShift } = tld;
  const words = tableWords(tld.slicesPerSegment);
  const last = (to - 1) >>> chunkShift;
  // Only what lies at the end of the memory is followed by what it grows by.
  const isAtEnd = to + (1 << sliceShift) > tld.i32.length;
  const ahead = isAtEnd ? Math.max(last, lastChunk(tld)) : last;
  let start = endOfTables(tld, from, to);
  let committed = ceilTo(start, OS_PAGE_WORDS);
  for (let chunk = from >>> chunkShift; chunk <= ahead; chunk++) {
    if (tld.i32[tld.root + chunk] !== NO_TABLE) continue;
    if (start + words > to) break;
    const first = chunk << chunkShift;
    // A part of the range that is not worth a table is of no use.
    if (chunk <= last) {
      if (Math.min(to, first + (1 << chunkShift)) - Math.max(start, first) <= words) continue;
    } else if (start + words - from > Math.max(tables, (to - from) >>> 2)) break;
    if (tables < 0) {
      // What the region was given may hold anything.
      const needed = ceilTo(start + words, OS_PAGE_WORDS);
      if (needed > committed && !tld.os.commit(committed * 4, (needed - committed) * 4)) break;
      countCommitted(tld, (needed - committed) / OS_PAGE_WORDS);
      committed = needed;
      tld.i32.fill(0, start, start + words);
    }
    if (makeTable(tld, chunk, start)) start += words;
  }
  return ceilTo(start, 1 << sliceShift);
}

/** The next multiple of a power of two. */
function ceilTo(word: Word, step: number): Word {
  return (word + step - 1) & -step;
}

/**
 * One past the tables that lie in a range, from its start on: a thread that ended before it was done has made
 * them.
 */
function endOfTables(tld: Tld, from: Word, to: Word): Word {
  const { i32, root, chunkShift } = tld;
  const words = tableWords(tld.slicesPerSegment);
  let end = from;
  for (let chunk = 0; chunk < rootWords(chunkShift); chunk++) {
    if (i32[root + chunk] === NO_TABLE) continue;
    const table = sliceAt(tld, chunk << chunkShift);
    if (table >= end && table + words <= to) end = table + words;
  }
  return end;
}

/**
 * Enters a chunk's table, which is zero, into the root.
 * @returns false when another thread has entered one at the same moment
 */
export function makeTable(tld: Tld, chunk: number, table: Word): boolean {
  // Release: publishes the table.
  return tld.crossings.claim(tld.root + chunk, NO_TABLE, entryOf(tld, chunk, table));
}

/** Lets the searches reach from chunk `low` up to `high`. Others may do the same at the same moment. */
function widen(tld: Tld, low: number, high: number): void {
  const { crossings, header } = tld;
  const first = header + Field.chunkLow;
  const last = header + Field.chunkHigh;
  for (
    let seen = crossings.load(first);
    crossings.load(last) === 0 || low < seen;
    seen = crossings.load(first)
  ) {
    if (crossings.claim(first, seen, low)) break;
  }
  for (let seen = crossings.load(last); high > seen; seen = crossings.load(last)) {
    if (crossings.claim(last, seen, high)) break;
  }
}

/**
 * Adds slices of one segment. Those of a segment that a thread has become free when it looks for new memory.
 */
function addSlices(tld: Tld, from: Word, to: Word, arena: number): void {
  const { i32, crossings, segmentShift } = tld;
  const segment = segmentAt(tld, from);
  const chunk = chunkAt(tld, from >>> tld.chunkShift);
  // Written for the first slice, and the same at any other: nothing reads them before a bit below is set.
  i32[segment + Segment.base] = (from >>> segmentShift) << segmentShift;
  i32[segment + Segment.arena] = arena;
  // The bit first: there is no slice that a walk does not meet.
  crossings.setBits(chunk + Chunk.present, bitOf(tld, from));
  for (let base = from; base < to; base += 1 << tld.sliceShift) {
    // Only when this is done for a thread that has ended: another has made records of the slice meanwhile.
    if (isRecordSlice(tld, sliceAt(tld, base))) continue;
    const slice = (base >>> tld.sliceShift) & (tld.slicesPerSegment - 1);
    // Release: pairs with the load in `freePresent` and in `adoptSlices`, and publishes that the memory has
    // grown so far.
    crossings.setBits(segment + (slice < 32 ? Segment.presentLow : Segment.presentHigh), 1 << (slice & 31));
  }
  if (claim(tld, segment)) release(tld, segment);
  else if (i32[segment + Segment.threadId] === tld.threadId) adoptSlices(tld, segment);
}

/** Makes slices free that have come to segments of this thread. */
export function adoptMemory(tld: Tld): void {
  findSegment(tld, Chunk.present, (segment) => {
    if (tld.i32[segment + Segment.threadId] === tld.threadId) adoptSlices(tld, segment);
    return false;
  });
}

/** The same for one segment of this thread. */
export function adoptSlices(tld: Tld, segment: Word): void {
  if (tld.i32[segment + Segment.kind] !== KIND_PAGES) return;
  // Acquire: pairs with the `or` in `addSlices`. What has come lies in memory that this thread may not have
  // looked at yet.
  const low = tld.crossings.load(segment + Segment.presentLow);
  const high = tld.crossings.load(segment + Segment.presentHigh);
  const start = tld.i32[segment + Segment.base];
  if (!reach(tld, endOfSlices(tld, start, low, high))) {
    tld.damage(`the segment at ${start * 4} has slices beyond the memory`);
    return;
  }
  const { i32 } = tld;
  const wasFull = (i32[segment + Segment.freeLow] | i32[segment + Segment.freeHigh]) === 0;
  for (let slice = 0; slice < tld.slicesPerSegment; slice++) {
    const bit = 1 << (slice & 31);
    if (((slice < 32 ? low : high) & bit) === 0) continue;
    const field = segment + (slice < 32 ? Segment.freeLow : Segment.freeHigh);
    if (i32[sliceAt(tld, start + (slice << tld.sliceShift)) + Page.start] === 0) i32[field] |= bit;
  }
  if (wasFull && (i32[segment + Segment.freeLow] | i32[segment + Segment.freeHigh]) !== 0)
    linkSegment(tld, segment);
}

/** Lets the other threads look for new memory at their next generic allocation. */
export function announceMemory(tld: Tld): void {
  Atomics.add(tld.i32, tld.header + Field.epoch, 1);
  tld.refresh();
  adoptMemory(tld);
}
