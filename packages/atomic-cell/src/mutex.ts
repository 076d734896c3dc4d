/**
 * The mutex: one word, three states, and the engine's wait queue.
 *
 * ```
 *    address                                 +4
 *    ├────────────────────────────────────────┤
 *    │  0 FREE · 1 HELD · 2 HELD_WITH_WAITERS │
 *    └────────────────────────────────────────┘
 *
 *            lock, at once              lock, after a wait
 *    FREE ───────────────────▶ HELD    FREE ──────────────▶ HELD_WITH_WAITERS
 *     ▲                         │       ▲                         ▲   │
 *     │         unlock          │       │  unlock, wakes one      │   │
 *     └─────────────────────────┘       └─────────────────────────┼───┘
 *                              HELD ──── a second thread waits ───┘
 * ```
 *
 * This is the third mutex of Ulrich Drepper's "Futexes Are Tricky" (2011). Its invariant: **while a thread
 * sleeps, the word is HELD_WITH_WAITERS, or a thread has been woken that will make it so.** A thread that has
 * slept cannot know whether others still do, so it takes the lock as HELD_WITH_WAITERS; at worst that costs
 * one needless wake-up. A thread that comes just then may take the free word as HELD: the woken one finds it
 * taken, marks it again and sleeps, so no thread is forgotten.
 *
 * One thread can break the invariant: the woken one, when it is terminated before it takes the mutex. So a
 * sleep is bounded, and the thread that sleeps looks for himself now and then.
 */

import type { Address, SharedMemory } from '@shmalloc/allocator-api';
import { backOff } from './back-off.ts';
import { type Lock, overwritten } from './lock.ts';
import { MAY_BLOCK } from './may-block.ts';
import { ReleaseError } from './release-error.ts';
import { wordIndex } from './word.ts';

const FREE = 0;
const HELD = 1;
const HELD_WITH_WAITERS = 2;

/** Pauses before the first sleep: 63 beats, ½ to 2 µs, less than a sleep and its wake-up cost. */
const ROUNDS_BEFORE_SLEEP = 6;

/**
 * Milliseconds of a sleep at most. Too long to cost anything, short enough for a wake-up that was lost with
 * its thread.
 */
const LOOK_AGAIN_MS = 1000;

/**
 * A lock that waits by sleeping. On a thread that may not block (a browser's main thread) it spins with
 * back-off instead; both kinds of thread can share one mutex.
 *
 * @example
 * ```ts
 * const lock = new Mutex(memory, 64);
 * lock.lock();
 * try { memory.i32[32]++; } finally { lock.unlock(); }
 * ```
 * @public
 */
export class Mutex implements Lock {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #index: number;

  /**
   * @param memory - the memory that holds the mutex
   * @param address - bytes, a multiple of 4; the word there is the mutex, 0 when it is fresh
   */
  constructor(memory: SharedMemory, address: Address) {
    this.#index = wordIndex(memory, address);
    this.#words = memory.i32;
  }

  /**
   * Waits until the mutex is free and takes it.
   *
   * Progress: blocking, without order: a thread that comes late can overtake one that sleeps. Cost: one
   * `compareExchange` when it is free (17–27 ns); otherwise up to 2 µs of back-off, and then a sleep, which
   * costs no CPU and 5 µs or more to wake from (measured).
   * @throws AllocError `Corrupted` when the word names no possible holder, which no wait would end
   */
  lock(): void {
    for (let round = 0; !this.tryLock(); ) {
      let seen: number;
      do {
        if (MAY_BLOCK && round === ROUNDS_BEFORE_SLEEP) {
          this.#sleep();
          return;
        }
        round = backOff(round);
        // Orders nothing: it only says whether a try is worth it, and leaves the holder its cache line.
        seen = Atomics.load(this.#words, this.#index);
        if (!isState(seen)) throw overwritten('mutex', this.#index, seen);
      } while (seen !== FREE);
    }
  }

  /**
   * Takes the mutex if it is free.
   *
   * Progress: wait-free. Cost: one `compareExchange`.
   * @returns whether the calling thread holds it now
   */
  tryLock(): boolean {
    // Acquire: pairs with the exchange in unlock, and receives everything the last holder wrote.
    return Atomics.compareExchange(this.#words, this.#index, FREE, HELD) === FREE;
  }

  /**
   * Gives the mutex back, and wakes one thread if some sleep.
   *
   * Progress: wait-free apart from the engine's own lock around its wait queue. Cost: one `exchange`, and a
   * `notify` only if a thread waited since it was taken.
   * @throws ReleaseError when it is free; it stays free. AllocError `Corrupted` when something was written
   *   over it; it is free then, since the caller held it
   */
  unlock(): void {
    // Release: pairs with the exchanges in tryLock and #sleep, and publishes everything written while the
    // mutex was held.
    const state = Atomics.exchange(this.#words, this.#index, FREE);
    // Pairs with the wait in #sleep. A thread between its exchange and its wait is not in the queue yet; it
    // needs no waking, because its wait looks at the word again and returns at once.
    if (state === HELD_WITH_WAITERS) Atomics.notify(this.#words, this.#index, 1);
    else if (state === FREE)
      throw new ReleaseError(`the mutex at ${this.#index * 4} is unlocked, but no thread holds it`);
    else if (state !== HELD) {
      // What was written over may have said that threads sleep.
      Atomics.notify(this.#words, this.#index);
      throw overwritten('mutex', this.#index, state);
    }
  }

  /** Sleeps until the mutex is this thread's. */
  #sleep(): void {
    // Acquire as in tryLock; as a store it says that another thread waits, and pairs with the exchange in
    // unlock, which reads it.
    for (;;) {
      const seen = Atomics.exchange(this.#words, this.#index, HELD_WITH_WAITERS);
      if (seen === FREE) return;
      if (!isState(seen)) {
        // Put back for the next thread to see; one that has gone to sleep meanwhile looks again within a
        // second.
        Atomics.compareExchange(this.#words, this.#index, HELD_WITH_WAITERS, seen);
        throw overwritten('mutex', this.#index, seen);
      }
      // Returns at once unless the word still says so: no wake-up between the exchange and the wait is lost.
      // Pairs with the notify in unlock.
      Atomics.wait(this.#words, this.#index, HELD_WITH_WAITERS, LOOK_AGAIN_MS);
    }
  }
}

/** Whether a mutex can hold this. */
function isState(word: number): boolean {
  return word === FREE || word === HELD || word === HELD_WITH_WAITERS;
}
