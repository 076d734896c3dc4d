/**
 * Runs of pages, for large blocks. All of it under the page list's lock.
 *
 * ```
 *   ├ page ┼ page ┼ page ┼ page ┤
 *   │ INDEX, COUNT = 4,  the others: NO_OWNER, and not free
 *   │ OWNER = LARGE
 * ```
 *
 * What the first descriptor says is held against the pages before it is believed: a COUNT that was written
 * over would give away pages of others.
 */

import type { Word } from '@shmalloc/allocator-api';
import { Counter } from './cpu.ts';
import { CHUNK_BITS } from './geometry.ts';
import { Field } from './header.ts';
import { LARGE, NO_OWNER, Page } from './page.ts';
import { enter, markRun, named } from './page-list.ts';
import {
  chunkBounds,
  descriptorIn,
  endOfMemory,
  freeWord,
  isDescriptor,
  isFree,
  pageNumber,
  presentWord,
  tableOf,
} from './page-map.ts';
import type { SlabCore } from './thread-view.ts';

/**
 * The first page of the highest free run of `count` that starts at a multiple of `align` pages, −1 when there
 * is none.
 */
function highestRun(slab: SlabCore, count: number, align: number): number {
  const { i32, header } = slab;
  if (i32[header + Field.freePages] < count) return -1;
  const bounds = chunkBounds(slab);
  const low = bounds.low << CHUNK_BITS;
  // Where the run at hand ends, and where a block would have to start in it.
  let end = Math.min(bounds.high << CHUNK_BITS, endOfMemory(slab));
  let start = ((end - count) & -align) | 0;
  for (let index = end - 1; index >= low && start >= low; index--) {
    const table = tableOf(slab, index >>> CHUNK_BITS);
    const bits = table === 0 ? 0 : i32[freeWord(table, index)] & i32[presentWord(table, index)];
    if (((bits >>> index) & 1) === 0) {
      // Down to the next free page of this word, or out of it.
      const rest = bits & ((1 << index) - 1);
      index = (index & ~31) + (rest === 0 ? 0 : 32 - Math.clz32(rest));
      end = index;
      start = (end - count) & -align;
      continue;
    }
    if (index === start) return start;
    // A whole word of free pages, and the start below it.
    if (bits === -1 && start < (index & ~31)) index &= ~31;
  }
  return -1;
}

/**
 * Whether a page is the first of a large block, and what its descriptor says of the others is so. Under the
 * lock. O(pages).
 */
function isRun(slab: SlabCore, page: Word): boolean {
  const { i32 } = slab;
  const count = i32[page + Page.count];
  const first = i32[page + Page.index];
  const end = first + count;
  if (!isDescriptor(slab, page) || count < 1 || end * 2 ** slab.pageShift > i32.length) return false;
  for (let index = first; index < end; index++) {
    const table = tableOf(slab, index >>> CHUNK_BITS);
    if (table === 0) return false;
    const free = i32[freeWord(table, index)] >>> index;
    const present = i32[presentWord(table, index)] >>> index;
    if ((free & 1) !== 0 || (present & 1) === 0) return false;
    if (index > first && i32[descriptorIn(table, index) + Page.owner] !== NO_OWNER) return false;
  }
  return true;
}

/** The same, and notes it when it is not so. */
function demandRun(slab: SlabCore, page: Word): boolean {
  if (isRun(slab, page)) return true;
  slab.noteDamage(`${named(slab, page)} is no large block of ${slab.i32[page + Page.count]} pages`);
  return false;
}

/**
 * Debug mode: the seal behind a block of pages is none before it is one. Others look at it as soon as they
 * see the block.
 */
function clearSeal(slab: SlabCore, end: number): void {
  if (slab.debug) slab.i32[(end << slab.pageShift) - 1] = 0;
}

/**
 * Takes a run of pages for a large block, from the end of memory.
 * @param align - pages, a power of two
 * @returns the number of its first page; −1 when there is none
 */
export function takeRun(slab: SlabCore, count: number, align: number): number {
  slab.inspectNull();
  enter(slab);
  const { i32 } = slab;
  const first = highestRun(slab, count, align);
  if (first >= 0) {
    const page = pageNumber(slab, first);
    markRun(slab, first, count, false);
    clearSeal(slab, first + count);
    i32[page + Page.index] = first;
    i32[page + Page.count] = count;
    i32[page + Page.owner] = LARGE;
    slab.count(Counter.large);
  }
  slab.leave();
  return first;
}

/**
 * Gives a large block back. One that is not what it says it is stays where it is, and that is noted.
 * @returns false when there is none: another CPU was quicker
 */
export function putRun(slab: SlabCore, page: Word): boolean {
  enter(slab);
  const { i32 } = slab;
  const isLarge = i32[page + Page.owner] === LARGE;
  if (isLarge && demandRun(slab, page)) {
    i32[page + Page.owner] = NO_OWNER;
    markRun(slab, i32[page + Page.index], i32[page + Page.count], true);
  }
  slab.leave();
  return isLarge;
}

/**
 * Changes a large block's length where it is.
 * @returns false when what lies behind it is in use, or it is none; then nothing has changed
 */
export function resizeRun(slab: SlabCore, page: Word, count: number): boolean {
  enter(slab);
  const { i32 } = slab;
  let fits = i32[page + Page.owner] === LARGE && demandRun(slab, page);
  const old = i32[page + Page.count];
  const index = i32[page + Page.index];
  for (let more = old; more < count && fits; more++) fits = isFree(slab, index + more);
  if (fits) {
    clearSeal(slab, index + count);
    // COUNT decides, should this thread end here.
    i32[page + Page.count] = count;
    if (count > old) markRun(slab, index + old, count - old, false);
    if (count < old) markRun(slab, index + count, old - count, true);
  }
  slab.leave();
  return fits;
}
