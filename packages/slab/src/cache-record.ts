/**
 * What the region knows of an object cache: a record in the header.
 *
 * ```
 *  word
 *   0  STATE   0 none · 1 being made · 2 there
 *   1  SIZE    of an object, in bytes
 *   2  ALIGN   bytes
 *   3  STRIDE  words from object to object
 *   4  KEEPS   1 when objects are constructed and keep their state while they are free
 *   8
 * ```
 */

import { AllocError, isPowerOfTwo, type Word } from '@shmalloc/allocator-api';
import { DEBUG_BYTES, NODE_TO_END } from './debug.ts';
import { CACHES, SIZE_CLASSES } from './geometry.ts';
import { CACHE_WORDS, Field } from './header.ts';
import { NO_FAST_FREE } from './page.ts';
import type { Shape } from './shape.ts';
import type { SlabCore } from './thread-view.ts';

const STATE = 0;
const SIZE = 1;
const ALIGN = 2;
const STRIDE = 3;
const KEEPS = 4;

const NONE = 0;
const MAKING = 1;
const THERE = 2;

/** The link behind an object, at an even word. */
const LINK_BYTES = 8;

/** What a cache is for. */
export interface CacheKind {
  readonly size: number;
  readonly align: number;
  readonly keeps: boolean;
}

function recordAt(slab: SlabCore, number: number): Word {
  return slab.header + Field.caches + number * CACHE_WORDS;
}

/** Bytes from object to object. */
export function strideBytes(slab: SlabCore, size: number, align: number): number {
  const unit = Math.max(align, LINK_BYTES);
  return Math.ceil((size + (slab.debug ? DEBUG_BYTES : LINK_BYTES)) / unit) * unit;
}

/**
 * Makes a cache.
 * @returns its number
 * @throws AllocError `NoMemory` when there are as many as can be
 */
export function makeRecord(slab: SlabCore, { size, align, keeps }: CacheKind): number {
  const { i32 } = slab;
  for (let number = 0; number < CACHES; number++) {
    const record = recordAt(slab, number);
    if (Atomics.compareExchange(i32, record + STATE, NONE, MAKING) !== NONE) continue;
    i32[record + SIZE] = size;
    i32[record + ALIGN] = align;
    i32[record + STRIDE] = strideBytes(slab, size, align) / 4;
    i32[record + KEEPS] = keeps ? 1 : 0;
    // Release: pairs with the load in `readRecord`.
    Atomics.store(i32, record + STATE, THERE);
    return number;
  }
  throw new AllocError('NoMemory', `this heap has all ${CACHES} object caches that it has room for`);
}

/**
 * @throws AllocError `InvalidParam` when there is no such cache, `Corrupted` when its record was written over
 */
export function readRecord(slab: SlabCore, number: number): CacheKind {
  const { i32 } = slab;
  const record = recordAt(slab, number);
  if (number >= CACHES || Atomics.load(i32, record + STATE) !== THERE) {
    throw new AllocError('InvalidParam', `there is no object cache ${number}`);
  }
  const [size, align, stride] = [i32[record + SIZE], i32[record + ALIGN], i32[record + STRIDE]];
  if (!isPowerOfTwo(align) || strideBytes(slab, size, align) !== stride * 4 || stride * 4 > slab.smallMax) {
    throw new AllocError(
      'Corrupted',
      `the record of object cache ${number} says ${size} bytes at multiples of ${align}, ${stride} words apart`,
    );
  }
  return { size, align, keeps: i32[record + KEEPS] === 1 };
}

/** Whether objects of a cache keep their state while they are free. */
export function cacheKeeps(slab: SlabCore, number: number): boolean {
  return slab.i32[recordAt(slab, number) + KEEPS] === 1;
}

/** Words from object to object of a cache. */
export function cacheStride(slab: SlabCore, number: number): number {
  return slab.i32[recordAt(slab, number) + STRIDE];
}

/** How the objects of a cache lie. */
export function cacheShape(slab: SlabCore, number: number): Shape {
  const stride = cacheStride(slab, number);
  return { class: SIZE_CLASSES + number, stride, node: stride - NODE_TO_END, mask: NO_FAST_FREE };
}
