/**
 * Memory that grows in small steps, and is refused now and then: what the thread suites run on beside memory
 * that was there from the start.
 *
 * ```
 *   1 MiB        asked for n bytes: one time in `refusal` none; else n, and no more
 *   ├──────┤┄┄├┄┄┄├┄┤┄┄┄┤ …                                        maxBytes
 * ```
 */

import type { MiMalloc, Os } from '@shmalloc/mimalloc';
import type { Random } from './harness.ts';

/** The sizes of a heap that grows. */
export const GROWING = { bytes: 2 ** 20, maxBytes: 64 * 2 ** 20, grow: true } as const;

/** How often an allocation that was refused is tried again before it counts as lost memory. */
const TRIES = 200;

/** The owner of the memory in one thread. */
export class StingyOs implements Os {
  readonly purgeDelay: number;
  /** The heap whose memory it gives: set when the thread has attached. */
  heap: MiMalloc | undefined;
  /** One request in so many is refused; 0 none, 1 all. */
  refusal: number;
  /** How often memory came. */
  grown = 0;
  private readonly random: Random;

  constructor(random: Random, refusal = 4, purgeDelay = 10) {
    this.random = random;
    this.refusal = refusal;
    this.purgeDelay = purgeDelay;
  }

  reserve(bytes: number): { start: number; size: number } | null {
    if (this.heap === undefined || (this.refusal > 0 && this.random(this.refusal) === 0)) return null;
    const { memory } = this.heap;
    try {
      const start = memory.grow(bytes);
      this.grown++;
      return { start, size: bytes };
    } catch {
      return null;
    }
  }

  commit(): boolean {
    return true;
  }

  decommit(): void {}

  reset(): void {}

  now(): number {
    return performance.timeOrigin + performance.now();
  }
}

/** Allocates from memory that is refused now and then. @returns 0 when it was refused again and again */
export function patiently(allocate: () => number): number {
  for (let tries = 0; tries < TRIES; tries++) {
    const block = allocate();
    if (block !== 0) return block;
  }
  return 0;
}
