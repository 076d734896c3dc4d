/**
 * The checked cell for one thread. Its two words are drawn in `borrow-cell.ts`.
 */

import type { Address, SharedMemory } from '@shmalloc/allocator-api';
import { BorrowCell, type BorrowOptions } from './borrow-cell.ts';
import { type Claims, oneReaderMore, wrongRelease } from './borrow-flag.ts';
import { UnsafeCell } from './unsafe-cell.ts';
import { wordIndex } from './word.ts';

/**
 * The states and transitions of `BorrowFlag`, with plain loads and stores: 1 ns each instead of 17–27, and no
 * use between threads.
 */
class PlainFlag implements Claims {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #index: number;

  constructor(memory: SharedMemory, address: Address) {
    this.#index = wordIndex(memory, address);
    this.#words = memory.i32;
  }

  get state(): number {
    return this.#words[this.#index];
  }

  claimRead(): number {
    const met = this.state;
    if (met >= 0) this.#words[this.#index] = oneReaderMore(met);
    return met;
  }

  claimWrite(): number {
    const met = this.state;
    // Here is the gap: two threads that both met 0 both write −1, and both go on.
    if (met === 0) this.#words[this.#index] = -1;
    return met;
  }

  releaseRead(): void {
    const met = this.state;
    if (met <= 0) throw wrongRelease('reader', this.#index * 4, met);
    this.#words[this.#index] = met - 1;
  }

  releaseWrite(): void {
    const met = this.state;
    if (met !== -1) throw wrongRelease('writer', this.#index * 4, met);
    this.#words[this.#index] = 0;
  }
}

/**
 * A value that may be read several times over or written once at a time, checked at run time, **for one
 * thread**.
 *
 * Its flag lies in shared memory like that of {@link AtomicRefCell}, but is read and written plainly. A
 * second thread that comes later is refused as it should be; one that comes at the same moment may be let in,
 * because a load and a store are two steps. That is the lesson of this cell: it fails rarely, so it passes
 * for right.
 *
 * @example
 * ```ts
 * const cell = new RefCell(memory, 64, memory.view('f64', 128, 16));
 * const first = cell.borrow();
 * cell.tryBorrowMut(); // undefined: first still reads
 * first.release();
 * ```
 * @public
 */
export class RefCell<T> extends BorrowCell<T> {
  /**
   * @param memory - the memory that holds the cell's words
   * @param address - bytes, a multiple of 4; the two words there are the cell, zero when it is fresh
   * @param value - the value
   * @param options - the calling thread's id
   */
  constructor(memory: SharedMemory, address: Address, value: T, options: BorrowOptions = {}) {
    super(memory, address, new PlainFlag(memory, address), new UnsafeCell(value), options);
  }
}
