/**
 * From a block's size to the list that keeps blocks of that size: two levels, so that both are found with one
 * bit operation.
 *
 * Sizes are counted in granules (16 bytes). The first level is the power of two, the second divides it into
 * 32 equal ranges; below 32 granules every size has a list of its own.
 *
 * ```
 *  granules  1 2 3 … 31 │ 32 33 … 63 │ 64,65  66,67 … 126,127 │ 128–131 … │        │ 2^27 … 2^28 − 1
 *  first     0          │ 1          │ 2                       │ 3         │   …    │ 23
 *  second    1 2 3 … 31 │ 0  1  … 31 │ 0      1      … 31      │ 0      …  │        │ 0 … 31
 *  width     1          │ 1          │ 2                       │ 4         │ 2^(first − 1)
 * ```
 *
 * A list is named by one number, `first * 32 + second`. Rounding is in the name: `mapFloor` is where a free
 * block of this size is kept, `mapCeil` the first list of which **every** block is large enough (Masmano et
 * al., "TLSF", ECRTS 2004, §3.2).
 */

/**
 * log2 of the lists a power of two is divided into: a bitmap word holds them exactly, and a good fit wastes
 * at most 1/32.
 */
export const SECOND_BITS = 5;
export const SECOND_COUNT: number = 1 << SECOND_BITS;
/** Zeros before a number of SECOND_BITS + 1 bits. */
const LEADING: number = 31 - SECOND_BITS;
const { clz32 } = Math;

/** A region has less than 2^28 granules of 16 bytes, so their highest bit is 27 at most. */
const GRANULE_BITS = 28;

export const FIRST_COUNT: number = GRANULE_BITS - SECOND_BITS + 1;
export const LIST_COUNT: number = FIRST_COUNT * SECOND_COUNT;

/** Below this many words every size has a list of its own, and its number is `size / 4`. */
export const EXACT_SIZES: number = 4 * 2 * SECOND_COUNT;

/**
 * The list that keeps free blocks of this size.
 * @param size - words, a multiple of 4
 */
export function mapFloor(size: number): number {
  const granules = size >>> 2;
  // log2 of the range's width. Setting bit 5 makes it 0 for the small sizes, and then first and second run
  // together in the number itself.
  const shift = LEADING - clz32(granules | SECOND_COUNT);
  return (shift << SECOND_BITS) + (granules >>> shift);
}

/**
 * The first list whose blocks all have at least this size; {@link LIST_COUNT} or more when there is none.
 * @param size - words, a multiple of 4
 */
export function mapCeil(size: number): number {
  // Up to the start of the next range: by one granule less than the width of a range of this power of two.
  const width = 4 << (LEADING - clz32((size >>> 2) | SECOND_COUNT));
  return mapFloor(size + width - 4);
}
