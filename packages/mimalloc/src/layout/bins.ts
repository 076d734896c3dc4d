/**
 * Size classes: which blocks serve which requests.
 *
 * Up to 128 bytes there is a bin for 8 and for every multiple of 16 (a block of 16 bytes or more is aligned
 * to 16); above, each power of two is divided into eight.
 *
 * ```
 *  bytes   8 │ 16  32  48  64  80  96 112 128 │ 144 160 176 … 256 │ 288 320 … 512 │ … │ … 112 120 128 KiB
 *  bin     1 │  2   3   4   5   6   7   8   9 │  10  11  12 …  17 │  18  19 …  25 │ … │ …  87  88  89
 *  step      │ 16                             │ 16                │ 32            │   │ 8 KiB
 * ```
 *
 * A block wastes less than 16 bytes, or at most 1/9 of itself. mimalloc divides powers of two into four,
 * which its comments call 12.5 %, and which is 20 % at the worst (641 bytes in a block of 800); eight keeps
 * the promise.
 */

/** The largest bin whose blocks share pages. */
export const BIN_LARGEST = 89;
/** The queue of single-block pages: large and huge. */
export const BIN_HUGE = 90;
/** The queue of full pages. */
export const BIN_FULL = 91;
export const BIN_COUNT = 92;

/** Requests up to this have an entry in the direct table, in bytes. */
export const SMALL_SIZE_MAX = 1024;
/** Entries of the direct table: one for every number of 8-byte granules, 0 included. */
export const DIRECT_COUNT: number = SMALL_SIZE_MAX / 8 + 1;

const { clz32 } = Math;

/**
 * The bin that serves a request.
 * @param size - bytes, at most 128 KiB
 */
export function binOf(size: number): number {
  const granules = (size + 7) >>> 3;
  if (granules <= 16) return granules <= 1 ? 1 : 1 + ((granules + 1) >>> 1);
  const v = granules - 1;
  const b = 31 - clz32(v);
  return ((b - 4) << 3) + ((v >>> (b - 3)) & 7) + 10;
}

/** Block sizes in words, by bin; 0 for the two queues that are no size. */
export const BIN_WORDS: Int32Array = new Int32Array(BIN_COUNT);

/** First entry of the direct table that a bin serves; the last one is its block size in granules. */
export const BIN_DIRECT_FIRST: Int32Array = new Int32Array(BIN_COUNT);

const RECIPROCALS: Float64Array = new Float64Array(BIN_COUNT);

for (let granules = 0; granules <= 16_384; granules++) {
  const bin = binOf(granules * 8);
  if (BIN_WORDS[bin] === 0) BIN_DIRECT_FIRST[bin] = granules;
  BIN_WORDS[bin] = Math.max(granules, 1) * 2;
}
for (let bin = 1; bin <= BIN_LARGEST; bin++) RECIPROCALS[bin] = (1 + 2 ** -30) / BIN_WORDS[bin];

/**
 * Which block of a page a word lies in, without a division: a product with a reciprocal that is a little too
 * large.
 *
 * The product exceeds the quotient by a factor of 1 + 2^-30, give or take two roundings of 2^-53. So for a
 * multiple of the block size it never falls below the whole number; and the next whole number is at least
 * 1/size away, which the excess `offset / size · 2^-30` stays below for every offset under 2^29. Tested for
 * every block size at every offset of a page.
 * @param offset - words from the page's start
 * @param bin - the page's bin, at most {@link BIN_LARGEST}
 */
export function indexIn(offset: number, bin: number): number {
  return (offset * RECIPROCALS[bin]) | 0;
}
