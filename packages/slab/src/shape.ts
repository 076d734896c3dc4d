/**
 * How the blocks of a class lie in their pages, and whether a descriptor says so.
 *
 * ```
 *   a page   ├ block ┼ block ┼ block ┼ … ┼ block ┼ rest ┤        RESERVED = ⌊page / STRIDE⌋
 *            │  └ link word: FIRST for block 0, and STRIDE words from one to the next
 * ```
 *
 * All that a descriptor says of its blocks follows from its CLASS and its INDEX. So what was written over is
 * found by working it out again.
 */

import type { Word } from '@shmalloc/allocator-api';
import { cacheShape, cacheStride } from './cache-record.ts';
import { NODE_TO_END } from './debug.ts';
import { bytesOfClass, CLASSES, SIZE_CLASSES } from './geometry.ts';
import { NO_FAST_FREE, Page } from './page.ts';
import { isDescriptor, startOf } from './page-map.ts';
import type { SlabCore } from './thread-view.ts';

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

/** How blocks of a class lie. */
export function shapeOf(slab: SlabCore, index: number): Shape {
  if (index >= SIZE_CLASSES) return cacheShape(slab, index - SIZE_CLASSES);
  const bytes = bytesOfClass(index);
  if (slab.debug) {
    return { class: index, stride: bytes / 4, node: bytes / 4 - NODE_TO_END, mask: NO_FAST_FREE };
  }
  return { class: index, stride: bytes / 4, node: 0, mask: bytes - 1 };
}

/** Makes a free page one of a class. The page list has left it clean. */
export function initPage(slab: SlabCore, page: Word, shape: Shape): void {
  const { i32 } = slab;
  i32[page + Page.stride] = shape.stride;
  i32[page + Page.reserved] = Math.floor((1 << slab.pageShift) / shape.stride);
  i32[page + Page.first] = startOf(slab, page) + shape.node;
  i32[page + Page.class] = shape.class;
  i32[page + Page.mask] = shape.mask;
}

/**
 * Whether a descriptor is one of a page with blocks, and says what follows from its class and its place. No
 * garbage: a CPU asks for every 4 KiB.
 */
export function isSound(slab: SlabCore, page: Word): boolean {
  const { i32 } = slab;
  const index = i32[page + Page.class];
  const stride = i32[page + Page.stride];
  const room = 1 << slab.pageShift;
  if (!isDescriptor(slab, page) || index < 0 || index >= CLASSES) return false;
  const expected = index < SIZE_CLASSES ? 2 << index : cacheStride(slab, index - SIZE_CLASSES);
  const node = index < SIZE_CLASSES && !slab.debug ? 0 : stride - NODE_TO_END;
  const reserved = i32[page + Page.reserved];
  const capacity = i32[page + Page.capacity];
  return (
    stride === expected &&
    stride >= 2 &&
    stride <= room &&
    reserved === Math.floor(room / stride) &&
    i32[page + Page.first] === startOf(slab, page) + node &&
    capacity >= 0 &&
    capacity <= reserved
  );
}

/**
 * Whether a word is the link word of a block of a page, among its first so many, by what its descriptor's
 * first line says. Each block that `malloc` does not find at once is looked at in this way: so there is no
 * division where blocks lie at multiples of a power of two, and no look at the line that others write.
 */
export function isNode(slab: SlabCore, page: Word, node: Word, count: number): boolean {
  const { i32 } = slab;
  const first = i32[page + Page.first];
  const stride = i32[page + Page.stride];
  const offset = node - first;
  return (
    node > 0 &&
    (node ^ first) >>> slab.pageShift === 0 &&
    offset >= 0 &&
    ((stride & (stride - 1)) === 0 ? (offset & (stride - 1)) === 0 : offset % stride === 0) &&
    offset < stride * count
  );
}
