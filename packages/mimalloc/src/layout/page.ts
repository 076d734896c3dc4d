/**
 * A page: a run of slices with blocks of one size. This is its descriptor, one cache line, in the page map.
 *
 * ```
 *  word
 *   0  FREE          first block that malloc takes                              ┐ the fast paths of
 *   1  LOCAL_FREE    first block of those that the owner has freed              │ malloc and free
 *   2  USED          blocks that are live, or on THREAD_FREE                    │
 *   3  XTHREAD_ID    the owner's name, 0 for none, and flags in its low bits:   │
 *                    0 unless free has to look closer; no name for a huge block │
 *   4  SHAPE         bin : 7, retire : 5, slices : 7 (0: huge)                  ┘
 *   5  XTHREAD_FREE  first block of those that other threads have freed; bit 0: DELAYED, which large pages
 *                    always have, and huge ones never
 *   6  XHEAP         the heap whose queue it is in
 *   7  BLOCK_WORDS   words of a block; 0: this slice does not start a page
 *   8  CAPACITY      blocks that are linked or were handed out
 *   9  RESERVED      blocks that there is room for
 *  10  START         first block; in a slice that does not start a page: the descriptor that does, 0 if none
 *  11  LOST          blocks that were behind a broken link                         of secure mode
 *  12  KEY0          ┐ of secure mode
 *  15  KEY1          ┘
 *  13  NEXT          ┐ the queue; a huge block is in none, and has the
 *  14  PREV          ┘ name of its heap's thread as NEXT: see huge-block.ts
 * ```
 *
 * Invariants: `USED + |free| + |local_free| + LOST = CAPACITY ≤ RESERVED`. A link is the first word of a free
 * block and holds the next one's word, 0 at the end (encoded in secure mode). Only the owner writes, except
 * for XTHREAD_FREE.
 *
 * What another thread may read: XTHREAD_ID, XTHREAD_FREE, XHEAP, BLOCK_WORDS, START and SHAPE's bin. They are
 * written before the first block is handed out, and reach the other thread with the block's address, by
 * whatever way that takes.
 *
 * **A thread may end anywhere.** Each of the orders below is such that what it leaves can be told from the
 * page alone: `USED` is then computed again from the lists, so a block that was taken off a list and not
 * handed out yet is lost, and nothing else.
 */

import type { Word } from '@shmalloc/allocator-api';
import type { Tld } from '../thread/thread-view.ts';
import { BIN_LARGEST } from './bins.ts';
import { PAGE_SHIFT } from './page-map.ts';

/** The fields, in words. */
export const Page = {
  free: 0,
  localFree: 1,
  used: 2,
  xthreadId: 3,
  shape: 4,
  xthreadFree: 5,
  xheap: 6,
  blockWords: 7,
  capacity: 8,
  reserved: 9,
  start: 10,
  lost: 11,
  key0: 12,
  next: 13,
  prev: 14,
  key1: 15,
} as const;

/** Flag: the page is in the queue of full pages. */
export const IN_FULL = 1;
/** Flag: a block may have been handed out by an address inside it. */
export const HAS_ALIGNED = 2;
/**
 * Flag: every free is looked at closely: in secure mode, and where a page is one block, which is freed seldom
 * and whole segments at a time.
 */
export const GUARDED = 4;
/** Flags for which a free has to look closely. */
export const LOOK_CLOSER: number = HAS_ALIGNED | GUARDED;
/** The owner's name without the flags: names are multiples of 8. */
export const NAME_MASK = -8;

/** XTHREAD_FREE: the page is full and no thread looks at it; the next block goes to the heap's list. */
export const DELAYED = 1;

const BIN_MASK = 0x7f;
const RETIRE_SHIFT = 7;
const RETIRE_MASK = 0x1f;
/** SHAPE's bits that say for how long the page is retired. */
export const RETIRE_BITS: number = RETIRE_MASK << RETIRE_SHIFT;
const SLICES_SHIFT = 12;

/** SHAPE's bits of a page that is retired for this many cycles. */
export function retireBits(cycles: number): number {
  return cycles << RETIRE_SHIFT;
}

/** The name of the thread that owns a page, 0 for none. */
export function ownerOf(tld: Tld, page: Word): number {
  return tld.i32[page + Page.xthreadId] & NAME_MASK;
}

export function hasFlag(tld: Tld, page: Word, flag: number): boolean {
  return (tld.i32[page + Page.xthreadId] & flag) !== 0;
}

/** Only the owner sets and clears flags. */
export function setFlag(tld: Tld, page: Word, flag: number): void {
  tld.i32[page + Page.xthreadId] |= flag;
}

export function clearFlag(tld: Tld, page: Word, flag: number): void {
  tld.i32[page + Page.xthreadId] &= ~flag;
}

/** The page's bin. */
export function binOfPage(tld: Tld, page: Word): number {
  return tld.i32[page + Page.shape] & BIN_MASK;
}

/** How many slices it has. */
export function slicesOf(tld: Tld, page: Word): number {
  return tld.i32[page + Page.shape] >>> SLICES_SHIFT;
}

/** Generic allocations until the empty page is given back; 0 when it is not retired. */
export function retireOf(tld: Tld, page: Word): number {
  return (tld.i32[page + Page.shape] >>> RETIRE_SHIFT) & RETIRE_MASK;
}

export function setRetire(tld: Tld, page: Word, cycles: number): void {
  const { i32 } = tld;
  i32[page + Page.shape] = (i32[page + Page.shape] & ~RETIRE_BITS) | (cycles << RETIRE_SHIFT);
}

/** Lets a single-block page have more slices. */
export function setSlices(tld: Tld, page: Word, slices: number): void {
  const { i32 } = tld;
  for (let slice = slicesOf(tld, page); slice < slices; slice++)
    i32[page + (slice << PAGE_SHIFT) + Page.start] = page;
  i32[page + Page.shape] = (i32[page + Page.shape] & ((1 << SLICES_SHIFT) - 1)) | (slices << SLICES_SHIFT);
}

/** What a new page is to be. */
export interface PagePlan {
  readonly heap: Word;
  readonly bin: number;
  /** Words of a block. */
  readonly blockWords: number;
  /** 0 for a huge block. */
  readonly slices: number;
  /** Words from the first slice to the first block. */
  readonly offset: number;
}

/**
 * Makes a page of slices that were just taken, from word `base` on: everything but its blocks. The owner's
 * name is written last: until then the slices belong to no page for the thread that looks.
 */
export function initPage(tld: Tld, page: Word, base: Word, plan: PagePlan): void {
  const { i32 } = tld;
  const { heap, bin, blockWords, slices, offset } = plan;
  const shared = bin <= BIN_LARGEST;
  for (let slice = 1; slice < slices; slice++) i32[page + (slice << PAGE_SHIFT) + Page.start] = page;
  i32[page + Page.free] = 0;
  i32[page + Page.localFree] = 0;
  i32[page + Page.used] = 0;
  // No thread looks at a page of one block, as at a full one. What is freed of a huge one goes onto no list.
  i32[page + Page.xthreadFree] = shared || slices === 0 ? 0 : DELAYED;
  i32[page + Page.xheap] = heap;
  i32[page + Page.capacity] = 0;
  i32[page + Page.reserved] = shared ? ((slices << tld.sliceShift) / blockWords) | 0 : 1;
  i32[page + Page.start] = base + offset;
  i32[page + Page.shape] = bin | (slices << SLICES_SHIFT);
  i32[page + Page.next] = slices === 0 ? tld.threadId : 0;
  i32[page + Page.prev] = 0;
  if (tld.guard !== null) tld.guard.initPage(tld, page);
  i32[page + Page.blockWords] = blockWords;
  const name = slices === 0 ? 0 : tld.threadId;
  i32[page + Page.xthreadId] = name | (tld.guard === null && shared ? 0 : GUARDED);
}

/**
 * Whether a slice holds heap records, for good: it leads to itself and has no blocks. See `heap-records.ts`.
 */
export function isRecordSlice(tld: Tld, slice: Word): boolean {
  return tld.i32[slice + Page.start] === slice && tld.i32[slice + Page.blockWords] === 0;
}

/** Forgets a page: its slices belong to no page. The owner's name goes first. */
export function clearPage(tld: Tld, page: Word): void {
  const { i32 } = tld;
  i32[page + Page.xthreadId] = 0;
  i32[page + Page.blockWords] = 0;
  const slices = slicesOf(tld, page);
  for (let slice = 1; slice < slices; slice++) i32[page + (slice << PAGE_SHIFT) + Page.start] = 0;
  i32[page + Page.start] = 0;
}
