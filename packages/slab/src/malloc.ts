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

import { makeRoom } from './abandon.ts';
import { type Construct, collectRemote, extendPage, toFull } from './blocks.ts';
import type { SlabCore } from './core.ts';
import { Counter, Cpu } from './cpu.ts';
import { DEBUG_BYTES, handOut, NODE_TO_END } from './debug.ts';
import { drainDelayed } from './free.ts';
import { bytesOfClass, classOf, type Word } from './geometry.ts';
import { Field } from './header.ts';
import { mallocLarge } from './large.ts';
import { NO_FAST_FREE, Page } from './page.ts';
import { takePage } from './page-list.ts';
import { startOf } from './page-map.ts';
import { appendPage } from './queue.ts';

const FREE = Page.free;
const USED = Page.used;
const CAPACITY = Page.capacity;
const REMOTE = Page.remote;
const CURRENT = Cpu.current;
const DELAYED = Cpu.delayed;

/**
 * How the blocks of a class lie in their pages.
 * @public
 */
export interface Shape {
  readonly class: number;
  /** Words from block to block. */
  readonly stride: number;
  /** Words from a block's start to its link. */
  readonly node: number;
  /** What MASK is. */
  readonly mask: number;
}

/** How blocks of a size class lie. */
function shapeOf(slab: SlabCore, index: number): Shape {
  const bytes = bytesOfClass(index);
  if (slab.debug) {
    return { class: index, stride: bytes / 4, node: bytes / 4 - NODE_TO_END, mask: NO_FAST_FREE };
  }
  return { class: index, stride: bytes / 4, node: 0, mask: bytes - 1 };
}

/** Makes a free page one of a class. The page list has left it clean. */
function initPage(slab: SlabCore, page: Word, shape: Shape): void {
  const { i32 } = slab;
  i32[page + Page.stride] = shape.stride;
  i32[page + Page.reserved] = Math.floor((1 << slab.pageShift) / shape.stride);
  i32[page + Page.first] = startOf(slab, page) + shape.node;
  i32[page + Page.class] = shape.class;
  i32[page + Page.mask] = shape.mask;
}

/** Whether a page of this CPU has a free block, or gets one. */
function refill(slab: SlabCore, page: Word, construct: Construct | null): boolean {
  const { i32 } = slab;
  if (i32[page + FREE] === 0 && i32[page + REMOTE] !== 0) collectRemote(slab, page);
  return i32[page + FREE] !== 0 || extendPage(slab, page, construct);
}

/**
 * Looks for a page of a class with a free block, which then is the first of its list.
 * @returns its descriptor; 0 when there is no memory
 */
export function findPage(
  slab: SlabCore,
  index: number,
  shape: Shape | null,
  construct: Construct | null,
): Word {
  for (let lastTry = false; ; ) {
    const current = slab.i32[slab.cpu + CURRENT + index];
    if (current !== slab.empty) {
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
    if (slab.i32[page + CAPACITY] === 0) initPage(slab, page, shape ?? shapeOf(slab, index));
    appendPage(slab, page);
  }
}

/** Hears of memory that was added, and takes what came for full pages. At the start of every slow path. */
export function attend(slab: SlabCore): void {
  if (slab.i32[slab.header + Field.epoch] !== slab.epoch) slab.lookAround();
  if (slab.i32[slab.cpu + DELAYED] !== 0) drainDelayed(slab, slab.cpu);
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
  if (block === 0) slab.count(Counter.failures);
  return block;
}

function mallocSmall(slab: SlabCore, index: number, size: number): Word {
  const page = findPage(slab, index, null, null);
  if (page === 0) return 0;
  const node = popBlock(slab, page);
  if (!slab.debug) return node;
  const block = node + NODE_TO_END - slab.i32[page + Page.stride];
  const error = handOut(slab, { block, node, keeps: false }, size, 'malloc');
  if (error !== null) slab.report(error);
  return block;
}

/** Takes the first free block off a page. Pop before `USED++`: a thread that ends between the two loses this block, and nobody else's. */
export function popBlock(slab: SlabCore, page: Word): Word {
  const { i32 } = slab;
  const node = i32[page + FREE];
  i32[page + FREE] = i32[node];
  i32[page + USED]++;
  return node;
}
