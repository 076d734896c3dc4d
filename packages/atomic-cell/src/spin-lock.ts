/**
 * The spin lock: one word, two states.
 *
 * ```
 *    address                       +4
 *    ├──────────────────────────────┤
 *    │  0 FREE · 1 HELD             │
 *    └──────────────────────────────┘
 *           lock: 0 → 1    unlock: 1 → 0
 * ```
 *
 * Test-and-test-and-set (Rudolph & Segall 1984): one that finds it taken looks with loads, which leave the
 * cache line shared, and tries the exchange again only after it was seen free.
 */

import type { Address, SharedMemory } from '@shmalloc/allocator-api';
import { backOff } from './back-off.ts';
import { type Lock, overwritten } from './lock.ts';
import { ReleaseError } from './release-error.ts';
import { wordIndex } from './word.ts';

const FREE = 0;
const HELD = 1;

/**
 * A lock that waits by looking again. Right for sections of well under a microsecond, with no more threads
 * than CPUs, and for threads that may not block.
 *
 * @example
 * ```ts
 * const lock = new SpinLock(memory, 64);
 * lock.lock();
 * try { memory.i32[32]++; } finally { lock.unlock(); }
 * ```
 * @public
 */
export class SpinLock implements Lock {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #index: number;

  /**
   * @param memory - the memory that holds the lock
   * @param address - bytes, a multiple of 4; the word there is the lock, 0 when it is fresh
   */
  constructor(memory: SharedMemory, address: Address) {
    this.#index = wordIndex(memory, address);
    this.#words = memory.i32;
  }

  /**
   * Waits until the lock is free and takes it.
   *
   * Progress: blocking, without sleep and without order: a thread can starve. Cost: one `compareExchange`
   * when it is free (17–27 ns); while it waits, a CPU.
   * @throws AllocError `Corrupted` when the word names no possible holder, which no wait would end
   */
  lock(): void {
    let round = 0;
    while (!this.tryLock()) {
      let seen: number;
      do {
        round = backOff(round);
        // Orders nothing: it only says whether a try is worth it, and leaves the holder its cache line.
        seen = Atomics.load(this.#words, this.#index);
        if (seen !== FREE && seen !== HELD) throw overwritten('spin lock', this.#index, seen);
      } while (seen !== FREE);
    }
  }

  /**
   * Takes the lock if it is free.
   *
   * Progress: wait-free. Cost: one `compareExchange`.
   * @returns whether the calling thread holds it now
   */
  tryLock(): boolean {
    // Acquire: pairs with the exchange in unlock, and receives everything the last holder wrote.
    return Atomics.compareExchange(this.#words, this.#index, FREE, HELD) === FREE;
  }

  /**
   * Gives the lock back.
   *
   * Progress: wait-free. Cost: one `compareExchange`.
   * @throws ReleaseError when it is free; it stays free. AllocError `Corrupted` when something was written
   *   over it; it is free then, since the caller held it
   */
  unlock(): void {
    // Release: pairs with the exchange in tryLock, and publishes everything written while the lock was held.
    // An exchange and not a store, so that the check and the write are one: a free lock is never written to.
    const seen = Atomics.compareExchange(this.#words, this.#index, HELD, FREE);
    if (seen === HELD) return;
    if (seen === FREE)
      throw new ReleaseError(`the spin lock at ${this.#index * 4} is unlocked, but no thread holds it`);
    // No other thread can have it meanwhile: they take FREE alone. If it changes once more, it is as it was
    // found: damaged.
    Atomics.compareExchange(this.#words, this.#index, seen, FREE);
    throw overwritten('spin lock', this.#index, seen);
  }
}
