/**
 * A thread that ends before any of its statements: what a stage needs to play a scene once for each of them.
 * The thread is an object of the rewritten package (`stepped.ts`) whose hook throws, and goes on throwing, so
 * that no `finally` of the package makes things better than they are when a worker is terminated.
 */

import type { MiMalloc } from '@shmalloc/mimalloc';
import { type Random, shuffle } from './harness.ts';
import { onStep } from './stepped.ts';

/** Stands for the end of the thread. */
const ENDED = { toString: () => 'the thread has ended' };

/**
 * Runs something that ends before its `at`-th statement.
 * @returns how many statements it began, and the one before which it ended
 */
export function runUntil(
  at: number,
  run: () => void,
  statements: string[] = [],
): { steps: number; statement: string } {
  let steps = 0;
  let statement = '';
  onStep((file, text) => {
    statements.push(`${file}: ${text}`);
    if (++steps < at) return;
    if (statement === '') statement = `${file}: ${text}`;
    throw ENDED;
  });
  try {
    run();
  } catch (error) {
    if (error !== ENDED) throw error;
  } finally {
    onStep(null);
  }
  return { steps, statement };
}

/** Blocks that the program has, and what it wrote into them. */
export class Ledger {
  readonly live = new Map<number, number>();
  private readonly heap: MiMalloc;
  private stamp = 1;

  constructor(heap: MiMalloc) {
    this.heap = heap;
  }

  /** A block that was handed out belongs to the program from now on. */
  keep(block: number): number {
    if (block === 0) return 0;
    const bytes = Math.min(this.heap.usableSize(block), 4096);
    this.heap.memory.u8.fill(++this.stamp & 0xff, block, block + bytes);
    this.live.set(block, this.stamp & 0xff);
    return block;
  }

  take(from: MiMalloc, size: number): number {
    return this.keep(from.malloc(size));
  }

  takeAll(from: MiMalloc, size: number, count: number): number[] {
    return Array.from({ length: count }, () => this.take(from, size)).filter((block) => block !== 0);
  }

  /** From the call on the block is not the program's. */
  give(to: MiMalloc, ...blocks: readonly number[]): void {
    for (const block of blocks) {
      this.live.delete(block);
      to.free(block);
    }
  }

  /**
   * What is live must be where it was, apart from the others, with what was written into it.
   * @returns what is not so
   */
  check(where: string): string[] {
    const { heap } = this;
    const faults: string[] = [];
    let end = 0;
    for (const block of [...this.live.keys()].sort((a, b) => a - b)) {
      const usable = heap.usableSize(block);
      if (block < end || usable === 0)
        faults.push(`${where}: the block at ${block} of ${usable} bytes overlaps, or is gone`);
      end = block + usable;
      const bytes = heap.memory.u8.subarray(block, block + Math.min(usable, 4096));
      const stamp = this.live.get(block);
      if (bytes.some((byte) => byte !== stamp)) faults.push(`${where}: the block at ${block} was written to`);
    }
    return faults;
  }
}

/** One scene: which threads survive, which one ends, what it does. */
export interface Ending {
  /** The living threads; the first one reaps. */
  readonly living: MiMalloc[];
  /** The names of those that have ended by then. */
  readonly dead: readonly number[];
  readonly ledger: Ledger;
  readonly run: () => void;
  /** Blocks that the program itself leaves behind when it is cut short, besides the one. */
  readonly leaves?: number;
}

/** Everything that is live and no thread's. */
export function leftovers(living: readonly MiMalloc[]): number[] {
  const found: number[] = [];
  living[0].visitBlocks((address) => found.push(address));
  return found;
}

/** Free segments and bytes in use of a region in which nothing is live. */
export function atRest(living: readonly MiMalloc[]): {
  usedBytes: number;
  freeSegments: number;
  segments: number;
} {
  for (let round = 0; round < 2; round++) for (const heap of living) heap.collect(true);
  for (const heap of living) heap.validate({ quiet: true });
  const { usedBytes, freeSegments, segments } = living[0].stats();
  return { usedBytes, freeSegments, segments };
}

/**
 * Plays one ending: the thread ends, the others go on, it is reaped, and all is as if it had never been, but
 * for one block.
 * @returns what is not so
 */
export function playEnding(ending: Ending, where: string, random: Random): string[] {
  const { living, dead, ledger, leaves = 0 } = ending;
  const [reaper, other] = living;
  // The others have not heard of it: they free what it may have been at work on, and allocate.
  const faults = ledger.check(`${where}, before it is reaped`);
  const blocks = shuffle([...ledger.live.keys()], random);
  ledger.give(other, ...blocks.splice(0, blocks.length >> 1));
  for (const size of [40, 500, 3000, 20_000]) ledger.takeAll(other, size, 5);
  for (const name of dead) reaper.reap(name);
  for (const name of dead) reaper.reap(name);
  faults.push(...ledger.check(`${where}, after it was reaped`));
  for (const heap of living) heap.validate({ quiet: true });
  for (const size of [40, 500, 3000, 20_000]) ledger.takeAll(reaper, size, 5);
  for (const block of shuffle([...ledger.live.keys()], random))
    ledger.give(living[random(living.length)], block);
  atRest(living);
  const left = leftovers(living);
  if (left.length > 1 + leaves) faults.push(`${where}: ${left.length} blocks are lost`);
  for (const block of left) reaper.free(block);
  return faults;
}
