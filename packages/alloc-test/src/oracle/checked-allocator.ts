/**
 * An allocator with a witness: every operation goes to the allocator, and what it answers is held against the
 * oracle.
 *
 * The order matters when threads share the heap. A block leaves H *before* the allocator gets it back,
 * because from then on another thread may be given it; a new block enters H *after* the allocator has handed
 * it out. Between the two it is no thread's, so a correct allocator never causes a violation, whatever the
 * interleaving.
 */

import {
  type Address,
  checkInteger,
  defaultAlign,
  type GlobalAllocator,
  NULL,
  type SharedMemory,
} from '@shmalloc/allocator-api';
import type { Oracle } from './oracle.ts';
import { GRANULE, MAX_THREADS } from './shadow.ts';
import { firstDamage, firstNonZero, INTACT, stamp, stampByte } from './stamp.ts';
import type { Operation } from './violation.ts';

/**
 * Where an allocator may hand out blocks.
 * @public
 */
export interface CheckedRange {
  /** The first byte. Default: the start of the region. */
  start?: Address | undefined;
  /** One past the last byte. Default: the end of the region, also after it has grown. */
  end?: Address | undefined;
}

/**
 * One thread's view of an allocator, with every answer checked. Blocks are stamped: the caller does not write
 * into them.
 *
 * Checked are: inside the region, no overlap with any thread's block, aligned (to what was asked for, to the
 * default of `malloc`, and to 8), `usableSize` at least the size, `calloc` zeroed, contents intact at `free`
 * and across `realloc`. What is wrong goes to the oracle; nothing is thrown, except what the allocator
 * throws. Cost: O(1) up to 1 KiB, O(pages) above.
 * @public
 */
export class CheckedAllocator {
  readonly #allocator: GlobalAllocator & { readonly memory: SharedMemory };
  readonly #oracle: Oracle;
  readonly #thread: number;
  readonly #range: CheckedRange;

  /**
   * @param allocator - the allocator under test, attached in this thread
   * @param oracle - the oracle that all threads share
   * @param thread - this thread's number, 0 … 4094, for the messages
   * @param range - where blocks may lie, for an allocator that was also given memory outside its region
   * @throws TypeError or RangeError for a wrong number
   */
  constructor(
    allocator: GlobalAllocator & { readonly memory: SharedMemory },
    oracle: Oracle,
    thread: number,
    range: CheckedRange = {},
  ) {
    if (checkInteger('thread', thread) >= MAX_THREADS) {
      throw new RangeError(`thread must be below ${MAX_THREADS}, got ${thread}`);
    }
    this.#allocator = allocator;
    this.#oracle = oracle;
    this.#thread = thread;
    this.#range = range;
  }

  /**
   * Allocates, checks the answer and stamps the block.
   * @param size - bytes
   * @returns what the allocator gave, wrong or not; 0 when it cannot, or when it gave no number
   */
  malloc(size: number): Address {
    let address: Address;
    try {
      address = this.#allocator.malloc(size);
    } catch (error) {
      return this.#threw('malloc', NULL, size, error);
    }
    if (address === NULL) return NULL;
    if (!this.#accept('malloc', address, size, defaultAlign(size))) return asAddress(address);
    stamp(this.#allocator.memory, address, size);
    return address;
  }

  /**
   * The same for a zeroed array: every byte must be 0.
   * @param count - elements
   * @param size - bytes of one
   * @returns as {@link CheckedAllocator.malloc}; the block's size is `count * size`
   */
  calloc(count: number, size: number): Address {
    const bytes = count * size;
    let address: Address;
    try {
      address = this.#allocator.calloc(count, size);
    } catch (error) {
      return this.#threw('calloc', NULL, bytes, error);
    }
    if (address === NULL) return NULL;
    if (!this.#accept('calloc', address, bytes, defaultAlign(bytes))) return asAddress(address);
    const { memory } = this.#allocator;
    const detail = firstNonZero(memory, address, bytes);
    if (detail !== INTACT) {
      this.#report('not-zeroed', 'calloc', address, bytes, detail, memory.u8[address + detail]);
    }
    stamp(memory, address, bytes);
    return address;
  }

  /**
   * The same at a multiple of `align`.
   * @param align - bytes, a power of two
   * @param size - bytes
   * @returns as {@link CheckedAllocator.malloc}
   */
  alignedAlloc(align: number, size: number): Address {
    let address: Address;
    try {
      address = this.#allocator.alignedAlloc(align, size);
    } catch (error) {
      return this.#threw('alignedAlloc', NULL, size, error);
    }
    if (address === NULL) return NULL;
    if (!this.#accept('alignedAlloc', address, size, align)) return asAddress(address);
    stamp(this.#allocator.memory, address, size);
    return address;
  }

  /**
   * Resizes a block: its stamp must have come along.
   * @param address - a block, or 0
   * @param oldSize - the size it has, in bytes
   * @param _oldAlign - the alignment that it was allocated with; not looked at, since `realloc` owes the new
   *   block only the default
   * @param newSize - bytes
   * @returns as {@link CheckedAllocator.malloc}; after 0 the old block is still there
   */
  realloc(address: Address, oldSize: number, _oldAlign: number, newSize: number): Address {
    const known = address !== NULL && this.#withdraw('realloc', address, oldSize);
    let moved: Address;
    try {
      moved = this.#allocator.realloc(address, newSize);
    } catch (error) {
      return this.#threw('realloc', address, newSize, error);
    }
    const { memory } = this.#allocator;
    if (moved === NULL) {
      // The block has to be as it was, and no other thread's.
      if (known && this.#take('realloc', address, oldSize)) this.#verify('realloc', address, oldSize);
      return NULL;
    }
    if (!this.#accept('realloc', moved, newSize, defaultAlign(newSize))) return asAddress(moved);
    if (known) this.#verify('realloc', moved, Math.min(oldSize, newSize), address, oldSize);
    stamp(memory, moved, newSize);
    return moved;
  }

  /**
   * Verifies a block's stamp and gives it back.
   * @param address - a block, or 0
   * @param size - the size it has, in bytes
   */
  free(address: Address, size: number): void {
    if (address !== NULL) this.#withdraw('free', address, size);
    try {
      this.#allocator.free(address);
    } catch (error) {
      this.#threw('free', address, size, error);
    }
  }

  /** Verifies a block that is about to be given back, and takes it out of H. */
  #withdraw(operation: Operation, address: Address, size: number): boolean {
    const oracle = this.#oracle;
    if (oracle.has(address, size)) {
      this.#verify(operation, address, size);
      if (oracle.release(address, size)) return true;
    }
    if (!oracle.excuse()) this.#report('not-live', operation, address, size);
    return false;
  }

  /** Checks what the allocator handed out. Returns whether the block is in H now and may be written to. */
  #accept(operation: Operation, address: Address, size: number, align: number): boolean {
    if (!this.#isInside(address, size)) {
      this.#report('outside', operation, address, size, this.#start, this.#end);
      if (asAddress(address) !== NULL) this.#oracle.refuse();
      return false;
    }
    if ((address & (align - 1)) !== 0 || (address & (GRANULE - 1)) !== 0) {
      this.#report('misaligned', operation, address, size, Math.max(align, GRANULE));
      // The shadow's unit is 8 bytes: it could not tell such a block from its neighbour.
      if ((address & (GRANULE - 1)) !== 0) {
        this.#oracle.refuse();
        return false;
      }
    }
    const usable = this.#allocator.usableSize(address);
    if (!(usable >= size)) this.#report('usable', operation, address, size, usable);
    return this.#take(operation, address, size);
  }

  /** Enters a block into H, or reports whose bytes it covers. */
  #take(operation: Operation, address: Address, size: number): boolean {
    const oracle = this.#oracle;
    const taken = oracle.claim(this.#thread, address, size);
    if (taken === -1) return true;
    const other = oracle.ownerOf(taken);
    oracle.report({ kind: 'overlap', operation, thread: this.#thread, address, size, other });
    oracle.refuse();
    return false;
  }

  get #start(): Address {
    return this.#range.start ?? this.#allocator.memory.start;
  }

  get #end(): Address {
    return Math.min(this.#range.end ?? this.#allocator.memory.end, this.#oracle.bytes);
  }

  #isInside(address: Address, size: number): boolean {
    const { memory } = this.#allocator;
    if (!Number.isInteger(address) || address < this.#start) return false;
    if (address + size > memory.byteLength) memory.refresh();
    return address + Math.max(size, 1) <= Math.min(this.#end, memory.byteLength);
  }

  /** Compares a block with the stamp it was given, where it was given it. */
  #verify(
    operation: Operation,
    address: Address,
    length: number,
    stampedAt = address,
    stampSize = length,
  ): void {
    const { memory } = this.#allocator;
    // Another thread's block may lie in memory that has come since this one looked.
    if (address + length > memory.byteLength) memory.refresh();
    const detail = firstDamage(memory, address, length, stampedAt, stampSize);
    if (detail === INTACT) return;
    const more = (stampByte(stampedAt, stampSize, detail) << 8) | memory.u8[address + detail];
    this.#report('contents', operation, address, length, detail, more);
  }

  #threw(operation: Operation, address: Address, size: number, error: unknown): never {
    this.#report('threw', operation, address, size);
    throw error;
  }

  #report(
    kind: 'outside' | 'misaligned' | 'contents' | 'usable' | 'not-zeroed' | 'not-live' | 'threw',
    operation: Operation,
    address: Address,
    size: number,
    detail = 0,
    more = 0,
  ): void {
    this.#oracle.report({ kind, operation, thread: this.#thread, address, size, detail, more });
  }
}

/** What a caller can hold on to: a broken allocator may answer `undefined`. */
function asAddress(given: Address): Address {
  return Number.isInteger(given) ? given : NULL;
}
