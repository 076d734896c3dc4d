/**
 * The lock of the page list. Its word is the holder's **name**, so that a holder who has died can be told from one who is slow.
 *
 * ```
 *   0 ──lock──▶ name ──unlock──▶ 0          bit 0 beside the name: somebody sleeps (mutex only)
 *                 └──take over: the name of who has reaped it──▶ …
 * ```
 *
 * That is why it is none of `@shmalloc/atomic-cell`'s locks, whose word says HELD and no more. A CPU that is terminated inside holds up all others
 * that want a page, until `reap` is called for it: the caller takes the lock over, builds the page list anew from the page descriptors, and
 * unlocks. What runs inside is a few dozen loads and stores, and never a program's code.
 */

import type { SharedMemory } from '@shmalloc/allocator-api';
import { backOff, MAY_BLOCK } from '@shmalloc/atomic-cell';
import type { Word } from './geometry.ts';

/**
 * What can stand around the page list; the position is what the header records.
 * @public
 */
export const LOCK_KINDS = ['none', 'spin', 'mutex'] as const;

/**
 * What stands around the page list: nothing (for one thread), a lock that waits by looking again, or one that waits by sleeping.
 * @public
 */
export type LockKind = (typeof LOCK_KINDS)[number];

const OPEN = 0;
const SLEEPERS = 1;

/** Pauses before the first sleep: more than what runs inside takes. */
const ROUNDS_BEFORE_SLEEP = 6;

/** Milliseconds of a sleep at most, for a wake-up that was lost with its thread. */
const LOOK_AGAIN_MS = 100;

/** The lock as one thread has it. */
export class PageLock {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #place: Word;
  readonly #kind: LockKind;
  readonly #name: number;

  constructor(memory: SharedMemory, place: Word, kind: LockKind, name: number) {
    this.#words = memory.i32;
    this.#place = place;
    this.#kind = kind;
    this.#name = name;
  }

  /**
   * Waits until the lock is open and takes it.
   * @returns whether it had to wait
   */
  lock(): boolean {
    if (this.#kind === 'none') return false;
    // Acquire: pairs with the exchange in `unlock`, and receives the page list as its last holder left it.
    if (Atomics.compareExchange(this.#words, this.#place, OPEN, this.#name) === OPEN) return false;
    let round = 0;
    do {
      if (this.#kind === 'mutex' && MAY_BLOCK && round === ROUNDS_BEFORE_SLEEP) {
        this.#sleep();
        return true;
      }
      round = backOff(round);
      // The load orders nothing: it says whether a try is worth it, and leaves the holder its line.
    } while (
      Atomics.load(this.#words, this.#place) !== OPEN ||
      Atomics.compareExchange(this.#words, this.#place, OPEN, this.#name) !== OPEN
    );
    return true;
  }

  /** Gives the lock back, and wakes one thread if some sleep. */
  unlock(): void {
    if (this.#kind === 'none') return;
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
      // Acquire: what the dead one has written is what the caller finds. Fails when somebody has gone to sleep meanwhile.
      const mine = this.#name | (found & SLEEPERS);
      if (Atomics.compareExchange(this.#words, this.#place, found, mine) === found) return true;
    }
  }

  /** Sleeps until the lock is this thread's. */
  #sleep(): void {
    for (;;) {
      const found = Atomics.load(this.#words, this.#place);
      if (found === OPEN) {
        // With SLEEPERS, since others may sleep, too; at worst a wake-up for nobody. Acquire as in `lock`.
        if (Atomics.compareExchange(this.#words, this.#place, OPEN, this.#name | SLEEPERS) === OPEN) return;
        continue;
      }
      const asleep = found | SLEEPERS;
      if (found !== asleep && Atomics.compareExchange(this.#words, this.#place, found, asleep) !== found)
        continue;
      // Returns at once unless the word still says so. Pairs with the notify in `unlock`.
      Atomics.wait(this.#words, this.#place, asleep, LOOK_AGAIN_MS);
    }
  }
}
