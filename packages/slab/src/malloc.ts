/**
 * Allocation off the fast path: what `malloc` does when the page at hand has no free block.
 *
 * ```
 *   malloc ──▶ CURRENT[class] ──▶ page.free ──▶ block                     the fast path, in slab.ts
 *                                    │ empty
 *                                    ▼
 *   findPage: pages of the class's list
 *     ▸ take over what others have freed · link more blocks · else it is full, and leaves the list
 *     ▸ the page list: an orphan of the class, or a free page             under the lock
 *        │ nothing
 *        ▼
 *   makeRoom, once: kept pages, orphans of all classes; then 0
 * ```
 */

import type { Word } from '@shmalloc/allocator-api';
import { makeRoom } from './abandon.ts';
import { type Construct, collectRemote, extendPage, popBlock, toFull } from './blocks.ts';
import { Counter, Cpu } from './cpu.ts';
import { DEBUG_BYTES, handOut, NODE_TO_END } from './debug.ts';
import { drainDelayed } from './free.ts';
import { classOf } from './geometry.ts';
import { mallocLarge } from './large.ts';
import { Page } from './page.ts';
import { takePage } from './page-list.ts';
import { appendPage, isFirst, rebuildList } from './queue.ts';
import { initPage, type Shape, shapeOf } from './shape.ts';
import type { SlabCore } from './thread-view.ts';

/** Whether a page of this CPU has a free block, or gets one. */
function refill(slab: SlabCore, page: Word, construct: Construct | null): boolean {
  if (slab.i32[page + Page.free] === 0 && slab.i32[page + Page.remote] !== 0) collectRemote(slab, page);
  return slab.i32[page + Page.free] !== 0 || extendPage(slab, page, construct);
}

/**
 * Looks for a page of a class with a free block, which then is the first of its list. Each turn serves, makes
 * a page a full one, or takes a page, and a list that was made again has only pages that are not full: so
 * there are no more turns than pages.
 * @returns its descriptor; 0 when there is no memory
 */
function findPage(slab: SlabCore, index: number, shape: Shape | null, construct: Construct | null): Word {
  for (let lastTry = false; ; ) {
    const current = slab.i32[slab.cpu + Cpu.current + index];
    if (current !== slab.empty) {
      if (!isFirst(slab, current, index)) {
        rebuildList(slab, index, 0);
        continue;
      }
      if (refill(slab, current, construct)) return current;
      toFull(slab, current);
      continue;
    }
    const page = takePage(slab, index);
    if (page === 0) {
      if (lastTry) return 0;
      lastTry = true;
      makeRoom(slab);
      continue;
    }
    // An orphan has blocks; it shows what it has when it is looked at as the others are.
    if (slab.i32[page + Page.capacity] === 0) initPage(slab, page, shape ?? shapeOf(slab, index));
    appendPage(slab, page);
  }
}

/** Hears of memory that was added, and takes what came for full pages. At the start of every slow path. */
export function attend(slab: SlabCore): void {
  slab.heed();
  if (slab.i32[slab.cpu + Cpu.delayed] !== 0) drainDelayed(slab, slab.cpu);
}

/**
 * Allocates.
 * @param size - bytes that were asked for
 * @param align - bytes, a power of two; below the size's own it changes nothing
 * @returns the block's first word, 0 when there is no memory
 */
export function mallocSlow(slab: SlabCore, size: number, align: number): Word {
  attend(slab);
  slab.count(Counter.slow);
  const bytes = Math.max(slab.debug ? size + DEBUG_BYTES : size, align, 1);
  const block =
    bytes > slab.smallMax ? mallocLarge(slab, size, align) : mallocSmall(slab, classOf(bytes), size);
  if (block === 0) countFailure(slab);
  return block;
}

/**
 * Counts a request that is answered with 0: now a program may go on with NULL, as it may have done before.
 */
export function countFailure(slab: SlabCore): void {
  slab.count(Counter.failures);
  slab.inspectNull();
}

function mallocSmall(slab: SlabCore, index: number, size: number): Word {
  const node = takeBlock(slab, index, null, null);
  if (node === 0 || !slab.debug) return node;
  const block = node + NODE_TO_END - shapeOf(slab, index).stride;
  const error = handOut(slab, { block, node, keeps: false }, size, 'malloc');
  if (error !== null) slab.note(error);
  return block;
}

/** Pages that are tried whose free lists turn out to be none. */
const DAMAGED_PAGES = 8;

/**
 * Takes a block of a class.
 * @returns its link word, 0 when there is no memory
 */
export function takeBlock(
  slab: SlabCore,
  index: number,
  shape: Shape | null,
  construct: Construct | null,
): Word {
  for (let tries = 0; tries < DAMAGED_PAGES; tries++) {
    const page = findPage(slab, index, shape, construct);
    if (page === 0) return 0;
    const node = popBlock(slab, page);
    if (node !== 0) return node;
  }
  return 0;
}
