/**
 * The borrow flag: one word that counts readers or marks a writer.
 *
 * ```
 *    address                                     +4
 *    ├────────────────────────────────────────────┤
 *    │  −1 WRITER · 0 UNUSED · n > 0 readers      │
 *    └────────────────────────────────────────────┘
 *
 *        claimWrite                claimRead        claimRead
 *    −1 ◀───────────  0  ───────────────▶  1  ─────────────▶  2  …  2^31 − 1
 *       ───────────▶     ◀───────────────     ◀─────────────
 *        releaseWrite              releaseRead      releaseRead
 * ```
 *
 * It is the flag of Rust's `RefCell` made atomic (there `Cell<isize>`, here an AtomicIsize of a 32-bit
 * machine). Nothing waits here: a claim that cannot be met is refused.
 */

import type { Address, SharedMemory } from '@shmalloc/allocator-api';
import { BorrowError } from './borrow-error.ts';
import { ReleaseError } from './release-error.ts';
import { wordIndex } from './word.ts';

const WRITER = -1;
const UNUSED = 0;
const MAX_READERS = 0x7fff_ffff;

/**
 * What guards a value against a reader beside a writer. {@link BorrowFlag} does it for threads, the one in a
 * {@link RefCell} for one.
 * @public
 */
export interface Claims {
  /** The word: −1 a writer, 0 unused, otherwise the number of readers. Outdated as soon as it is read. */
  readonly state: number;
  /**
   * Asks to read.
   * @returns the state it met: granted when that is ≥ 0
   * @throws BorrowError when no more readers can be counted
   */
  claimRead(): number;
  /**
   * Asks to write.
   * @returns the state it met: granted when that is 0
   */
  claimWrite(): number;
  /**
   * Gives back what `claimRead` granted.
   * @throws ReleaseError when there is no reader; the word stays as it is
   */
  releaseRead(): void;
  /**
   * Gives back what `claimWrite` granted.
   * @throws ReleaseError when there is no writer; the word stays as it is
   */
  releaseWrite(): void;
}

/**
 * The state after one more reader.
 * @throws BorrowError when no more can be counted: counting on would turn 2^31 − 1 readers into a negative
 *   number, a writer
 */
export function oneReaderMore(state: number): number {
  if (state === MAX_READERS) throw new BorrowError(state);
  return state + 1;
}

/** The error of a release of what no thread holds. */
export function wrongRelease(kind: 'reader' | 'writer', address: Address, state: number): ReleaseError {
  return new ReleaseError(`the borrow flag at ${address} has no ${kind} to release, its state is ${state}`);
}

/**
 * Readers or one writer, counted in a shared word.
 *
 * @example
 * ```ts
 * const flag = new BorrowFlag(memory, 64);
 * if (flag.tryWrite()) {
 *   try { memory.i32[32]++; } finally { flag.releaseWrite(); }
 * }
 * ```
 * @public
 */
export class BorrowFlag implements Claims {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #index: number;

  /**
   * @param memory - the memory that holds the flag
   * @param address - bytes, a multiple of 4; the word there is the flag, 0 when it is fresh
   */
  constructor(memory: SharedMemory, address: Address) {
    this.#index = wordIndex(memory, address);
    this.#words = memory.i32;
  }

  /**
   * The word: −1 a writer, 0 unused, otherwise the number of readers. Outdated as soon as it is read.
   *
   * Progress: wait-free. Cost: one atomic load.
   */
  get state(): number {
    return Atomics.load(this.#words, this.#index);
  }

  /**
   * Asks to read.
   *
   * Progress: lock-free: a retry means that another thread's claim or release went through. Cost: one
   * `compareExchange` for the first reader, two for one that comes beside others.
   * @returns the state it met: granted when that is ≥ 0
   * @throws BorrowError when no more readers can be counted
   */
  claimRead(): number {
    let met: number = UNUSED;
    while (met >= 0) {
      // Acquire: pairs with the exchange in releaseWrite, and receives everything the last writer wrote.
      const state = Atomics.compareExchange(this.#words, this.#index, met, oneReaderMore(met));
      if (state === met) return met;
      // The exchange tells what it found and changes no variable of ours: this line is the reload.
      met = state;
    }
    return met;
  }

  /**
   * Asks to write.
   *
   * Progress: wait-free. Cost: one `compareExchange`.
   * @returns the state it met: granted when that is 0
   */
  claimWrite(): number {
    // Acquire: pairs with the exchange in releaseWrite, and with each in releaseRead: no reader still reads.
    return Atomics.compareExchange(this.#words, this.#index, UNUSED, WRITER);
  }

  /**
   * Becomes a reader unless there is a writer. Progress and cost of {@link BorrowFlag.claimRead}.
   * @returns whether the calling thread may read now
   * @throws BorrowError when no more readers can be counted
   */
  tryRead(): boolean {
    return this.claimRead() >= 0;
  }

  /**
   * Becomes the writer unless there is anybody. Progress and cost of {@link BorrowFlag.claimWrite}.
   * @returns whether the calling thread may write now
   */
  tryWrite(): boolean {
    return this.claimWrite() === UNUSED;
  }

  /**
   * One reader less.
   *
   * Progress: lock-free. Cost: one load and one `compareExchange`. A subtraction would be wait-free, but
   * would have changed the word by the time it finds out that there was no reader.
   * @throws ReleaseError when there is no reader; the word stays as it is
   */
  releaseRead(): void {
    let readers = Atomics.load(this.#words, this.#index);
    while (readers > 0) {
      // Release: pairs with the exchange in claimWrite: our reads are done before a writer starts. Publishes
      // nothing else.
      const state = Atomics.compareExchange(this.#words, this.#index, readers, readers - 1);
      if (state === readers) return;
      readers = state;
    }
    throw wrongRelease('reader', this.#index * 4, readers);
  }

  /**
   * No writer any more.
   *
   * Progress: wait-free. Cost: one `compareExchange`.
   * @throws ReleaseError when there is no writer; the word stays as it is
   */
  releaseWrite(): void {
    // Release: pairs with the exchanges in claimRead and claimWrite, and publishes everything the writer
    // wrote.
    const state = Atomics.compareExchange(this.#words, this.#index, WRITER, UNUSED);
    if (state !== WRITER) throw wrongRelease('writer', this.#index * 4, state);
  }
}
