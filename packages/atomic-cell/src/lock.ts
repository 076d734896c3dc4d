import { AllocError } from '@shmalloc/allocator-api';

/**
 * Mutual exclusion. Everything that one holder wrote, plainly or atomically, before `unlock` is visible to
 * the next holder after `lock`.
 *
 * Neither lock here is re-entrant: a thread that locks twice waits for itself without end. A thread that is
 * terminated between `lock` and `unlock` leaves the lock held for good; that is what every lock-based
 * allocator pays, and why there is one without.
 * @public
 */
export interface Lock {
  /**
   * Returns when the calling thread holds the lock.
   * @throws AllocError `Corrupted` when the word holds what no lock writes: it names no possible holder, and
   *   no wait would end
   */
  lock(): void;

  /**
   * Takes the lock if it is free at this moment; never waits.
   * @returns whether the calling thread holds it now
   */
  tryLock(): boolean;

  /**
   * Gives the lock back.
   * @throws ReleaseError when it is free; it stays free. One that holds it is not recorded, so a thread that
   *   unlocks what another one holds is not noticed.
   */
  unlock(): void;
}

/**
 * The error of a lock whose word holds what no lock has written.
 * @param what - the kind of lock
 * @param index - of its word
 * @param seen - what the word holds
 */
export function overwritten(what: string, index: number, seen: number): AllocError {
  const found = `0x${(seen >>> 0).toString(16)}`;
  return new AllocError(
    'Corrupted',
    `the ${what} at ${index * 4} holds ${found}, which names no holder: it was written over`,
  );
}
