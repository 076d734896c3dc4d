/**
 * Runs of slices in a segment's bitmap of 64 bits, kept in two words. Bit i stands for slice i; neighbours
 * that become free are one run without any work, because their bits are neighbours.
 */

const { clz32 } = Math;

/** Bits of `[start, start + count)` that lie in the low word. */
export function lowBits(start: number, count: number): number {
  if (start >= 32) return 0;
  return (count >= 32 ? -1 : (1 << count) - 1) << start;
}

/** The same in the high word. */
export function highBits(start: number, count: number): number {
  const from = start > 32 ? start - 32 : 0;
  const length = start + count - 32 - from;
  if (length <= 0) return 0;
  return (length >= 32 ? -1 : (1 << length) - 1) << from;
}

/** Bits at multiples of 1, 2, 4, 8, 16, 32 within a word. */
const STRIDES = [-1, 0x55555555, 0x11111111, 0x01010101, 0x00010001, 1];

/**
 * The first run of `count` set bits that starts at a multiple of `align`, plus `residue`.
 * @param low - bits 0 … 31
 * @param high - bits 32 … 63
 * @param count - 1 … 64
 * @param align - a power of two, 1 … 64
 * @param residue - less than `align`
 * @returns where it starts, −1 when there is none
 */
export function findRun(low: number, high: number, count: number, align: number, residue: number): number {
  // After each step bit i is set if and only if the `done` bits from i on were.
  for (let done = 1; done < count; ) {
    const step = Math.min(done, count - done);
    if (step === 32) {
      low &= high;
      high = 0;
    } else {
      low &= (low >>> step) | (high << (32 - step));
      high &= high >>> step;
    }
    done += step;
  }
  if (align === 64) {
    if (residue < 32) high = 0;
    else low = 0;
  }
  if (align > 1) {
    const stride = STRIDES[Math.min(5, 31 - clz32(align))] << (residue & 31);
    low &= stride;
    high &= stride;
  }
  if (low !== 0) return 31 - clz32(low & -low);
  return high === 0 ? -1 : 63 - clz32(high & -high);
}
