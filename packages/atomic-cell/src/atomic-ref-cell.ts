/**
 * The checked cell for threads. Its two words are drawn in `borrow-cell.ts`.
 */

import type { Address, SharedMemory } from '@shmalloc/allocator-api';
import { BorrowCell, type BorrowOptions } from './borrow-cell.ts';
import { BorrowFlag } from './borrow-flag.ts';
import { UnsafeCell } from './unsafe-cell.ts';

/**
 * A value that many threads may read or one may write, checked at run time. No thread waits: one that comes
 * at the wrong time is told so. (Trying again until it works is a spin lock in disguise; then take a
 * {@link SpinLock}.)
 *
 * Each thread makes its own cell over the same words, around its own way to the shared value. A thread that
 * is terminated while it holds a borrow keeps it for good; the others get errors, none of them hangs.
 *
 * @example
 * ```ts
 * const cell = new AtomicRefCell(memory, 64, memory.view('f64', 128, 16), { threadId: 1 });
 * const row = cell.borrowMut();
 * try { row.value[0] += 1; } finally { row.release(); }
 * ```
 * @public
 */
export class AtomicRefCell<T> extends BorrowCell<T> {
  /** Counts readers or marks the writer, for all threads. */
  declare readonly flag: BorrowFlag;

  /**
   * @param memory - the memory that holds the cell's words
   * @param address - bytes, a multiple of 4; the two words there are the cell, zero when it is fresh
   * @param value - this thread's way to the shared value
   * @param options - the calling thread's id
   */
  constructor(memory: SharedMemory, address: Address, value: T, options: BorrowOptions = {}) {
    super(memory, address, new BorrowFlag(memory, address), new UnsafeCell(value), options);
  }
}
