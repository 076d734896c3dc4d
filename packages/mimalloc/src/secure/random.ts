/**
 * The numbers of secure mode: keys that differ from page to page, and marks that belong to one block only.
 * Good enough that an accident never makes one; no protection against a program that can read the memory.
 */

/** Mixes two words into one that tells neither: every bit of both changes about half of the bits. */
export function mix(a: number, b: number): number {
  let hash = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13) ^ b, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 16), 0x27d4eb2f);
  return hash ^ (hash >>> 15);
}

/** A stream of words: a counter, mixed with a seed. */
export class RandomWords {
  private readonly seed: number;
  private counter: number;

  constructor(seed: number) {
    this.seed = seed;
    this.counter = 0;
  }

  /** Any 32-bit word. */
  next(): number {
    this.counter = (this.counter + 1) | 0;
    return mix(this.counter, this.seed);
  }

  /** 0 … n − 1. */
  below(n: number): number {
    return (this.next() >>> 0) % n;
  }
}
