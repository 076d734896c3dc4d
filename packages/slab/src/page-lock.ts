/**
 * The lock of the page list. Its word is the holder's **name**, so that a holder that has died can be told
 * from one that is slow.
 *
 * ```
 *   0 ──lock──▶ name ──unlock──▶ 0          bit 0 beside the name: a thread sleeps (mutex only)
 *                 └──take over: the name of its reaper──▶ …
 * ```
 *
 * That is why it is none of `@shmalloc/atomic-cell`'s locks, whose word says HELD and no more. A CPU that is
 * terminated inside holds up all others that want a page, until `reap` is called for it: the caller takes the
 * lock over, builds the page list again from the page descriptors, and unlocks. What runs inside is a few
 * dozen loads and stores, and never a program's code.
 *
 * A word that is the name of no thread that can hold the lock was written by a program, not by a thread: it
 * is replaced, and waited for no longer.
 */

import type { LockKind, SharedMemory, Word } from '@shmalloc/allocator-api';
import { backOff, MAY_BLOCK } from '@shmalloc/atomic-cell';

const OPEN = 0;
const SLEEPERS = 1;

/** Pauses before the first sleep: more than what runs inside takes. */
const ROUNDS_BEFORE_SLEEP = 6;

/** Milliseconds of a sleep at most, for a wake-up that was lost with its thread. */
const LOOK_AGAIN_MS = 100;

/** How a thread came by the lock. */
export const Taken = {
  /** It was open. */
  free: 0,
  /** It had to wait. */
  waited: 1,
  /** Its word named no thread that can hold it: what it guards may be in any state. */
  damaged: 2,
} as const;

/** The lock as one thread has it. */
export class PageLock {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #place: Word;
  readonly #isThere: boolean;
  readonly #sleeps: boolean;
  readonly #name: number;
  readonly #canHold: (name: number) => boolean;

  /** @param canHold - whether a thread of this name may be holding the lock */
  constructor(
    memory: SharedMemory,
    place: Word,
    kind: LockKind,
    name: number,
    canHold: (name: number) => boolean,
  ) {
    this.#words = memory.i32;
    this.#place = place;
    this.#isThere = kind === 'spin' || kind === 'mutex';
    this.#sleeps = kind === 'mutex' && MAY_BLOCK;
    this.#name = name;
    this.#canHold = canHold;
  }

  /**
   * Waits until the lock is open and takes it.
   * @returns one of {@link Taken}
   */
  lock(): number {
    if (!this.#isThere) return Taken.free;
    // Acquire: pairs with the exchange in `unlock`, and receives the page list as its last holder left it.
    let found = Atomics.compareExchange(this.#words, this.#place, OPEN, this.#name);
    if (found === OPEN) return Taken.free;
    for (let round = 0, rounds = 0; ; rounds++) {
      if (this.#isWrong(found)) return Taken.damaged;
      if (this.#sleeps && rounds === ROUNDS_BEFORE_SLEEP) return this.#sleep();
      round = backOff(round);
      // The load orders nothing: it says whether a try is worth it, and leaves the holder its line.
      found = Atomics.load(this.#words, this.#place);
      if (found !== OPEN) continue;
      found = Atomics.compareExchange(this.#words, this.#place, OPEN, this.#name);
      if (found === OPEN) return Taken.waited;
    }
  }

  /** Gives the lock back, and wakes one thread if some sleep. */
  unlock(): void {
    if (!this.#isThere) return;
    // Release: pairs with the exchanges in `lock` and `#sleep`, and publishes the page list.
    const found = Atomics.exchange(this.#words, this.#place, OPEN);
    if ((found & SLEEPERS) !== 0) Atomics.notify(this.#words, this.#place, 1);
  }

  /**
   * Takes the lock from a thread that has died, if that holds it.
   * @param name - the dead thread's
   * @returns whether it did; then the caller holds it, and must mend what it guards
   */
  takeOver(name: number): boolean {
    for (;;) {
      const found = Atomics.load(this.#words, this.#place);
      if ((found & ~SLEEPERS) !== name) return false;
      if (this.#replace(found)) return true;
    }
  }

  /**
   * Acquire: what the holder has written is what the caller finds. Fails when a thread has gone to sleep
   * meanwhile.
   */
  #replace(found: number): boolean {
    const mine = this.#name | (found & SLEEPERS);
    return Atomics.compareExchange(this.#words, this.#place, found, mine) === found;
  }

  /**
   * Takes the lock if its word names no thread that can hold it: not the caller, which does not, and none
   * that has gone.
   */
  #isWrong(found: number): boolean {
    const name = found & ~SLEEPERS;
    if (name !== this.#name && this.#canHold(name)) return false;
    // The exchange is the second look: a holder that has let go of the lock since the first one has changed
    // the word, and no name comes again.
    return this.#replace(found);
  }

  /** Sleeps until the lock is this thread's. */
  #sleep(): number {
    for (;;) {
      const found = Atomics.load(this.#words, this.#place);
      if (found === OPEN) {
        // With SLEEPERS, since others may sleep, too; at worst a wake-up for no thread. Acquire as in `lock`.
        if (Atomics.compareExchange(this.#words, this.#place, OPEN, this.#name | SLEEPERS) === OPEN)
          return Taken.waited;
        continue;
      }
      if (this.#isWrong(found)) return Taken.damaged;
      const asleep = found | SLEEPERS;
      if (found !== asleep && Atomics.compareExchange(this.#words, this.#place, found, asleep) !== found)
        continue;
      // Returns at once unless the word still says so. Pairs with the notify in `unlock`.
      Atomics.wait(this.#words, this.#place, asleep, LOOK_AGAIN_MS);
    }
  }
}
