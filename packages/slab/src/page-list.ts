/**
 * The global page list: which pages are free, and which have lost their CPU. All of it under the page list's lock.
 *
 * ```
 *   start                                                                          end
 *   ├──────────────────────────────────┬─────────────────────────┬──────────────────┤
 *   │ pages: the lowest that is free   │                         │ large blocks: the│
 *   │ 1 1 0 1 1 1 0 1 ───▶             │ free                    │ highest run that │
 *   │                                  │                ◀─────── │ is long enough   │
 *   └──────────────────────────────────┴─────────────────────────┴──────────────────┘
 *     a bit a page, in the order of addresses                        ORPHANS[class] ──▶ page ──▶ page ──▶ 0
 * ```
 *
 * A bit a page, and not a chain: freed neighbours need no merging, a large block finds its run, and small and large ones meet only when nothing
 * is left between them.
 *
 * **Death inside.** A page's OWNER and COUNT say what it is; the bits, the chains and the counts follow from them, and {@link repairList} makes them
 * anew. A page's OWNER is written last when it is taken, and first when it is given back: whatever the dead one had begun, each page is one thing
 * or the other.
 */

import type { SlabCore } from './core.ts';
import { Counter } from './cpu.ts';
import { CHUNK_BITS, CLASSES, type Word } from './geometry.ts';
import { Field } from './header.ts';
import { LARGE, NOBODY, ORPHAN, Page, STATE } from './page.ts';
import { CHUNK_PAGES, freeWord, isFree, isPresent, pageNumber, tableOf } from './page-map.ts';

/** Marks neighbouring pages as free or not, and counts them. Under the lock. */
export function markRun(slab: SlabCore, first: number, count: number, free: boolean): void {
  const { i32, header } = slab;
  for (let index = first, end = first + count; index < end; index = (index | 31) + 1) {
    const bits = end - index;
    const mask = (bits < 32 ? (1 << bits) - 1 : -1) << index;
    const word = freeWord(tableOf(slab, index >>> CHUNK_BITS), index);
    if (free) i32[word] |= mask;
    else i32[word] &= ~mask;
  }
  i32[header + Field.freePages] += free ? count : -count;
  if (free && first >>> CHUNK_BITS < i32[header + Field.hint])
    i32[header + Field.hint] = first >>> CHUNK_BITS;
}

/** The lowest free page, −1 when there is none. Constant time but for chunks that have filled up since the last call. */
function lowestFree(slab: SlabCore): number {
  const { i32, header } = slab;
  if (i32[header + Field.freePages] === 0) return -1;
  const high = i32[header + Field.chunkHigh];
  for (let chunk = i32[header + Field.hint]; chunk < high; chunk++) {
    const table = tableOf(slab, chunk);
    for (let first = 0; table !== 0 && first < CHUNK_PAGES; first += 32) {
      const bits = i32[freeWord(table, first)];
      if (bits === 0) continue;
      i32[header + Field.hint] = chunk;
      return (chunk << CHUNK_BITS) + first + 31 - Math.clz32(bits & -bits);
    }
  }
  return -1;
}

/** The first page of the highest free run of `count` that starts at a multiple of `align` pages, −1 when there is none. */
function highestRun(slab: SlabCore, count: number, align: number): number {
  const { i32, header } = slab;
  if (i32[header + Field.freePages] < count) return -1;
  const low = i32[header + Field.chunkLow] << CHUNK_BITS;
  // Where the run at hand ends, and where a block would have to start in it.
  let end = i32[header + Field.chunkHigh] << CHUNK_BITS;
  let start = ((end - count) & -align) | 0;
  for (let index = end - 1; index >= low && start >= low; index--) {
    const table = tableOf(slab, index >>> CHUNK_BITS);
    const bits = table === 0 ? 0 : i32[freeWord(table, index)];
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
 * Takes a page for the calling CPU: one of its class that nobody owns, or a free one.
 * @returns its descriptor; 0 when there is none. A free page's descriptor is that of an empty page, but for INDEX.
 */
export function takePage(slab: SlabCore, index: number): Word {
  slab.enter();
  const { i32, header, threadId } = slab;
  let page = i32[header + Field.orphans + index];
  if (page !== 0) {
    i32[header + Field.orphans + index] = i32[page + Page.next];
    slab.count(Counter.adopted);
  } else {
    const lowest = lowestFree(slab);
    if (lowest >= 0) {
      page = pageNumber(slab, lowest);
      markRun(slab, lowest, 1, false);
      i32[page + Page.index] = lowest;
      slab.count(Counter.taken);
    }
  }
  if (page !== 0) i32[page + Page.owner] = threadId;
  slab.leave();
  return page;
}

/** Gives a page of the calling CPU back whole: it is in no list, and no block of it is in use. */
export function putPage(slab: SlabCore, page: Word): void {
  const { i32 } = slab;
  // Nobody has a block of it, so nobody else looks. A page is found clean by whoever takes it next. CAPACITY before FREE: while FREE is not 0 it has
  // all blocks of the page, and `recount` finds that none is in use.
  i32[page + Page.capacity] = 0;
  i32[page + Page.free] = 0;
  i32[page + Page.used] = 0;
  i32[page + Page.remote] = 0;
  slab.count(Counter.returned);
  slab.enter();
  i32[page + Page.owner] = NOBODY;
  markRun(slab, i32[page + Page.index], 1, true);
  slab.leave();
}

/** Leaves a page of the calling CPU, which is in no list and has no mark, to whoever wants one of its class. */
export function orphanPage(slab: SlabCore, page: Word): void {
  slab.enter();
  const { i32 } = slab;
  const head = slab.header + Field.orphans + i32[page + Page.class];
  i32[page + Page.next] = i32[head];
  i32[page + Page.owner] = ORPHAN;
  i32[head] = page;
  slab.leave();
}

/** Takes all pages of a class that nobody owns, chained by NEXT. */
export function takeOrphans(slab: SlabCore, index: number): Word {
  const head = slab.header + Field.orphans + index;
  // A plain look: what comes at this moment is for the next who asks.
  if (slab.i32[head] === 0) return 0;
  slab.enter();
  const { i32 } = slab;
  const first = i32[head];
  for (let page = first; page !== 0; page = i32[page + Page.next]) i32[page + Page.owner] = slab.threadId;
  i32[head] = 0;
  slab.leave();
  return first;
}

/**
 * Takes a run of pages for a large block, from the end of memory.
 * @param align - pages, a power of two
 * @returns the number of its first page; −1 when there is none
 */
export function takeRun(slab: SlabCore, count: number, align: number): number {
  slab.enter();
  const { i32 } = slab;
  const first = highestRun(slab, count, align);
  if (first >= 0) {
    const page = pageNumber(slab, first);
    markRun(slab, first, count, false);
    i32[page + Page.index] = first;
    i32[page + Page.count] = count;
    i32[page + Page.owner] = LARGE;
    slab.count(Counter.large);
  }
  slab.leave();
  return first;
}

/**
 * Gives a large block back.
 * @returns false when there is none: another CPU was quicker
 */
export function putRun(slab: SlabCore, page: Word): boolean {
  slab.enter();
  const { i32 } = slab;
  const isLarge = i32[page + Page.owner] === LARGE;
  if (isLarge) {
    i32[page + Page.owner] = NOBODY;
    markRun(slab, i32[page + Page.index], i32[page + Page.count], true);
  }
  slab.leave();
  return isLarge;
}

/**
 * Changes a large block's length where it is.
 * @returns false when what lies behind it is in use; then nothing has changed
 */
export function resizeRun(slab: SlabCore, page: Word, count: number): boolean {
  slab.enter();
  const { i32 } = slab;
  const old = i32[page + Page.count];
  const behind = i32[page + Page.index] + old;
  let fits = true;
  for (let more = old; more < count && fits; more++) fits = isFree(slab, behind + more - old);
  if (fits) {
    // COUNT decides, should this thread end here.
    i32[page + Page.count] = count;
    if (count > old) markRun(slab, behind, count - old, false);
    if (count < old) markRun(slab, behind - (old - count), old - count, true);
  }
  slab.leave();
  return fits;
}

/** Makes bits, chains and counts anew from what the pages themselves say. For a holder of the lock. */
export function repairList(slab: SlabCore): void {
  const { i32, header } = slab;
  i32.fill(0, header + Field.orphans, header + Field.orphans + CLASSES);
  const low = i32[header + Field.chunkLow] << CHUNK_BITS;
  const high = i32[header + Field.chunkHigh] << CHUNK_BITS;
  let freePages = 0;
  let present = 0;
  for (let index = low, taken = low; index < high; index++) {
    const table = tableOf(slab, index >>> CHUNK_BITS);
    if (table === 0) {
      index |= CHUNK_PAGES - 1;
      continue;
    }
    const page = pageNumber(slab, index);
    const owner = i32[page + Page.owner];
    const here = isPresent(slab, index);
    if (owner === LARGE) taken = index + i32[page + Page.count];
    else if (owner === ORPHAN) {
      const head = header + Field.orphans + i32[page + Page.class];
      i32[page + Page.next] = i32[head];
      i32[head] = page;
    }
    const free = here && owner === NOBODY && index >= taken;
    if (free) i32[freeWord(table, index)] |= 1 << index;
    else i32[freeWord(table, index)] &= ~(1 << index);
    if (free) freePages++;
    if (here && owner !== STATE) present++;
  }
  i32[header + Field.freePages] = freePages;
  i32[header + Field.present] = present;
  i32[header + Field.hint] = low >>> CHUNK_BITS;
}
