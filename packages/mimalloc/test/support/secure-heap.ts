/**
 * What the tests of secure mode have in common: a heap at some level that notes what it reports, and words of
 * it to damage.
 */

import type { AllocError } from '@shmalloc/allocator-api';
import { MiMalloc, type MiMallocOptions } from '@shmalloc/mimalloc';

/** A heap whose reports are kept. */
export interface Watched {
  readonly heap: MiMalloc;
  readonly errors: AllocError[];
  /** The messages since the last call. */
  readonly told: () => string[];
}

/** Notes what a heap reports. */
export function watch(heap: MiMalloc): Watched {
  const errors: AllocError[] = [];
  heap.registerError((error) => errors.push(error));
  return { heap, errors, told: () => errors.splice(0).map(({ message }) => message) };
}

/** A heap of 4 MiB at this level: the same random numbers in every run. */
export function secureHeap(secure: number, options: MiMallocOptions = {}): Watched {
  return watch(MiMalloc.create({ bytes: 1 << 22, grow: false, seed: 7, secure, ...options }));
}

/** Blocks of one size, each filled with its own number. */
export function blocksOf(heap: MiMalloc, count: number, size: number): number[] {
  return Array.from({ length: count }, (_, index) => {
    const block = heap.malloc(size);
    if (block === 0) throw new Error(`no memory for block ${index} of ${size} bytes`);
    heap.memory.u8.fill(index, block, block + size);
    return block;
  });
}

/** Whether blocks of `blocksOf` still hold what they were filled with; those in `but` are not looked at. */
export function areIntact(
  heap: MiMalloc,
  blocks: readonly number[],
  size: number,
  but: readonly number[] = [],
): boolean {
  return blocks.every(
    (block, index) =>
      but.includes(block) ||
      heap.memory.u8.subarray(block, block + size).every((byte) => byte === (index & 0xff)),
  );
}

/** Numbers below `n` from a linear congruential generator: the same on every run. */
export function generator(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}
