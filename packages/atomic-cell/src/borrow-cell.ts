/**
 * What `RefCell` and `AtomicRefCell` have in common: two words, and the four ways to borrow.
 *
 * ```
 *    address          +4               +8
 *    ├─────────────────┼────────────────┤
 *    │  borrow flag    │  last holder   │
 *    └─────────────────┴────────────────┘
 *                         0 none yet, or   a thread that gave no id; otherwise the thread's id + 1
 * ```
 *
 * The holder is a hint, written with a plain store after the flag was won and never erased. It decides
 * nothing; it makes the error of the thread that is refused say something. That thread may read it in the
 * moment between the two writes, and then sees the holder before. Beside other readers it names the one that
 * came last, one that may have left already.
 */

import { type Address, AllocError, checkInteger, type SharedMemory } from '@shmalloc/allocator-api';
import { BorrowError, BorrowMutError } from './borrow-error.ts';
import type { Claims } from './borrow-flag.ts';
import { Ref, RefMut } from './borrow-guard.ts';
import type { UnsafeCell } from './unsafe-cell.ts';
import { wordIndex } from './word.ts';

/** Flag and holder. */
const CELL_WORDS = 2;
const HOLDER_WORD = 1;

/** Ids go up to this: one more is stored, as an unsigned word. */
const MAX_THREAD_ID = 2 ** 32 - 2;

/**
 * What a cell with checked borrows can be told when it is made.
 * @public
 */
export interface BorrowOptions {
  /**
   * The calling thread's id, 0 … 2^32 − 2, for the messages of others. Without one they read "a thread that
   * gave no id".
   */
  threadId?: number | undefined;
}

/**
 * A value behind a flag: many readers or one writer. Whether the flag holds between threads depends on the
 * kind of cell.
 * @public
 */
export abstract class BorrowCell<T> {
  /** Counts readers or marks the writer. */
  readonly flag: Claims;
  /** The value itself. Going here passes the flag over. */
  readonly data: UnsafeCell<T>;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #holder: number;
  readonly #self: number;

  /** For the two kinds of cell. */
  protected constructor(
    memory: SharedMemory,
    address: Address,
    flag: Claims,
    data: UnsafeCell<T>,
    options: BorrowOptions,
  ) {
    const { threadId } = options;
    if (threadId !== undefined && checkInteger('threadId', threadId) > MAX_THREAD_ID) {
      throw new AllocError('InvalidParam', `threadId must be at most ${MAX_THREAD_ID}, got ${threadId}`);
    }
    this.#holder = wordIndex(memory, address, CELL_WORDS) + HOLDER_WORD;
    this.#words = memory.i32;
    this.#self = threadId === undefined ? 0 : (threadId + 1) | 0;
    this.flag = flag;
    this.data = data;
  }

  /**
   * The thread that borrowed last, as far as this thread can see: a hint (see the top of this file).
   * Undefined when it gave no id, or no thread has borrowed yet.
   *
   * Progress: wait-free. Cost: one plain load.
   */
  get lastHolder(): number | undefined {
    const stored = this.#words[this.#holder] >>> 0;
    return stored === 0 ? undefined : stored - 1;
  }

  /**
   * Borrows the value for reading.
   *
   * Progress: never waits; see the flag's `claimRead`. Cost: that, a plain store and a guard object.
   * @throws BorrowError when a writer holds it, or no more readers can be counted
   */
  borrow(): Ref<T> {
    const met = this.flag.claimRead();
    if (met < 0) throw new BorrowError(met, this.lastHolder);
    this.#words[this.#holder] = this.#self;
    return new Ref(this.data, this.flag);
  }

  /**
   * Borrows the value for writing.
   *
   * Progress: never waits; see the flag's `claimWrite`. Cost: that, a plain store and a guard object.
   * @throws BorrowMutError when anybody holds it
   */
  borrowMut(): RefMut<T> {
    const met = this.flag.claimWrite();
    if (met !== 0) throw new BorrowMutError(met, this.lastHolder);
    this.#words[this.#holder] = this.#self;
    return new RefMut(this.data, this.flag);
  }

  /**
   * As {@link BorrowCell.borrow}, but a refusal is an answer.
   * @returns the guard; undefined when a writer holds the value
   * @throws BorrowError when no more readers can be counted
   */
  tryBorrow(): Ref<T> | undefined {
    if (this.flag.claimRead() < 0) return undefined;
    this.#words[this.#holder] = this.#self;
    return new Ref(this.data, this.flag);
  }

  /**
   * As {@link BorrowCell.borrowMut}, but a refusal is an answer.
   * @returns the guard; undefined when anybody holds the value
   */
  tryBorrowMut(): RefMut<T> | undefined {
    if (this.flag.claimWrite() !== 0) return undefined;
    this.#words[this.#holder] = this.#self;
    return new RefMut(this.data, this.flag);
  }
}
