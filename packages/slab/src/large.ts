/**
 * Large blocks: whole pages in a row, from the end of memory. Above half a page; every operation takes the
 * page list's lock.
 *
 * ```
 *   ├ page ┼ page ┼ page ┤
 *   │ the block          │      debug: SIZE CPU LINK STATE at the very end, as in a small one
 *   └────────────────────┘
 *     descriptor of the first page: OWNER = LARGE, COUNT
 * ```
 */

import type { Word } from '@shmalloc/allocator-api';
import { makeRoom } from './abandon.ts';
import { touch } from './blocks.ts';
import { DEBUG_BYTES, handOut } from './debug.ts';
import { largePayload } from './large-page.ts';
import { Page } from './page.ts';
import { pageNumber } from './page-map.ts';
import { resizeRun, takeRun } from './page-run.ts';
import type { SlabCore } from './thread-view.ts';

function pagesFor(slab: SlabCore, size: number): number {
  const bytes = slab.debug ? size + DEBUG_BYTES : size;
  return Math.max(1, Math.ceil(bytes / (4 << slab.pageShift)));
}

/** Counts the memory of a large block's pages from one on. */
function touchAll(slab: SlabCore, first: number, from: number, count: number): void {
  for (let index = first + from; index < first + count; index++) {
    touch(slab, pageNumber(slab, index), 1 << slab.pageShift);
  }
}

/** @returns the block's first word, 0 when there is no run of pages that is long enough */
export function mallocLarge(slab: SlabCore, size: number, align: number): Word {
  const count = pagesFor(slab, size);
  const alignPages = Math.max(1, align / (4 << slab.pageShift));
  let first = takeRun(slab, count, alignPages);
  if (first < 0) {
    makeRoom(slab);
    first = takeRun(slab, count, alignPages);
  }
  if (first < 0) return 0;
  touchAll(slab, first, 0, count);
  const page = pageNumber(slab, first);
  if (slab.debug) handOut(slab, largePayload(slab, page), size, 'malloc');
  return first << slab.pageShift;
}

/**
 * Changes a large block's size where it is.
 * @returns false, and nothing done, when it has to move
 */
export function resizeLarge(slab: SlabCore, page: Word, size: number): boolean {
  const before = slab.i32[page + Page.count];
  const count = pagesFor(slab, size);
  if (count !== before && !resizeRun(slab, page, count)) return false;
  const { i32 } = slab;
  touchAll(slab, i32[page + Page.index], before, count);
  if (slab.debug) {
    const payload = largePayload(slab, page);
    i32[payload.node + 1] = 0;
    handOut(slab, payload, size, 'realloc');
  }
  return true;
}
