/**
 * A segment: the aligned stretch of the region that a thread claims and divides into pages. This is its
 * descriptor, in the page map.
 *
 * ```
 *  word
 *   0  THREAD_ID    0 free · 1 abandoned · 2 a huge block · else the owner  ← the one word that decides
 *   1  KIND         0 pages · 1 the first of a huge block · 2 another of it
 *   2  COUNT        segments of the huge block
 *   3  PRESENT      ┐ 64 bits: slices under management
 *   5  FREE         │ 64 bits: slices in no page                          owner
 *   7  PURGE        ┘ 64 bits: free slices that still have memory         owner
 *   9  PURGE_AT     when they lose it, milliseconds; 0 for never          owner
 *  10  NEXT         ┐ the owner's list of segments that have a free slice
 *  11  PREV         ┘
 *  12  USED         pages                                                 owner
 *  13  BASE         first word
 *  14  ARENA        0, or the exclusive arena it belongs to
 *  15  TOUCHED      whether its descriptors were ever used
 *  16  COMMITTED    64 bytes: OS pages of each slice that have memory, from the slice's start
 *  32
 * ```
 *
 * Invariants: `FREE ⊆ PRESENT`, `PURGE ⊆ FREE`; a segment is in its owner's list if and only if KIND is 0 and
 * FREE is not empty; a free segment has `FREE = PRESENT`, without what has come while its owner let it go:
 * the thread that claims it makes FREE out of PRESENT.
 */

import type { Word } from '@shmalloc/allocator-api';
import { OS_PAGE_BYTES, OS_PAGE_SHIFT, OS_PAGE_WORDS } from '../layout/geometry.ts';
import { Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import { clearPage, initPage, Page, type PagePlan, slicesOf } from '../layout/page.ts';
import { chunkAt, segmentAt, sliceAt } from '../layout/page-map.ts';
import type { Tld } from '../thread/thread-view.ts';
import { reach } from './reach.ts';
import { findRun, highBits, lowBits } from './slices.ts';

/** The fields of a segment's descriptor, in words. */
export const Segment = {
  threadId: 0,
  kind: 1,
  count: 2,
  presentLow: 3,
  presentHigh: 4,
  freeLow: 5,
  freeHigh: 6,
  purgeLow: 7,
  purgeHigh: 8,
  purgeAt: 9,
  next: 10,
  prev: 11,
  used: 12,
  base: 13,
  arena: 14,
  touched: 15,
  committed: 16,
} as const;

/** THREAD_ID of a segment that no thread has, and that has no pages. */
export const FREE_SEGMENT = 0;
/** THREAD_ID of a segment that no thread has, and that has pages. */
export const ABANDONED_SEGMENT = 1;
/** THREAD_ID of the first segment of a huge block that is in use. */
export const HUGE_SEGMENT = 2;

/** KIND of a segment that is divided into pages. */
export const KIND_PAGES = 0;
export const KIND_HUGE = 1;
export const KIND_HUGE_TAIL = 2;

/** The slice of its segment that a word lies in. */
function sliceIndex(tld: Tld, segment: Word, word: Word): number {
  return (word - tld.i32[segment + Segment.base]) >>> tld.sliceShift;
}

/** Puts a segment into the list of those in which this thread looks for slices. */
export function linkSegment(tld: Tld, segment: Word): void {
  const { i32 } = tld;
  const head = tld.heap + Heap.segments;
  const first = i32[head];
  i32[segment + Segment.next] = first;
  i32[segment + Segment.prev] = 0;
  if (first !== 0) i32[first + Segment.prev] = segment;
  i32[head] = segment;
}

export function unlinkSegment(tld: Tld, segment: Word): void {
  const { i32 } = tld;
  const next = i32[segment + Segment.next];
  const prev = i32[segment + Segment.prev];
  if (next !== 0) i32[next + Segment.prev] = prev;
  if (prev !== 0) i32[prev + Segment.next] = next;
  else i32[tld.heap + Heap.segments] = next;
}

/**
 * Makes the slices that a segment of this thread has its free ones, and the views reach them.
 * @returns false when the memory is not so long, which is damage; then nothing has changed
 */
export function freePresent(tld: Tld, segment: Word): boolean {
  // Acquire: pairs with the `or` in `addSlices`, before which the memory had grown.
  const low = tld.crossings.load(segment + Segment.presentLow);
  const high = tld.crossings.load(segment + Segment.presentHigh);
  if (!reach(tld, endOfSlices(tld, tld.i32[segment + Segment.base], low, high))) return false;
  const { i32 } = tld;
  i32[segment + Segment.freeLow] = low;
  i32[segment + Segment.freeHigh] = high;
  return true;
}

/** One past the last word of a segment's last slice of these. */
export function endOfSlices(tld: Tld, base: Word, low: number, high: number): Word {
  const slices = high === 0 ? 32 - Math.clz32(low) : 64 - Math.clz32(high);
  return base + slices * (1 << tld.sliceShift);
}

/** Which slices a page wants. */
export interface SliceRequest {
  readonly count: number;
  /** The first one is a multiple of this, in slices, plus `residue`. */
  readonly align: number;
  readonly residue: number;
}

/**
 * A huge block: `words` of memory from a place whose address plus `offset` is a multiple of `align`. All in
 * words.
 */
export interface HugeRequest {
  readonly words: number;
  readonly align: number;
  readonly offset: number;
}

/** Where in this segment the request can be met; −1 nowhere. */
export function findSlices(tld: Tld, segment: Word, { count, align, residue }: SliceRequest): number {
  const { i32 } = tld;
  return findRun(i32[segment + Segment.freeLow], i32[segment + Segment.freeHigh], count, align, residue);
}

/**
 * Makes a page of free slices.
 * @param slice - the first one, as found
 * @param plan - the page
 * @returns the page
 */
export function takeSlices(tld: Tld, segment: Word, slice: number, plan: PagePlan): Word {
  const { i32 } = tld;
  const { slices } = plan;
  const low = lowBits(slice, slices);
  const high = highBits(slice, slices);
  i32[segment + Segment.purgeLow] &= ~low;
  i32[segment + Segment.purgeHigh] &= ~high;
  i32[segment + Segment.freeLow] &= ~low;
  i32[segment + Segment.freeHigh] &= ~high;
  i32[segment + Segment.used]++;
  if ((i32[segment + Segment.freeLow] | i32[segment + Segment.freeHigh]) === 0) unlinkSegment(tld, segment);
  const base = i32[segment + Segment.base] + (slice << tld.sliceShift);
  const page = sliceAt(tld, base);
  initPage(tld, page, base, plan);
  return page;
}

/**
 * Gives a page's slices back to its segment.
 * @returns whether the segment has no page left
 */
export function freeSlices(tld: Tld, page: Word): boolean {
  const { i32 } = tld;
  const start = i32[page + Page.start];
  const segment = segmentAt(tld, start);
  const slice = sliceIndex(tld, segment, start);
  const slices = slicesOf(tld, page);
  clearPage(tld, page);
  const wasFull = (i32[segment + Segment.freeLow] | i32[segment + Segment.freeHigh]) === 0;
  const low = lowBits(slice, slices);
  const high = highBits(slice, slices);
  i32[segment + Segment.freeLow] |= low;
  i32[segment + Segment.freeHigh] |= high;
  i32[segment + Segment.purgeLow] |= low;
  i32[segment + Segment.purgeHigh] |= high;
  if (wasFull) linkSegment(tld, segment);
  schedulePurge(tld, segment);
  return --i32[segment + Segment.used] === 0;
}

/** Takes the slices behind a single-block page, for a block that grows in place. */
export function extendSlices(tld: Tld, page: Word, from: number, to: number): boolean {
  const { i32 } = tld;
  const segment = segmentAt(tld, i32[page + Page.start]);
  const slice = sliceIndex(tld, segment, i32[page + Page.start]);
  if (slice + to > tld.slicesPerSegment) return false;
  const low = lowBits(slice + from, to - from);
  const high = highBits(slice + from, to - from);
  if ((i32[segment + Segment.freeLow] & low) !== low || (i32[segment + Segment.freeHigh] & high) !== high)
    return false;
  i32[segment + Segment.purgeLow] &= ~low;
  i32[segment + Segment.purgeHigh] &= ~high;
  i32[segment + Segment.freeLow] &= ~low;
  i32[segment + Segment.freeHigh] &= ~high;
  if ((i32[segment + Segment.freeLow] | i32[segment + Segment.freeHigh]) === 0) unlinkSegment(tld, segment);
  return true;
}

// ── Memory behind slices ──

/**
 * Sees to it that `[from, to)` has memory behind it.
 * @param from - words; inside slices that this thread owns
 * @param to - words
 * @returns false when the owner of the memory has none
 */
export function commit(tld: Tld, from: Word, to: Word): boolean {
  const { u8, sliceShift } = tld;
  if (!(from > 0 && from < to && to <= tld.i32.length)) {
    tld.damage(`a page is to have blocks at [${from * 4}, ${to * 4})`);
    return false;
  }
  const last = (to - 1) >>> sliceShift;
  for (let slice = from >>> sliceShift; slice <= last; slice++) {
    const base = slice << sliceShift;
    if (chunkAt(tld, base >>> tld.chunkShift) === 0) return false;
    const segment = segmentAt(tld, base);
    const at = (segment + Segment.committed) * 4 + (slice & (tld.slicesPerSegment - 1)); // no shift: above 2 GiB it is negative
    const end = slice === last ? to - base : 1 << sliceShift;
    const wanted = (end + OS_PAGE_WORDS - 1) >>> OS_PAGE_SHIFT;
    const have = u8[at];
    if (wanted <= have) continue;
    const bytes = (wanted - have) * OS_PAGE_BYTES;
    if (!tld.os.commit(base * 4 + have * OS_PAGE_BYTES, bytes)) return false;
    u8[at] = wanted;
    countCommitted(tld, wanted - have);
  }
  return true;
}

/** Counts OS pages that got memory, or lost it. */
export function countCommitted(tld: Tld, pages: number): void {
  const { i32, header } = tld;
  const now = Atomics.add(i32, header + Field.committed, pages) + pages;
  // Two threads may write here at once, and the smaller one last: the peak is then a few pages too low until
  // the next commit.
  if (now > i32[header + Field.peak]) i32[header + Field.peak] = now;
}

/** Free slices have memory: from now on the clock runs. */
function schedulePurge(tld: Tld, segment: Word): void {
  const { i32 } = tld;
  const delay = i32[tld.header + Field.purgeDelay];
  if (delay < 0 || i32[segment + Segment.purgeAt] !== 0) return;
  // 0 stands for "never", so no time is even.
  const at = (tld.os.now() + delay) | 1;
  i32[segment + Segment.purgeAt] = at;
  if (i32[tld.heap + Heap.purgeAt] === 0) i32[tld.heap + Heap.purgeAt] = at;
}

/**
 * Gives the memory behind free slices back when its time has come.
 * @param force - whether to wait for no clock
 * @param now - milliseconds
 * @returns whether the segment has nothing left to purge
 */
export function purgeSegment(tld: Tld, segment: Word, force: boolean, now: number): boolean {
  const { i32, sliceShift } = tld;
  const at = i32[segment + Segment.purgeAt];
  if (at === 0) return true;
  if (!force && ((now - at) | 0) < 0) return false;
  i32[segment + Segment.purgeAt] = 0;
  const base = i32[segment + Segment.base];
  const full = 1 << (sliceShift - OS_PAGE_SHIFT);
  let pages = 0;
  // Slices that touch are given back by one call: `run` OS pages that end where slice `slice` starts.
  let run = 0;
  for (let slice = 0; slice < tld.slicesPerSegment; slice++) {
    const have = takeCommitted(tld, segment, slice);
    pages += have;
    run += have;
    if (have === full && slice + 1 < tld.slicesPerSegment) continue;
    if (run > 0) giveBack(tld, (base + (slice << sliceShift)) * 4 + (have - run) * OS_PAGE_BYTES, run);
    run = 0;
  }
  i32[segment + Segment.purgeLow] = 0;
  i32[segment + Segment.purgeHigh] = 0;
  if (pages > 0) {
    Atomics.add(i32, tld.header + Field.purges, 1);
    Atomics.add(i32, tld.header + Field.purgedPages, pages);
  }
  return true;
}

/**
 * The OS pages behind a slice that is to be purged, which it does not have from now on, unless it is only
 * reset.
 */
function takeCommitted(tld: Tld, segment: Word, slice: number): number {
  const { i32, u8 } = tld;
  const bits = i32[segment + (slice < 32 ? Segment.purgeLow : Segment.purgeHigh)];
  if (((bits >>> (slice & 31)) & 1) === 0) return 0;
  const at = (segment + Segment.committed) * 4 + slice;
  const have = u8[at];
  if (i32[tld.header + Field.purgeResets] === 0) u8[at] = 0;
  return have;
}

function giveBack(tld: Tld, address: number, pages: number): void {
  if (tld.i32[tld.header + Field.purgeResets] !== 0) tld.os.reset(address, pages * OS_PAGE_BYTES);
  else {
    tld.os.decommit(address, pages * OS_PAGE_BYTES);
    countCommitted(tld, -pages);
  }
}

/** From now on the slice is not managed. */
export function forgetSlice(tld: Tld, segment: Word, slice: number): void {
  const field = slice < 32 ? Segment.presentLow : Segment.presentHigh;
  Atomics.and(tld.i32, segment + field, ~(1 << (slice & 31)));
}
