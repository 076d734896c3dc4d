/**
 * The map from pages to generations: how `free(address)` finds the heap in one look.
 *
 * ```
 *  pages    │ header │ first heap │ a program's │ second heap     │ first heap has grown │
 *  map       255 127   129  1  1     0   0  0     130  2   2   2    129   1   1   1
 * ```
 *
 * A byte is written by the thread that holds the page, and by no other thread: after the page source has
 * handed the page out and before the heap hears of it; after the heap is gone and before the page source gets
 * it back. So plain stores do, each to a byte of its own, and a thread that frees a block sees the byte: the
 * block's address has come to it from a thread that had it from the heap, which had the page after the byte
 * was written.
 */

import { type Address, AllocError } from '@shmalloc/allocator-api';
import { RUN_BEGINS, SLOT_MASK } from './header.ts';
import type { View } from './thread-view.ts';

/**
 * The slot of the page that an address lies in; 0 for pages of programs, of no thread, and of other memory.
 */
export function slotOf(view: View, address: Address): number {
  // The type first: `>>>` on a bigint throws an error that names no value.
  if (typeof address !== 'number' || address >>> 0 !== address) return 0;
  const page = (address >>> view.pageShift) - view.firstPage;
  return page >= 0 && page < view.mapPages ? view.u8[view.map + page] & SLOT_MASK : 0;
}

/** The place of a page's byte. */
function byteOf(view: View, address: Address): number {
  return view.map + (address >>> view.pageShift) - view.firstPage;
}

/** Whether the map has a byte for each page of a run. */
export function isCovered(view: View, address: Address, count: number): boolean {
  const first = Math.floor(address / view.pages.pageSize) - view.firstPage;
  return first >= 0 && first + count <= view.mapPages;
}

/** Whether none of these pages is a heap's or the allocator's own. Those behind the map are not. */
export function isUnmarked(view: View, address: Address, count: number): boolean {
  const first = Math.floor(address / view.pages.pageSize) - view.firstPage;
  const last = Math.min(first + count, view.mapPages);
  for (let page = Math.max(first, 0); page < last; page++) if (view.u8[view.map + page] !== 0) return false;
  return true;
}

/** Makes a run of pages a generation's. */
export function markRun(view: View, address: Address, count: number, slot: number): void {
  const first = byteOf(view, address);
  view.u8.fill(slot, first, first + count);
  view.u8[first] |= RUN_BEGINS;
}

export function unmarkRun(view: View, address: Address, count: number): void {
  const first = byteOf(view, address);
  view.u8.fill(0, first, first + count);
}

/**
 * Calls back for each run of a generation, in the order of addresses; the callback may unmark it. O(pages of
 * the map).
 * @param slot - whose
 */
export function forEachRun(view: View, slot: number, visit: (address: Address, count: number) => void): void {
  const { u8, map, mapPages } = view;
  const end = map + mapPages;
  for (let first = map; first < end; ) {
    if ((u8[first] & SLOT_MASK) !== slot) {
      first++;
      continue;
    }
    let last = first + 1;
    while (last < end && u8[last] === slot) last++;
    visit((view.firstPage + first - map) * view.pages.pageSize, last - first);
    first = last;
  }
}

/** Pages of a generation. O(pages of the map). */
export function pagesOf(view: View, slot: number): number {
  let pages = 0;
  forEachRun(view, slot, (_address, count) => {
    pages += count;
  });
  return pages;
}

/**
 * Takes a run for a heap: at a multiple of its size up to `MOST_ALIGN` if there is such a one (some
 * algorithms can use no other, and buddies merge there), else anywhere.
 * @returns its address, or 0 when the page source has none
 */
export function takeRun(view: View, count: number): Address {
  const { pages } = view;
  const natural = Math.min(MOST_ALIGN, powerBelow(count * pages.pageSize));
  for (const align of natural > pages.pageSize ? [natural, pages.pageSize] : [pages.pageSize]) {
    try {
      const address = pages.allocPages(count, align);
      if (isCovered(view, address, count)) return address;
      // Memory that came to the page source later than this allocator, behind the map: of no use to a heap.
      pages.deallocPages(address, count);
    } catch (error) {
      if (!(error instanceof AllocError && error.code === 'NoMemory')) throw error;
    }
  }
  return 0;
}

/** Bytes of the largest alignment that runs for heaps are given: mimalloc's largest segment. */
const MOST_ALIGN = 4 * 1024 * 1024;

function powerBelow(bytes: number): number {
  return bytes >= MOST_ALIGN ? MOST_ALIGN : 2 ** (31 - Math.clz32(bytes));
}
