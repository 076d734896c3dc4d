/**
 * The list of blocks that threads hand to one another: push one, take all.
 *
 * ```
 *    address
 *    ├────────┤     ├────────┬──────────────┤     ├────────┬──────────────┤
 *    │  head  │ ──▶ │  next  │  …           │ ──▶ │  0     │  …           │
 *    └────────┘     └────────┴──────────────┘     └────────┴──────────────┘
 *       +4             +4       rest of the block, untouched
 * ```
 *
 * **No ABA.** Treiber's stack (1986) is wrong with single pops: a popper holds `head` and its `next`, others
 * pop both and push `head` back, and the popper's exchange succeeds with a `next` that is no longer in the
 * list. Here no thread pops one: a take exchanges the head for NULL and depends on no `next`, and a push that
 * succeeds has, by the exchange, linked to what is the head now, no matter whether the same block was away in
 * between.
 */

import { type Address, AllocError, isAligned, NULL, type SharedMemory } from '@shmalloc/allocator-api';
import { AtomicBlockPtr } from './atomic-block-ptr.ts';
import { toWord, WORD_BYTES } from './word.ts';

/**
 * A lock-free list that any thread adds a block to and any thread takes as a whole. The links lie in the
 * blocks, so it takes no memory.
 *
 * @example
 * ```ts
 * const freed = new AtomicBlockList(memory, 64);
 * freed.push(block);
 * for (let block = freed.takeAll(); block !== 0; ) {
 *   const next = freed.next(block); // before the block is used again: the link lies in it
 *   heap.free(block);
 *   block = next;
 * }
 * ```
 * @public
 */
export class AtomicBlockList {
  /** The first block, the one pushed last. */
  readonly head: AtomicBlockPtr;
  readonly #memory: SharedMemory;

  /**
   * @param memory - the memory that holds the head, and the blocks
   * @param address - bytes, a multiple of 4; the word there is the head, 0 when the list is fresh
   */
  constructor(memory: SharedMemory, address: Address) {
    this.head = new AtomicBlockPtr(memory, address);
    this.#memory = memory;
  }

  /**
   * Adds a block in front. Its first word becomes the link; it belongs to the list until it is taken.
   *
   * Progress: lock-free: a retry means that another push or take went through. Cost: one load, one plain
   * store, one `compareExchange`.
   * @param block - bytes, a multiple of 4, not 0, not in any list
   * @throws TypeError or RangeError for what is no address, AllocError `InvalidParam` for one that cannot be
   *   a block's; the list stays as it was
   */
  push(block: Address): void {
    const link = this.#linkOf(block);
    let head = this.head.load();
    for (;;) {
      // Plain: no other thread looks at the block before the exchange has published it.
      this.#memory.i32[link] = head | 0;
      // Release: pairs with the swap in takeAll, and publishes the link and all that this thread wrote
      // before. Blocks that are in already stay published, since this exchange reads the one that put them
      // in.
      const found = this.head.compareExchange(head, block);
      if (found === head) return;
      head = found;
    }
  }

  /**
   * Takes every block out.
   *
   * Progress: wait-free. Cost: one load when the list is empty, which leaves the cache line with the pushers;
   * otherwise an `exchange` more.
   * @returns the block pushed last, 0 when there is none; {@link AtomicBlockList.next} leads on
   */
  takeAll(): Address {
    if (this.head.load() === NULL) return NULL;
    // Acquire: pairs with the exchange of each push since the last take, and receives their links and what
    // they wrote before.
    return this.head.swap(NULL);
  }

  /**
   * The block behind this one in a list that has been taken. Only the taker may ask, and before it uses the
   * block again.
   *
   * Progress: wait-free. Cost: one plain load.
   * @param block - a block of the taken list
   * @returns the next block, 0 at the end
   * @throws TypeError or RangeError for what is no address, AllocError `InvalidParam` for one that cannot be
   *   a block's; the list stays as it was
   */
  next(block: Address): Address {
    // Not in one expression: the view would be read before #linkOf may renew it.
    const link = this.#linkOf(block);
    return this.#memory.i32[link] >>> 0;
  }

  /**
   * The index of a block's link. A block may lie in memory that another thread has added: then this thread's
   * views are renewed.
   */
  #linkOf(block: Address): number {
    const link = toWord('block', block) >>> 2;
    if (link >= this.#memory.i32.length) this.#memory.refresh();
    if (link >= this.#memory.i32.length || !isAligned(block, WORD_BYTES) || block === NULL) {
      throw new AllocError(
        'InvalidParam',
        `block must be the address of a word in ${this.#memory.byteLength} bytes of memory, and not 0; got ${block}`,
      );
    }
    return link;
  }
}
