/** Words of 32 bits, and what allocators ask of their bits. All of it is inlined by the engine. */

/**
 * An index into the region's 32-bit words: an address divided by 4. It stays below 2^30 and so a small
 * integer, where an address from the upper half of 4 GiB would not.
 * @public
 */
export type Word = number;

const { clz32 } = Math;

/**
 * The number of zeros below the lowest set bit.
 * @param word - not 0
 * @public
 */
export function trailingZeros(word: number): number {
  return 31 - clz32(word & -word);
}

/**
 * How many bits are set.
 * @public
 */
export function countBits(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/**
 * The bits `[shift, shift + count)` of a word, as far as it goes.
 * @public
 */
export function maskOf(shift: number, count: number): number {
  return (count < 32 ? (1 << count) - 1 : -1) << shift;
}
