/**
 * The allocator behind a borrow flag: what a kernel's global allocator looks like when its `Mutex` is taken
 * away and honesty is kept.
 *
 * ```
 *    MiAllocator (one per thread)             shared words            the allocator, in the region
 *    ┌──────────────────────────────┐
 *    │ borrow: BorrowFlag ──────────┼──────▶  flag · last holder
 *    │ data: UnsafeCell<Inner> ─────┼──────────────────────────────▶  header, lists, blocks
 *    └──────────────────────────────┘
 *          alloc, dealloc, init, addMemory:  innerMut(), one writer
 *          totalBytes, usedBytes, …:         inner(), many readers
 * ```
 *
 * The allocator interface is implemented on the wrapper, so that nothing reaches the inner allocator but
 * through a checked borrow, and every borrow ends with the call, however the call ends.
 */

import type { Address, BaseAllocator, ByteAllocator, Layout, SharedMemory } from '@shmalloc/allocator-api';
import { AtomicRefCell } from './atomic-ref-cell.ts';
import type { BorrowOptions } from './borrow-cell.ts';
import type { BorrowFlag } from './borrow-flag.ts';
import type { Ref, RefMut } from './borrow-guard.ts';
import type { UnsafeCell } from './unsafe-cell.ts';

/**
 * What a {@link MiAllocator} can wrap: an allocator for one thread at a time whose state lies in shared
 * memory, so that each thread has an object of its own over the same heap.
 * @public
 */
export interface MiAllocatorInner
  extends BaseAllocator,
    Omit<ByteAllocator, 'allocLayout' | 'deallocLayout'> {}

/**
 * A byte allocator that several threads can hold and one at a time can use. A thread that comes while another
 * one is inside gets a `BorrowMutError` that names it, not a corrupt heap, and no thread ever waits. Trying
 * again is the caller's business.
 *
 * @example
 * ```ts
 * const allocator = MiAllocator.new(memory, 64, heap, { threadId: 1 });
 * const block = allocator.alloc(100, 16);
 * allocator.dealloc(block, 100, 16);
 * ```
 * @public
 */
export class MiAllocator implements ByteAllocator {
  readonly #cell: AtomicRefCell<MiAllocatorInner>;

  private constructor(cell: AtomicRefCell<MiAllocatorInner>) {
    this.#cell = cell;
  }

  /**
   * Wraps an allocator. Every thread does this for itself, with the same words and its own object of the same
   * heap.
   * @param memory - the memory that holds the wrapper's words
   * @param address - bytes, a multiple of 4; two words: the flag and the last holder, zero when they are
   *   fresh
   * @param inner - the allocator
   * @param options - the calling thread's id
   */
  static new(
    memory: SharedMemory,
    address: Address,
    inner: MiAllocatorInner,
    options: BorrowOptions = {},
  ): MiAllocator {
    return new MiAllocator(new AtomicRefCell(memory, address, inner, options));
  }

  /** Counts the readers or marks the writer. */
  get borrow(): BorrowFlag {
    return this.#cell.flag;
  }

  /** The allocator itself, behind no check. */
  get data(): UnsafeCell<MiAllocatorInner> {
    return this.#cell.data;
  }

  /**
   * Borrows the allocator for writing, for several operations in a row.
   *
   * Progress: never waits. Cost: one `compareExchange`, a plain store and a guard object.
   * @throws BorrowMutError when any thread, this one included, has it borrowed
   */
  innerMut(): RefMut<MiAllocatorInner> {
    return this.#cell.borrowMut();
  }

  /**
   * Borrows the allocator for reading: its totals, nothing that changes it.
   *
   * Progress: never waits, lock-free. Cost: one or two `compareExchange`, a plain store and a guard object.
   * @throws BorrowError when a thread has it borrowed for writing
   */
  inner(): Ref<MiAllocatorInner> {
    return this.#cell.borrow();
  }

  /**
   * Forgets everything and manages `[start, start + size)` alone. Progress and cost: those of `innerMut` and
   * the inner allocator.
   * @param start - bytes into the region
   * @param size - bytes
   * @throws BorrowMutError when it is borrowed; what the inner allocator throws
   */
  init(start: Address, size: number): void {
    const inner = this.innerMut();
    try {
      inner.value.init(start, size);
    } finally {
      inner.release();
    }
  }

  /**
   * Manages `[start, start + size)` as well. Progress and cost: those of `innerMut` and the inner allocator.
   * @param start - bytes into the region
   * @param size - bytes
   * @throws BorrowMutError when it is borrowed; what the inner allocator throws
   */
  addMemory(start: Address, size: number): void {
    const inner = this.innerMut();
    try {
      inner.value.addMemory(start, size);
    } finally {
      inner.release();
    }
  }

  /**
   * Allocates a block. Progress and cost: those of `innerMut` and the inner allocator.
   * @param size - bytes
   * @param align - bytes, a power of two
   * @returns the block's address
   * @throws BorrowMutError when it is borrowed; what the inner allocator throws
   */
  alloc(size: number, align: number): Address {
    const inner = this.innerMut();
    try {
      return inner.value.alloc(size, align);
    } finally {
      inner.release();
    }
  }

  /**
   * Gives a block back. Progress and cost: those of `innerMut` and the inner allocator.
   * @param address - what `alloc` returned
   * @param size - bytes, what `alloc` was given
   * @param align - bytes, what `alloc` was given
   * @throws BorrowMutError when it is borrowed; what the inner allocator throws
   */
  dealloc(address: Address, size: number, align: number): void {
    const inner = this.innerMut();
    try {
      inner.value.dealloc(address, size, align);
    } finally {
      inner.release();
    }
  }

  /** `alloc` of a layout. */
  allocLayout({ size, align }: Layout): Address {
    return this.alloc(size, align);
  }

  /** `dealloc` of a layout. */
  deallocLayout(address: Address, { size, align }: Layout): void {
    this.dealloc(address, size, align);
  }

  /**
   * Bytes under management. Progress and cost: those of `inner` and the inner allocator.
   * @throws BorrowError when a thread has it borrowed for writing
   */
  totalBytes(): number {
    return this.#read((inner) => inner.totalBytes());
  }

  /**
   * Bytes in blocks that are handed out. Progress and cost: those of `inner` and the inner allocator.
   * @throws BorrowError when a thread has it borrowed for writing
   */
  usedBytes(): number {
    return this.#read((inner) => inner.usedBytes());
  }

  /**
   * Bytes that are not in use. Progress and cost: those of `inner` and the inner allocator.
   * @throws BorrowError when a thread has it borrowed for writing
   */
  availableBytes(): number {
    return this.#read((inner) => inner.availableBytes());
  }

  #read(total: (inner: MiAllocatorInner) => number): number {
    const inner = this.inner();
    try {
      return total(inner.value);
    } finally {
      inner.release();
    }
  }
}
