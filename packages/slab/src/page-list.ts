/**
 * The global page list: which pages are free, and which have lost their CPU. All of it under the page list's
 * lock.
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
 * A bit a page, and not a chain: freed neighbours need no merging, a large block finds its run, and small and
 * large ones meet only when nothing is left between them.
 *
 * **Death inside.** A page's OWNER and COUNT say what it is; the bits, the chains and the counts follow from
 * them, and {@link repairList} makes them again. A page's OWNER is written last when it is taken, and first
 * when it is given back: whatever the dead one had begun, each page is one thing or the other.
 *
 * **Damage.** What the list leads to is looked at before it is used, and no walk is longer than there are
 * pages. When something is wrong the list is built from the pages, and the error noted.
 */

import type { Word } from '@shmalloc/allocator-api';
import { Counter } from './cpu.ts';
import { CHUNK_BITS, CHUNK_PAGES, CLASSES } from './geometry.ts';
import { Field } from './header.ts';
import { NO_OWNER, ORPHAN, Page } from './page.ts';
import {
  chunkBounds,
  endOfMemory,
  freeWord,
  isDescriptor,
  mostPages,
  pageNumber,
  presentWord,
  startOf,
  tableOf,
} from './page-map.ts';
import { repairList } from './page-repair.ts';
import type { SlabCore } from './thread-view.ts';

/** Takes the lock. Whatever the caller does then, it finds a list that holds together. */
export function enter(slab: SlabCore): void {
  if (!slab.take()) repairList(slab);
}

/** Marks neighbouring pages as free or not, and counts them. Under the lock; their chunks have tables. */
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

/** The lowest free page from a chunk on, −1 when there is none. */
function lowestFrom(slab: SlabCore, from: number): number {
  const { i32, header } = slab;
  const { low, high } = chunkBounds(slab);
  for (let chunk = Math.max(from, low); chunk < high; chunk++) {
    const table = tableOf(slab, chunk);
    for (let first = 0; table !== 0 && first < CHUNK_PAGES; first += 32) {
      const bits = i32[freeWord(table, first)] & i32[presentWord(table, first)];
      if (bits === 0) continue;
      const index = (chunk << CHUNK_BITS) + first + 31 - Math.clz32(bits & -bits);
      if (index >= endOfMemory(slab)) return -1;
      i32[header + Field.hint] = chunk;
      return index;
    }
  }
  return -1;
}

/**
 * The lowest free page, −1 when there is none. Constant time but for chunks that have filled up since the
 * last call.
 */
function lowestFree(slab: SlabCore): number {
  const { i32, header } = slab;
  if (i32[header + Field.freePages] === 0) return -1;
  const found = lowestFrom(slab, i32[header + Field.hint]);
  if (found >= 0) return found;
  slab.noteDamage(`${i32[header + Field.freePages]} pages are counted as free, and none is found`);
  repairList(slab);
  return lowestFrom(slab, 0);
}

/** The first page that a CPU has left of a class, out of its chain; 0 when there is none. Under the lock. */
function popOrphan(slab: SlabCore, index: number): Word {
  const head = slab.header + Field.orphans + index;
  const first = slab.i32[head];
  if (first === 0) return 0;
  if (!isOrphan(slab, first, index)) {
    slab.noteDamage(`the pages of class ${index} without a CPU lead to word ${first}`);
    repairList(slab);
  }
  const { i32 } = slab;
  const page = i32[head];
  if (page !== 0) i32[head] = i32[page + Page.next];
  return page;
}

/** Whether a page is what is to be found in the chain of a class. */
function isOrphan(slab: SlabCore, page: Word, index: number): boolean {
  const { i32 } = slab;
  return isDescriptor(slab, page) && i32[page + Page.owner] === ORPHAN && classOfPage(slab, page) === index;
}

/** The class of a page, and of a damaged one any that there is. */
function classOfPage(slab: SlabCore, page: Word): number {
  return slab.i32[page + Page.class] & (CLASSES - 1);
}

/**
 * Takes a page for the calling CPU: one of its class that no thread owns, or a free one.
 * @returns its descriptor; 0 when there is none. A free page's descriptor is that of an empty page, but for
 *   INDEX.
 */
export function takePage(slab: SlabCore, index: number): Word {
  slab.inspectNull();
  enter(slab);
  let page = popOrphan(slab, index);
  if (page !== 0) slab.count(Counter.adopted);
  else {
    const lowest = lowestFree(slab);
    if (lowest >= 0) {
      page = pageNumber(slab, lowest);
      markRun(slab, lowest, 1, false);
      slab.i32[page + Page.index] = lowest;
      cleanPage(slab, page);
      slab.count(Counter.taken);
    }
  }
  if (page !== 0) slab.i32[page + Page.owner] = slab.threadId;
  slab.leave();
  return page;
}

/**
 * Looks that a free page was left clean, and sees to it. A page without blocks is taken for one that needs to
 * be laid out.
 */
function cleanPage(slab: SlabCore, page: Word): void {
  const { i32 } = slab;
  const { capacity, free, used, remote } = Page;
  if ((i32[page + capacity] | i32[page + free] | i32[page + used] | i32[page + remote]) === 0) return;
  slab.noteDamage(`${named(slab, page)} was free and not clean`);
  clearPage(slab, page);
}

/** How a message calls a page. */
export function named(slab: SlabCore, page: Word): string {
  return `the page at ${(startOf(slab, page) << 2) >>> 0}`;
}

/** Gives a page of the calling CPU back whole: it is in no list, and no block of it is in use. */
export function putPage(slab: SlabCore, page: Word): void {
  clearPage(slab, page);
  slab.count(Counter.returned);
  enter(slab);
  const { i32 } = slab;
  i32[page + Page.owner] = NO_OWNER;
  markRun(slab, i32[page + Page.index], 1, true);
  slab.leave();
}

/**
 * No thread has a block of the page, so none looks. A page is found clean by the next CPU that takes it.
 * CAPACITY before FREE: while FREE is not 0 it has all blocks of the page, and `recount` finds that none is
 * in use.
 */
function clearPage(slab: SlabCore, page: Word): void {
  const { i32 } = slab;
  i32[page + Page.capacity] = 0;
  i32[page + Page.free] = 0;
  i32[page + Page.used] = 0;
  i32[page + Page.remote] = 0;
}

/**
 * Leaves a page of the calling CPU, which is in no list and has no mark, to the next CPU that wants one of
 * its class.
 */
export function orphanPage(slab: SlabCore, page: Word): void {
  enter(slab);
  const { i32 } = slab;
  const head = slab.header + Field.orphans + classOfPage(slab, page);
  i32[page + Page.next] = i32[head];
  i32[page + Page.owner] = ORPHAN;
  i32[head] = page;
  slab.leave();
}

/** Takes all pages of a class that no thread owns, chained by NEXT. */
export function takeOrphans(slab: SlabCore, index: number): Word {
  const head = slab.header + Field.orphans + index;
  // A plain look: what comes at this moment is for the next that asks.
  if (slab.i32[head] === 0) return 0;
  enter(slab);
  let first = 0;
  let last = 0;
  for (let left = mostPages(slab); left > 0; left--) {
    const page = popOrphan(slab, index);
    if (page === 0) break;
    slab.i32[page + Page.owner] = slab.threadId;
    if (last === 0) first = page;
    else slab.i32[last + Page.next] = page;
    last = page;
  }
  if (last !== 0) slab.i32[last + Page.next] = 0;
  slab.leave();
  return first;
}
