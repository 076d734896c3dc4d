/**
 * How a region is divided, and which class of blocks a size belongs to.
 *
 * ```
 *   chunk   128 pages: the unit of the page map
 *   page    64 KiB (8, 16, 32 KiB in regions below 8 MiB): blocks of one class, or a part of one large block
 *   block   8 · 2^class bytes, up to half a page, at a multiple of its size
 * ```
 *
 * Shifts are of **words** of 4 bytes, as all places are below the edge of the interface: a word's index stays
 * a small integer for all 4 GiB.
 */

import { AllocError, isPowerOfTwo } from '@shmalloc/allocator-api';

/** What the operating system maps, and so what the footprint counts in. */
export const OS_PAGE_WORDS = 1024;

/** Pages of a chunk, as a shift. */
export const CHUNK_BITS = 7;
export const CHUNK_PAGES: number = 1 << CHUNK_BITS;

/**
 * Words of a chunk's table: 32 for each page, and 16 for two bits of each. What lies where in it is
 * `page-map.ts`'s.
 */
export const TABLE_WORDS: number = CHUNK_PAGES * 32 + 16;

/** Log2 of a page's bytes. */
const MIN_PAGE_SHIFT = 13;
const MAX_PAGE_SHIFT = 16;

/** A small region shall have so many pages at least, as a shift: one for each class and CPU, and some. */
const PAGES_WANTED = 7;

/** The smallest block has 8 bytes: one word for a link, and another, so that every block is an even word. */
const SMALLEST_SHIFT = 3;

/**
 * Classes of sizes that a table has: more than there are, so that a look-up needs no bound. Those from here
 * on are of object caches.
 */
export const SIZE_CLASSES = 32;

/** Object caches of a region. */
export const CACHES = 32;

/** Lists of pages that each CPU has. */
export const CLASSES: number = SIZE_CLASSES + CACHES;

/**
 * The class of a size of 1 … 2^31 bytes: `8 << class` bytes is the least power of two that holds it. 0 gives
 * a class that no page has.
 */
export function classOf(bytes: number): number {
  return 29 - Math.clz32((bytes - 1) | 7);
}

/** Bytes of a block of this class. */
export function bytesOfClass(index: number): number {
  return 1 << (index + SMALLEST_SHIFT);
}

/** Log2 of the bytes of a page in a region of so many. */
export function pageShiftFor(bytes: number): number {
  const shift = 31 - Math.clz32(Math.min(bytes, 0xffffffff)) - PAGES_WANTED;
  return Math.min(MAX_PAGE_SHIFT, Math.max(MIN_PAGE_SHIFT, shift));
}

/** @throws AllocError `InvalidParam` when no page has 2^shift bytes */
export function checkPageShift(shift: number): number {
  if (shift >= MIN_PAGE_SHIFT && shift <= MAX_PAGE_SHIFT) return shift;
  throw new AllocError(
    'InvalidParam',
    `a page has 2^${MIN_PAGE_SHIFT} to 2^${MAX_PAGE_SHIFT} bytes, got 2^${shift}`,
  );
}

/** @throws AllocError `InvalidParam` when `pageBytes` is none of the sizes that a page can have */
export function shiftOfPage(pageBytes: number): number {
  const shift = 31 - Math.clz32(pageBytes);
  if (isPowerOfTwo(pageBytes) && shift >= MIN_PAGE_SHIFT && shift <= MAX_PAGE_SHIFT) return shift;
  throw new AllocError('InvalidParam', `pageBytes must be 8, 16, 32 or 64 KiB, got ${pageBytes}`);
}
