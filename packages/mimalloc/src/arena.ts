/**
 * The arena: all memory of the region, as segments that threads claim and release.
 *
 * ```
 *   create ─┐                                      ┌─▶ a thread's segment: pages
 *   init ───┼─▶ ranges ─▶ slices ─▶ free segments ─┤                                ─▶ back, when its last page goes
 *   addMemory                (PRESENT)             └─▶ n in a row: one huge block
 *   growth ─┘
 * ```
 *
 * A segment belongs to whoever has exchanged its THREAD_ID from 0 to his own. The chunk's FREE bits only save a searcher from looking at
 * each segment: a bit that is set too long costs a failed exchange, and one that is missing too long hides a segment until its releaser
 * has set it.
 */

import { AllocError } from '@shmalloc/allocator-api';
import { OS_PAGE_BYTES, SEGMENTS_PER_CHUNK, type Word } from './geometry.ts';
import { Field } from './header.ts';
import { Heap } from './heap.ts';
import { initPage, Page, type PagePlan } from './page.ts';
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
import {
  countCommitted,
  FREE_SEGMENT,
  findSlices,
  KIND_HUGE,
  KIND_HUGE_TAIL,
  KIND_PAGES,
  linkSegment,
  purgeSegment,
  Segment,
  type SliceRequest,
  unlinkSegment,
} from './segment.ts';
import { countBits, findRun, highBits, lowBits } from './slices.ts';
import { Counter, count } from './stats.ts';
import type { Tld } from './tld.ts';

// ── Claiming and releasing ──

/** Whether a segment's slices could meet the request if it were claimed. */
function couldServe(
  tld: Tld,
  segment: Word,
  arena: number,
  { count: slices, align, residue }: SliceRequest,
): boolean {
  const { i32 } = tld;
  return (
    i32[segment + Segment.arena] === arena &&
    findRun(i32[segment + Segment.presentLow], i32[segment + Segment.presentHigh], slices, align, residue) >=
      0
  );
}

/** Makes this thread a segment's owner; false when somebody else was quicker. */
function claim(tld: Tld, segment: Word): boolean {
  const { i32, crossings } = tld;
  // Acquire: pairs with the store in `release`, and receives the segment as its last owner left it.
  if (!crossings.claim(segment + Segment.threadId, FREE_SEGMENT, tld.threadId)) return false;
  // Slices may have come since it was released.
  i32[segment + Segment.freeLow] = i32[segment + Segment.presentLow];
  i32[segment + Segment.freeHigh] = i32[segment + Segment.presentHigh];
  const base = i32[segment + Segment.base];
  const chunk = chunkAt(tld, base >>> tld.chunkShift);
  crossings.clearBits(chunk + Chunk.free, bitOf(tld, base));
  i32[tld.heap + Heap.segmentCount]++;
  return true;
}

/** Counts the memory of a segment's descriptors, an OS page, when it gets its first page. */
function touch(tld: Tld, segment: Word): void {
  const { i32 } = tld;
  if (i32[segment + Segment.touched] !== 0) return;
  i32[segment + Segment.touched] = 1;
  countCommitted(tld, 1);
}

/** Lets a segment without pages go. */
function release(tld: Tld, segment: Word): void {
  const { i32, crossings } = tld;
  const base = i32[segment + Segment.base];
  i32[segment + Segment.kind] = KIND_PAGES;
  i32[segment + Segment.count] = 0;
  i32[segment + Segment.freeLow] = i32[segment + Segment.presentLow];
  i32[segment + Segment.freeHigh] = i32[segment + Segment.presentHigh];
  const purgeAt = i32[segment + Segment.purgeAt];
  if (purgeAt !== 0 && i32[tld.header + Field.purgeAt] === 0) i32[tld.header + Field.purgeAt] = purgeAt;
  i32[tld.heap + Heap.segmentCount]--;
  // The bit first: a thread that ends in between leaves a bit that says too much, and no segment that nobody finds.
  crossings.setBits(chunkAt(tld, base >>> tld.chunkShift) + Chunk.free, bitOf(tld, base));
  // Release: pairs with the exchange in `claim`.
  crossings.store(segment + Segment.threadId, FREE_SEGMENT);
}

/** A segment's bit in its chunk's words. */
export function bitOf(tld: Tld, base: Word): number {
  return 1 << ((base >>> tld.segmentShift) & (SEGMENTS_PER_CHUNK - 1));
}

/** Calls back for every segment of which a bit is set in this word of its chunk, in address order, until one is accepted. */
export function findSegment(tld: Tld, field: number, accept: (segment: Word) => boolean): Word {
  const { i32, header } = tld;
  const high = i32[header + Field.chunkHigh];
  for (let chunk = i32[header + Field.chunkLow]; chunk < high; chunk++) {
    const words = chunkAt(tld, chunk);
    if (words === 0) continue;
    // `| 0`: a table that another thread has just added may lie beyond this thread's view.
    for (let bits = i32[words + field] | 0; bits !== 0; bits &= bits - 1) {
      const index = 31 - Math.clz32(bits & -bits);
      const segment = segmentAt(tld, (chunk << tld.chunkShift) + (index << tld.segmentShift));
      if (accept(segment)) return segment;
    }
  }
  return 0;
}

/**
 * A segment of this thread in which the request can be met: one that it has, or a new one.
 * @returns 0 when there is none
 */
export function segmentFor(tld: Tld, arena: number, request: SliceRequest): Word {
  const { i32 } = tld;
  for (let segment = i32[tld.heap + Heap.segments]; segment !== 0; segment = i32[segment + Segment.next]) {
    if (i32[segment + Segment.arena] === arena && findSlices(tld, segment, request) >= 0) return segment;
  }
  const found = findSegment(
    tld,
    Chunk.free,
    (segment) => couldServe(tld, segment, arena, request) && claim(tld, segment),
  );
  if (found === 0) return 0;
  count(tld, tld.heap, Counter.segmentsClaimed);
  touch(tld, found);
  linkSegment(tld, found);
  return found;
}

/** Gives back a segment whose last page has gone. */
export function releaseSegment(tld: Tld, segment: Word): void {
  unlinkSegment(tld, segment);
  count(tld, tld.heap, Counter.segmentsReleased);
  release(tld, segment);
}

// ── Huge blocks ──

/** A huge block: `words` of memory from a place whose address plus `offset` is a multiple of `align`. All in words. */
export interface HugeRequest {
  readonly words: number;
  readonly align: number;
  readonly offset: number;
}

/** Whether `[from, to)` lies in whole free segments of one arena. */
function areFree(tld: Tld, from: Word, to: Word, arena: number): boolean {
  const { i32, segmentShift, slicesPerSegment } = tld;
  const low = lowBits(0, slicesPerSegment);
  const high = highBits(0, slicesPerSegment);
  for (let base = (from >>> segmentShift) << segmentShift; base < to; base += 1 << segmentShift) {
    if (chunkAt(tld, base >>> tld.chunkShift) === 0) return false;
    const segment = segmentAt(tld, base);
    if (
      i32[segment + Segment.threadId] !== FREE_SEGMENT ||
      i32[segment + Segment.presentLow] !== low ||
      i32[segment + Segment.presentHigh] !== high ||
      i32[segment + Segment.arena] !== arena
    )
      return false;
  }
  return true;
}

/** Gives back a segment of a run that could not be had. What it was to lose it is to lose again. */
function unclaim(tld: Tld, segment: Word): void {
  const { i32 } = tld;
  i32[segment + Segment.purgeLow] = i32[segment + Segment.presentLow];
  i32[segment + Segment.purgeHigh] = i32[segment + Segment.presentHigh];
  release(tld, segment);
}

/** Claims every segment from `base` to `to`; none when one of them cannot be had. */
function claimRun(tld: Tld, base: Word, to: Word, kind: number): boolean {
  const { i32 } = tld;
  const step = 1 << tld.segmentShift;
  for (let at = base; at < to; at += step) {
    const segment = segmentAt(tld, at);
    if (claim(tld, segment)) {
      i32[segment + Segment.kind] = at === base ? kind : KIND_HUGE_TAIL;
      i32[segment + Segment.freeLow] = 0;
      i32[segment + Segment.freeHigh] = 0;
      i32[segment + Segment.purgeLow] = 0;
      i32[segment + Segment.purgeHigh] = 0;
      continue;
    }
    for (let back = base; back < at; back += step) unclaim(tld, segmentAt(tld, back));
    return false;
  }
  return true;
}

/**
 * A page of one block over segments of its own.
 * @returns 0 when there are not enough free segments in a row
 */
export function hugePage(tld: Tld, arena: number, request: HugeRequest, plan: PagePlan): Word {
  const { i32, header, segmentShift } = tld;
  const { words, align, offset } = request;
  const last = i32[header + Field.chunkHigh] << tld.chunkShift;
  for (let base = i32[header + Field.chunkLow] << tld.chunkShift; base < last; base += 1 << segmentShift) {
    // The first place in this segment that is aligned as it should be.
    const start = Math.ceil((base + offset) / align) * align - offset;
    const end = start + words;
    if (start >= base + (1 << segmentShift)) continue;
    if (end > last) return 0;
    if (!areFree(tld, start, end, arena) || !claimRun(tld, base, end, KIND_HUGE)) continue;
    const segment = segmentAt(tld, base);
    i32[segment + Segment.count] = Math.ceil((end - base) / (1 << segmentShift));
    touch(tld, segment);
    const page = sliceAt(tld, start);
    const first = (start >>> tld.sliceShift) << tld.sliceShift;
    initPage(tld, page, first, { ...plan, offset: start - first });
    count(tld, tld.heap, Counter.hugePages);
    return page;
  }
  return 0;
}

/** The segments of a huge block go back; its page has been cleared. */
export function freeHuge(tld: Tld, start: Word): void {
  const { i32, segmentShift } = tld;
  const base = (start >>> segmentShift) << segmentShift;
  const segments = i32[segmentAt(tld, base) + Segment.count];
  for (let index = segments - 1; index >= 0; index--) {
    const segment = segmentAt(tld, base + (index << segmentShift));
    const delay = i32[tld.header + Field.purgeDelay];
    i32[segment + Segment.purgeLow] = i32[segment + Segment.presentLow];
    i32[segment + Segment.purgeHigh] = i32[segment + Segment.presentHigh];
    if (delay >= 0) {
      const now = tld.os.now() | 0;
      i32[segment + Segment.purgeAt] = (now + delay) | 1;
      if (delay === 0) purgeSegment(tld, segment, true, now);
    }
    release(tld, segment);
  }
}

/**
 * Adds the segments behind a huge block to it, so that it ends at `end`.
 * @returns false when they are not free
 */
export function extendHuge(tld: Tld, page: Word, end: Word): boolean {
  const { i32, segmentShift } = tld;
  const start = i32[page + Page.start];
  const base = (start >>> segmentShift) << segmentShift;
  const segment = segmentAt(tld, base);
  const have = base + (i32[segment + Segment.count] << segmentShift);
  if (end <= have) return true;
  if (end > i32[tld.header + Field.chunkHigh] << tld.chunkShift) return false;
  if (!areFree(tld, have, end, i32[segment + Segment.arena])) return false;
  if (!claimRun(tld, have, end, KIND_HUGE_TAIL)) return false;
  i32[segment + Segment.count] = Math.ceil((end - base) / (1 << segmentShift));
  return true;
}

// ── Purge ──

/**
 * Purges segments that nobody has, each for the moment of purging a segment of this thread.
 * @param force - whether to wait for no clock
 */
export function purgeArena(tld: Tld, force: boolean): void {
  const { i32, header } = tld;
  const at = i32[header + Field.purgeAt];
  if (at === 0) return;
  const now = tld.os.now() | 0;
  if (!force && ((now - at) | 0) < 0) return;
  i32[header + Field.purgeAt] = 0;
  findSegment(tld, Chunk.free, (segment) => {
    if (i32[segment + Segment.purgeAt] === 0 || !claim(tld, segment)) return false;
    purgeSegment(tld, segment, force, now);
    release(tld, segment); // which sets the clock again if the segment's time has not come
    return false;
  });
}

/**
 * Purges the free slices of the segments that this thread has.
 * @param force - whether to wait for no clock
 */
export function purgeOwn(tld: Tld, force: boolean): void {
  const { i32, heap } = tld;
  const at = i32[heap + Heap.purgeAt];
  if (at === 0) return;
  const now = tld.os.now() | 0;
  if (!force && ((now - at) | 0) < 0) return;
  i32[heap + Heap.purgeAt] = 0;
  for (let segment = i32[heap + Heap.segments]; segment !== 0; segment = i32[segment + Segment.next]) {
    // What is not due yet keeps the clock running.
    if (!purgeSegment(tld, segment, force, now) && i32[heap + Heap.purgeAt] === 0)
      i32[heap + Heap.purgeAt] = i32[segment + Segment.purgeAt];
  }
}

// ── Memory that comes ──

/** Bytes under management. */
export function presentBytes(tld: Tld): number {
  return i32Of(tld, Field.present) * (4 << tld.sliceShift);
}

function i32Of(tld: Tld, field: number): number {
  return tld.i32[tld.header + field];
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
  const { i32, header, chunkShift, segmentShift, sliceShift } = tld;
  let start = from;
  for (let chunk = from >>> chunkShift; chunk <= (to - 1) >>> chunkShift; chunk++) {
    if (i32[tld.root + chunk] !== NO_TABLE) continue;
    const words = tableWords(tld.slicesPerSegment);
    const first = chunk << chunkShift;
    // The part in this chunk is not worth a table, or there is no room for one: it is of no use.
    if (Math.min(to, first + (1 << chunkShift)) - Math.max(start, first) <= words || start + words > to)
      continue;
    if (!makeTable(tld, chunk, start)) continue;
    countCommitted(tld, Math.ceil((words * 4) / OS_PAGE_BYTES / SEGMENTS_PER_CHUNK));
    start = (((start + words - 1) >>> sliceShift) + 1) << sliceShift;
  }
  // A table that somebody else has made may lie in memory that has just come.
  tld.refresh();
  let slices = 0;
  for (let base = start; base < to; ) {
    const segmentEnd = ((base >>> segmentShift) + 1) << segmentShift;
    const end = Math.min(to, segmentEnd);
    if (chunkAt(tld, base >>> chunkShift) !== 0)
      slices += addSlices(tld, base, (end - base) >>> sliceShift, arena);
    base = end;
  }
  Atomics.add(i32, header + Field.present, slices);
  widen(tld, from >>> chunkShift, ((to - 1) >>> chunkShift) + 1);
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
  return Atomics.compareExchange(i32, tld.root + chunk, NO_TABLE, entryOf(tld, chunk, table)) === NO_TABLE;
}

/** Lets the searches reach from chunk `low` up to `high`. Others may do the same at the same moment. */
function widen(tld: Tld, low: number, high: number): void {
  const { i32, header } = tld;
  const first = header + Field.chunkLow;
  const last = header + Field.chunkHigh;
  const isNew = i32[last] === 0;
  for (let seen = Atomics.load(i32, first); isNew || low < seen; ) {
    const found = Atomics.compareExchange(i32, first, seen, low);
    if (found === seen) break;
    seen = found;
  }
  for (let seen = Atomics.load(i32, last); high > seen; ) {
    const found = Atomics.compareExchange(i32, last, seen, high);
    if (found === seen) break;
    seen = found;
  }
}

/** Adds slices of one segment. Those of a segment that somebody has become free when he looks for new memory. */
function addSlices(tld: Tld, base: Word, slices: number, arena: number): number {
  const { i32 } = tld;
  const segment = segmentAt(tld, base);
  const slice = (base >>> tld.sliceShift) & (tld.slicesPerSegment - 1);
  const low = lowBits(slice, slices);
  const high = highBits(slice, slices);
  const chunk = chunkAt(tld, base >>> tld.chunkShift);
  i32[segment + Segment.arena] = arena;
  Atomics.or(i32, segment + Segment.presentLow, low);
  Atomics.or(i32, segment + Segment.presentHigh, high);
  Atomics.or(i32, chunk + Chunk.present, bitOf(tld, base));
  if (claim(tld, segment)) release(tld, segment);
  else if (i32[segment + Segment.threadId] === tld.threadId) adoptSlices(tld, segment);
  return countBits(low) + countBits(high);
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
