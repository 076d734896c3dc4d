/**
 * What the workers of a crew have in common besides the heap: where they meet before a round, and the sign
 * that one of them has failed. Apart from the heap's memory, so that the measurement does not touch it.
 *
 * ```
 *   word 0     16        32
 *   ├ ARRIVED ┼ FAILED  ┤      a cache line each
 * ```
 */

const ARRIVED = 0;
const FAILED = 16;
const WORDS = 32;

/** @internal */
export function newStage(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * WORDS);
}

/**
 * One thread's view of the stage.
 * @internal
 */
export class Stage {
  private readonly words: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer);
  }

  /**
   * For the main thread, while no thread plays: the next round may begin. The message that starts it
   * publishes this.
   */
  clear(): void {
    Atomics.store(this.words, ARRIVED, 0);
  }

  /**
   * Returns when all have arrived, or one has failed. Spins: one that is asked for a round is awake.
   * @param workers - how many play
   */
  meet(workers: number): void {
    // Pairs with itself in the other workers: no thread begins before everybody is there.
    Atomics.add(this.words, ARRIVED, 1);
    while (Atomics.load(this.words, ARRIVED) < workers && !this.failed);
  }

  /** Another thread cannot go on; the others shall not wait for it. */
  fail(): void {
    Atomics.store(this.words, FAILED, 1);
  }

  /** Pairs with {@link Stage.fail}. */
  get failed(): boolean {
    return Atomics.load(this.words, FAILED) !== 0;
  }
}

/** A clock that all threads share, in nanoseconds. Not for inner loops. */
export function nanoseconds(): number {
  return Number(process.hrtime.bigint());
}
