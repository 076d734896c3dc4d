/**
 * The random numbers of the ArceOS tests, and a set from which they draw.
 */

/** 6364136223846793005, Knuth's multiplier for 64 bits, in halves. */
const FACTOR_HIGH = 0x5851f42d;
const FACTOR_LOW = 0x4c957f2d;

/** x ← x · 6364136223846793005 + 1 modulo 2^64; the output is x >> 33. The state starts at 2332. */
export class ArceosRandom {
  #high: number;
  #low: number;

  constructor(seed = 2332) {
    this.#high = 0;
    this.#low = seed >>> 0;
  }

  /** 0 … 2^31 − 1. */
  next(): number {
    // low · FACTOR_LOW in two products of 48 bits each, which a double holds exactly.
    const small = (this.#low & 0xffff) * FACTOR_LOW;
    const large = (this.#low >>> 16) * FACTOR_LOW + Math.floor(small / 65536);
    const low = (large & 0xffff) * 65536 + (small & 0xffff) + 1;
    const carry = Math.floor(large / 65536) + (low === 2 ** 32 ? 1 : 0);
    this.#high = (carry + Math.imul(this.#low, FACTOR_HIGH) + Math.imul(this.#high, FACTOR_LOW)) >>> 0;
    this.#low = low >>> 0;
    return this.#high >>> 1;
  }

  /** 0 … n − 1. */
  below(n: number): number {
    return this.next() % n;
  }

  /** 0 ≤ x < 1. */
  real(): number {
    return this.next() / 2 ** 31;
  }

  /** Puts an array into random order. */
  shuffle<T>(items: T[]): T[] {
    for (let left = items.length; left > 1; ) {
      const pick = this.below(left--);
      [items[left], items[pick]] = [items[pick], items[left]];
    }
    return items;
  }
}

/** A block that a check holds. */
export interface HeldBlock {
  address: number;
  size: number;
}

/** The same, for a check that must know the alignment again. */
export interface AlignedBlock extends HeldBlock {
  align: number;
}

/** Takes item `index` out of an array in constant time, the last one taking its place. */
export function takeAt<T>(items: T[], index: number): T {
  const item = items[index];
  const last = items.pop() as T;
  if (index < items.length) items[index] = last;
  return item;
}
