/**
 * What checks do with a heap that has an oracle beside it: live on it for a while at random, fill it, free
 * everything.
 */

import { type Bench, expect, expectEmpty, type WatchedHeap } from './bench.ts';
import { type AlignedBlock, ArceosRandom, type HeldBlock, takeAt } from './random.ts';

const STEPS = 2000;

/** Allocates, resizes and frees at random, then frees all. */
export function churn(bench: Bench, watched: WatchedHeap): void {
  const { heap, checked } = watched;
  const before = heap.usedBytes();
  bench.log(`seed ${bench.seed}`);
  const random = new ArceosRandom(bench.seed);
  const held: AlignedBlock[] = [];
  for (let step = 0; step < STEPS; step++) {
    if (held.length === 0 || random.below(5) < 3) {
      const size = random.below(random.below(8) === 0 ? 3000 : 100);
      const align = Math.min(2 ** random.below(9), bench.maxAlign);
      const address = random.below(2) === 0 ? checked.malloc(size) : checked.alignedAlloc(align, size);
      if (address !== 0) held.push({ address, size, align });
    } else if (random.below(4) === 0) {
      const block = held[random.below(held.length)];
      const size = random.below(500);
      const address = checked.realloc(block.address, block.size, block.align, size);
      if (address !== 0) Object.assign(block, { address, size });
    } else {
      const { address, size } = takeAt(held, random.below(held.length));
      checked.free(address, size);
    }
  }
  heap.validate();
  freeAll(watched, held, before);
}

/** Frees what a check still holds; after that nothing may be in use that was not before. */
export function freeAll(watched: WatchedHeap, held: readonly HeldBlock[], usedBefore: number): void {
  for (const { address, size } of held) watched.checked.free(address, size);
  expectEmpty(watched, usedBefore);
}

/**
 * Allocates until nothing more is to be had.
 * @param size - bytes of every block, or a function that gives the next one's
 */
export function fill({ heap, checked }: WatchedHeap, size: number | (() => number)): HeldBlock[] {
  const blocks: HeldBlock[] = [];
  const most = heap.totalBytes() / 8;
  for (;;) {
    const bytes = typeof size === 'number' ? size : size();
    const address = checked.malloc(bytes);
    if (address === 0) return blocks;
    blocks.push({ address, size: bytes });
    expect(blocks.length <= most, `${heap.totalBytes()} bytes of memory gave more than ${most} blocks`);
  }
}
