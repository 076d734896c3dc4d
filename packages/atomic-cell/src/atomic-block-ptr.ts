/**
 * The shared pointer cell: one word that holds a block's address, or 0 for none.
 *
 * ```
 *    address                            +4
 *    ├───────────────────────────────────┤
 *    │  address of a block, or 0 NULL    │   unsigned, 0 … 2^32 − 1
 *    └───────────────────────────────────┘
 * ```
 *
 * The word is read through an `Int32Array`, because that is what V8 keeps without a heap number; addresses of
 * 2 GiB and more arrive negative and leave through `>>> 0`.
 */

import { type Address, SharedMemory } from '@shmalloc/allocator-api';
import { toWord, WORD_BYTES, wordIndex } from './word.ts';

/**
 * An address that several threads read and replace.
 *
 * All operations are sequentially consistent. What a thread wrote before it put an address in, plainly or
 * atomically, is visible to the thread that gets this address out: `store`, `swap` and a `compareExchange`
 * that succeeds publish, and `load`, `swap` and `compareExchange` receive. An address that was taken out and
 * put in again looks as if it had never left (the ABA problem); {@link AtomicBlockList} shows a use that is
 * immune to it.
 *
 * @example
 * ```ts
 * const head = new AtomicBlockPtr(memory, 64);
 * let seen = head.load();
 * for (;;) {
 *   const found = head.compareExchange(seen, block);
 *   if (found === seen) break;
 *   seen = found; // JavaScript's exchange refreshes no variable, unlike C11's
 * }
 * ```
 * @public
 */
export class AtomicBlockPtr {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #index: number;

  /**
   * @param memory - the memory that holds the pointer
   * @param address - bytes, a multiple of 4; the word there is the pointer, 0 (NULL) when it is fresh
   */
  constructor(memory: SharedMemory, address: Address) {
    this.#index = wordIndex(memory, address);
    this.#words = memory.i32;
  }

  /**
   * The pointer.
   *
   * Progress: wait-free. Cost: one atomic load (15–29 ns).
   */
  load(): Address {
    // Acquire: pairs with store, swap and compareExchange of the thread that put this address in; receives
    // what it wrote before.
    return Atomics.load(this.#words, this.#index) >>> 0;
  }

  /**
   * Sets the pointer.
   *
   * Progress: wait-free. Cost: one atomic store (19–35 ns).
   * @param block - a block's address, or 0
   * @throws TypeError, RangeError or AllocError `InvalidParam` for what is no address; the pointer stays as
   *   it was
   */
  store(block: Address): void {
    // Release: pairs with load, swap and compareExchange of the thread that gets it out; publishes what was
    // written before.
    Atomics.store(this.#words, this.#index, toWord('block', block));
  }

  /**
   * Sets the pointer and says what it was.
   *
   * Progress: wait-free. Cost: one `exchange`.
   * @param block - a block's address, or 0
   * @returns the pointer before
   * @throws TypeError, RangeError or AllocError `InvalidParam` for what is no address; the pointer stays as
   *   it was
   */
  swap(block: Address): Address {
    // Acquire of what was in, release of what goes in; pairs with every other operation of this cell.
    return Atomics.exchange(this.#words, this.#index, toWord('block', block)) >>> 0;
  }

  /**
   * Sets the pointer if it is what the caller believes.
   *
   * Progress: wait-free. Cost: one `compareExchange` (17–27 ns).
   * @param expected - what it must be
   * @param block - what it becomes then
   * @returns the pointer before: the exchange took place when that is `expected`. A loop goes on with this
   *   value, not the old one.
   * @throws TypeError, RangeError or AllocError `InvalidParam` for what is no address; the pointer stays as
   *   it was
   */
  compareExchange(expected: Address, block: Address): Address {
    const from = toWord('expected', expected);
    const to = toWord('block', block);
    // Acquire of what was in, whether it succeeds or not; release of what goes in, if it does. Pairs with
    // every operation of this cell.
    return Atomics.compareExchange(this.#words, this.#index, from, to) >>> 0;
  }

  /**
   * A copy by value: a cell of its own, in memory of its own, that holds what this one held at the moment of
   * the call.
   *
   * The two are detached: what is done to one is not seen in the other, and the clone is not seen by other
   * threads. Rust's `AtomicPtr` has no `clone` at all, because it would have to mean either "another name for
   * the same cell" or this. This is what a record with such a field needs in order to be copied as a whole,
   * and right for that: a snapshot to look at. It is no second way to the blocks behind it: one that takes
   * the list out of both, original and clone, gets every block twice.
   *
   * Progress: wait-free. Cost: a load and a new buffer; not for a fast path.
   */
  clone(): AtomicBlockPtr {
    const copy = new AtomicBlockPtr(SharedMemory.create({ bytes: WORD_BYTES, backing: 'sab' }), 0);
    copy.store(this.load());
    return copy;
  }
}
