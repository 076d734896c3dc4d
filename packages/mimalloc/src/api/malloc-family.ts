/**
 * C's `malloc` family, and what mimalloc has added to it: what programs can ask of whatever blocks can be
 * allocated from, a thread or one of its further heaps.
 */

import type { Address, AllocError, GlobalAllocator } from '@shmalloc/allocator-api';

/**
 * What {@link MallocFamily.posixMemalign} answers.
 * @public
 */
export interface PosixMemalign {
  /** 0, or the name of what C's function returns. */
  readonly error: 0 | 'EINVAL' | 'ENOMEM';
  /** The block; 0 with an error. */
  readonly address: Address;
}

/**
 * The allocation functions. All are lock-free; in a steady state none waits for another thread, none makes
 * garbage, and a block costs what `malloc` and `free` cost, plus what is copied or zeroed. None throws for
 * lack of memory, the answer is 0; all throw TypeError or RangeError for what is no size or no address.
 * @public
 */
export interface MallocFamily extends GlobalAllocator {
  /**
   * Hands out a block. Lock-free; O(1) but for one call in some dozens, which looks at up to four pages or
   * makes a new one.
   * @param size - bytes; 0 gives a unique address
   * @returns the block, aligned to 16 (to 8 below 16 bytes), or 0 when there is no memory
   * @throws TypeError or RangeError when `size` is no non-negative integer
   */
  malloc(size: number): Address;

  /**
   * Gives a block back, whichever thread and heap it is from. Lock-free; O(1).
   * @param address - a block, or 0, which is ignored; or a view that `mallocAs` made. Anything else is
   *   reported through the error hook, as is a second free where it can be told; nothing is corrupted by it.
   */
  free(address: Address | ArrayBufferView): void;

  /**
   * `free` that says why not instead of reporting it.
   * @param address - as for `free`
   * @returns null when the block is back; else what is wrong with the address, and nothing has changed
   */
  tryFree(address: Address | ArrayBufferView): AllocError | null;

  // ── Zeroed ──

  /**
   * Hands out a block of zeros.
   * @param size - bytes
   * @returns the block, or 0
   */
  zalloc(size: number): Address;

  /**
   * Hands out an array of zeros.
   * @param count - elements
   * @param size - bytes of one
   * @returns the block, or 0, also when the product exceeds the address space
   */
  calloc(count: number, size: number): Address;

  /**
   * `malloc` for sizes that the program knows to be small.
   * @param size - bytes, at most 1024
   * @returns the block, or 0
   * @throws AllocError `InvalidParam` for a larger size
   */
  mallocSmall(size: number): Address;

  // ── Other sizes for a block ──

  /**
   * Gives a block another size, moving it when it must; its first bytes keep their contents. It stays where
   * it is when the new size fits and is at least half of the block, and when a block of more than a page's
   * share finds free memory behind it.
   * @param address - a block, or 0 to allocate one
   * @param size - bytes; 0 still leaves a block, with a unique address
   * @returns the block, or 0, and then the old one is untouched. An address that is no block's is reported,
   *   and the answer is 0.
   */
  realloc(address: Address, size: number): Address;

  /**
   * `realloc` that says why not.
   * @param address - a block, or 0 to allocate one
   * @param size - bytes
   * @returns the block, 0 when there is no memory, or what is wrong with the address; then the old block is
   *   as it was
   */
  tryRealloc(address: Address, size: number): Address | AllocError;

  /**
   * The same for a block that `zalloc` or `calloc` made: what it grows by is zero. Right as long as only this
   * function has changed its size.
   * @param address - such a block, or 0 to allocate one
   * @param size - bytes
   * @returns as {@link MallocFamily.realloc}
   */
  rezalloc(address: Address, size: number): Address;

  /**
   * The same for an array.
   * @param address - a block of `calloc`, or 0 to allocate one
   * @param count - elements
   * @param size - bytes of one
   * @returns as {@link MallocFamily.realloc}; 0 when the product exceeds the address space
   */
  recalloc(address: Address, count: number, size: number): Address;

  /**
   * `realloc` that frees the old block when it cannot give a new one (BSD's `reallocf`).
   * @param address - a block, or 0 to allocate one
   * @param size - bytes
   * @returns the block, or 0, and then there is none any more
   */
  reallocf(address: Address, size: number): Address;

  /**
   * Gives a block another size if it can stay where it is.
   * @param address - a block
   * @param size - bytes
   * @returns `address`, or 0 when the block would have to move, and then it is as it was
   */
  expand(address: Address, size: number): Address;

  /**
   * What `usableSize` would say of a new block, without allocating one.
   * @param size - bytes
   * @returns bytes, at least `size`
   */
  goodSize(size: number): number;

  /**
   * How much of a block may be used. O(1).
   * @param address - a block
   * @returns bytes, at least what was asked for; 0 for 0, and for an address that is no block's, which is
   *   reported
   */
  usableSize(address: Address): number;

  /**
   * `usableSize` that says why not.
   * @param address - a block, or 0
   * @returns bytes, or what is wrong with the address
   */
  tryUsableSize(address: Address): number | AllocError;

  // ── Aligned ──

  /**
   * Hands out a block at a multiple of `align`.
   * @param size - bytes, not necessarily a multiple of `align`
   * @param align - bytes, a power of two
   * @returns the block, or 0
   * @throws AllocError `InvalidParam` when `align` is no power of two
   */
  mallocAligned(size: number, align: number): Address;

  /**
   * Hands out a block of which a certain byte lies at a multiple of `align`: `address + offset` does.
   * @param size - bytes
   * @param align - bytes, a power of two
   * @param offset - bytes, a multiple of 8 as all addresses are (mimalloc takes any)
   * @returns the block, or 0
   * @throws AllocError `InvalidParam` for a wrong `align` or `offset`
   */
  mallocAlignedAt(size: number, align: number, offset: number): Address;

  /** {@link MallocFamily.mallocAligned} with zeros. */
  zallocAligned(size: number, align: number): Address;

  /** {@link MallocFamily.mallocAlignedAt} with zeros. */
  zallocAlignedAt(size: number, align: number, offset: number): Address;

  /** {@link MallocFamily.calloc} at a multiple of `align`. */
  callocAligned(count: number, size: number, align: number): Address;

  /** {@link MallocFamily.calloc} aligned as by {@link MallocFamily.mallocAlignedAt}. */
  callocAlignedAt(count: number, size: number, align: number, offset: number): Address;

  /** {@link MallocFamily.realloc} to a multiple of `align`, whatever the block was aligned to before. */
  reallocAligned(address: Address, size: number, align: number): Address;

  /** {@link MallocFamily.realloc} aligned as by {@link MallocFamily.mallocAlignedAt}. */
  reallocAlignedAt(address: Address, size: number, align: number, offset: number): Address;

  /** {@link MallocFamily.rezalloc} to a multiple of `align`. */
  rezallocAligned(address: Address, size: number, align: number): Address;

  /** {@link MallocFamily.rezalloc} aligned as by {@link MallocFamily.mallocAlignedAt}. */
  rezallocAlignedAt(address: Address, size: number, align: number, offset: number): Address;

  /** {@link MallocFamily.recalloc} to a multiple of `align`. */
  recallocAligned(address: Address, count: number, size: number, align: number): Address;

  /** {@link MallocFamily.recalloc} aligned as by {@link MallocFamily.mallocAlignedAt}. */
  recallocAlignedAt(address: Address, count: number, size: number, align: number, offset: number): Address;

  /**
   * C11's `aligned_alloc`: {@link MallocFamily.mallocAligned} with the alignment first.
   * @param align - bytes, a power of two
   * @param size - bytes, not necessarily a multiple of `align`
   */
  alignedAlloc(align: number, size: number): Address;

  /**
   * POSIX's `posix_memalign`: errors are answers, not exceptions, except for what is no number of bytes.
   * @param align - bytes
   * @param size - bytes
   * @returns `EINVAL` when `align` is no power of two of 4 or more, which a pointer has here, `ENOMEM` when
   *   there is no memory
   */
  posixMemalign(align: number, size: number): PosixMemalign;
}
