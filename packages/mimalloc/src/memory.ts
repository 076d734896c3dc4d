/**
 * Memory that comes: with `create`, by `addMemory` and `addArena`, and when a thread lets the region grow.
 *
 * ```
 *   [from, to) ─▶ ADD_… of the thread's record ─▶ tables for chunks that have none, out of the range itself ─▶ slices ─▶ epoch ─▶ the other threads look
 * ```
 *
 * Any number of threads may add at the same time. A thread that ends in the middle leaves its range in its record, and whoever reaps it adds what is
 * missing: every step can be done twice.
 */

import { AllocError } from '@shmalloc/allocator-api';
import { bitOf, claim, findSegment, release } from './arena.ts';
import { OS_PAGE_BYTES, SEGMENTS_PER_CHUNK, type Word } from './geometry.ts';
import { Field } from './header.ts';
import { Heap } from './heap.ts';
import { isRecordSlice, Page } from './page.ts';
import {
  Chunk,
  chunkAt,
  entryOf,
  NO_TABLE,
  rootWords,
  SEGMENT_WORDS,
  segmentAt,
  sliceAt,
  tableWords,
} from './page-map.ts';
import { countCommitted, KIND_PAGES, linkSegment, Segment } from './segment.ts';
import { countBits } from './slices.ts';
import type { Tld } from './tld.ts';

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
 * Puts a range under management: makes tables for chunks that have none, out of the range itself, and adds the slices.
 * @param from - words, a slice's start
 * @param to - words, a slice's end
 * @param arena - 0, or an exclusive arena, whose range is whole segments
 */
export function addRange(tld: Tld, from: Word, to: Word, arena: number): void {
  const { i32, heap } = tld;
  i32[heap + Heap.addFrom] = from;
  i32[heap + Heap.addArena] = arena;
  i32[heap + Heap.addTo] = to;
  layRange(tld, from, to, arena);
  tld.i32[heap + Heap.addTo] = 0;
}

/** Adds what a thread that has ended was adding. Its record is this thread's. */
export function finishRange(tld: Tld, heap: Word): void {
  const { i32 } = tld;
  const to = i32[heap + Heap.addTo];
  if (to === 0) return;
  tld.refresh();
  layRange(tld, i32[heap + Heap.addFrom], to, i32[heap + Heap.addArena]);
  tld.i32[heap + Heap.addTo] = 0;
  announceMemory(tld);
}

function layRange(tld: Tld, from: Word, to: Word, arena: number): void {
  const { chunkShift, segmentShift } = tld;
  const start = layTables(tld, from, to);
  widen(tld, from >>> chunkShift, ((to - 1) >>> chunkShift) + 1);
  // A table that somebody else has made may lie in memory that has just come.
  tld.refresh();
  for (let base = start; base < to; ) {
    const segmentEnd = ((base >>> segmentShift) + 1) << segmentShift;
    const end = Math.min(to, segmentEnd);
    if (chunkAt(tld, base >>> chunkShift) !== 0) addSlices(tld, base, end, arena);
    base = end;
  }
}

/**
 * Makes a table for each chunk of the range that has none, in the first slices of the range.
 * @returns where the slices for blocks begin
 */
function layTables(tld: Tld, from: Word, to: Word): Word {
  const { i32, chunkShift, sliceShift } = tld;
  const words = tableWords(tld.slicesPerSegment);
  let start = from;
  for (let chunk = from >>> chunkShift; chunk <= (to - 1) >>> chunkShift; chunk++) {
    const first = chunk << chunkShift;
    if (i32[tld.root + chunk] === NO_TABLE) {
      // The part in this chunk is not worth a table, or there is no room for one: it is of no use.
      if (Math.min(to, first + (1 << chunkShift)) - Math.max(start, first) <= words || start + words > to)
        continue;
      if (!makeTable(tld, chunk, start)) continue;
      countCommitted(tld, Math.ceil((words * 4) / OS_PAGE_BYTES / SEGMENTS_PER_CHUNK));
    } else {
      // One that lies in here has been made by a thread that ended before it was done.
      const table = sliceAt(tld, first);
      if (table < start || table >= to) continue;
    }
    start = (((start + words - 1) >>> sliceShift) + 1) << sliceShift;
  }
  return start;
}

/**
 * Lays out a chunk's table at this place and enters it into the root.
 * @returns false when somebody else has done so at the same moment
 */
export function makeTable(tld: Tld, chunk: number, table: Word): boolean {
  const { i32 } = tld;
  const end = table + tableWords(tld.slicesPerSegment);
  i32.fill(0, table, end);
  const segments = end - SEGMENTS_PER_CHUNK * SEGMENT_WORDS;
  for (let index = 0; index < SEGMENTS_PER_CHUNK; index++) {
    const base = (chunk << tld.chunkShift) + (index << tld.segmentShift);
    i32[segments + index * SEGMENT_WORDS + Segment.base] = base;
  }
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

/** Adds slices of one segment. Those of a segment that somebody has become free when he looks for new memory. */
function addSlices(tld: Tld, from: Word, to: Word, arena: number): void {
  const { i32 } = tld;
  const segment = segmentAt(tld, from);
  const chunk = chunkAt(tld, from >>> tld.chunkShift);
  i32[segment + Segment.arena] = arena;
  // The bit first: there is no slice that a walk does not meet.
  Atomics.or(i32, chunk + Chunk.present, bitOf(tld, from));
  for (let base = from; base < to; base += 1 << tld.sliceShift) {
    // Only when this is done for a thread that has ended: somebody has made records of the slice meanwhile.
    if (isRecordSlice(tld, sliceAt(tld, base))) continue;
    const slice = (base >>> tld.sliceShift) & (tld.slicesPerSegment - 1);
    Atomics.or(i32, segment + (slice < 32 ? Segment.presentLow : Segment.presentHigh), 1 << (slice & 31));
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

export function adoptSlices(tld: Tld, segment: Word): void {
  const { i32 } = tld;
  if (i32[segment + Segment.kind] !== KIND_PAGES) return;
  const wasFull = (i32[segment + Segment.freeLow] | i32[segment + Segment.freeHigh]) === 0;
  for (let slice = 0; slice < tld.slicesPerSegment; slice++) {
    const field = slice < 32 ? 0 : 1;
    const bit = 1 << (slice & 31);
    const base = i32[segment + Segment.base] + (slice << tld.sliceShift);
    if ((i32[segment + Segment.presentLow + field] & bit) === 0) continue;
    if (i32[sliceAt(tld, base) + Page.start] === 0) i32[segment + Segment.freeLow + field] |= bit;
  }
  if (wasFull && (i32[segment + Segment.freeLow] | i32[segment + Segment.freeHigh]) !== 0)
    linkSegment(tld, segment);
}

/** Asks the owner of the memory for more. */
export function growRegion(tld: Tld, words: number): boolean {
  // At least an eighth of what there is, so that a growing program does not grow it in small steps.
  const wanted = Math.max(words, presentBytes(tld) >>> 5);
  const range = tld.os.reserve(wanted * 4) ?? tld.os.reserve(words * 4);
  if (range === null) return false;
  tld.refresh();
  const mask = (1 << tld.sliceShift) - 1;
  const from = ((Math.ceil(range.start / 4) + mask) >>> tld.sliceShift) << tld.sliceShift;
  const to = (Math.floor((range.start + range.size) / 4) >>> tld.sliceShift) << tld.sliceShift;
  if (from >= to) return false;
  addRange(tld, from, to, 0);
  announceMemory(tld);
  return true;
}

/** Lets the other threads look for new memory at their next generic allocation. */
export function announceMemory(tld: Tld): void {
  Atomics.add(tld.i32, tld.header + Field.epoch, 1);
  tld.refresh();
  adoptMemory(tld);
}
