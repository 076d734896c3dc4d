/**
 * C's `malloc` family, and what mimalloc has added to it, on whatever blocks can be allocated from: a thread,
 * or one of its further heaps.
 *
 * ```
 *   MallocFamily ◀─ Tld ◀─ MiMallocCore ◀─ MiMalloc        a thread: its backing heap
 *        ▲                                                 one word decides: `heap`
 *        └───────────── MiHeapCore ◀───── MiHeap           a heap of the thread
 * ```
 *
 * Only `malloc` and `free` are fast paths and stand in those classes; everything here is made of them and of
 * the generic path. No method throws for lack of memory, the answer is 0; all throw TypeError or RangeError
 * for what is no size or no address.
 */

import {
  type Address,
  AllocError,
  checkAlign,
  checkInteger,
  type GlobalAllocator,
  isPowerOfTwo,
  MAX_BYTES,
  type Word,
} from '@shmalloc/allocator-api';
import { mallocAligned } from '../alloc/aligned.ts';
import { expandInPlace, reallocBlock } from '../alloc/realloc.ts';
import { SMALL_SIZE_MAX } from '../layout/bins.ts';
import { goodSizeOf, usableAt, usableOf } from '../page/usable.ts';
import { zeroBlock, zeroFrom } from '../page/zeroed.ts';
import type { Tld } from '../thread/tld.ts';

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

/** POSIX wants multiples of a pointer's size: an address has 32 bits. */
const POINTER_BYTES = 4;

/** The bytes of an array; what exceeds the address space is a size that no region has. */
function bytesOf(count: number, size: number): number {
  return Math.min(checkInteger('count', count) * checkInteger('size', size), MAX_BYTES);
}

/** Every block's address is a multiple of 8, so an offset has to be. */
function checkOffset(offset: number): number {
  if (checkInteger('offset', offset) % 8 !== 0) {
    throw new AllocError('InvalidParam', `offset must be a multiple of 8, got ${offset}`);
  }
  return offset;
}

/**
 * The allocation functions. All are lock-free; in a steady state none waits for another thread, none makes
 * garbage, and a block costs what `malloc` and `free` cost, plus what is copied or zeroed.
 * @public
 */
export abstract class MallocFamily implements GlobalAllocator {
  /** @internal */
  abstract readonly tld: Tld;
  /**
   * The record of the heap that blocks come from.
   * @internal
   */
  abstract heap: Word;

  /**
   * Hands out a block. Lock-free; O(1) but for one call in some dozens, which looks at up to four pages or
   * makes a new one.
   * @param size - bytes; 0 gives a unique address
   * @returns the block, aligned to 16 (to 8 below 16 bytes), or 0 when there is no memory
   * @throws TypeError or RangeError when `size` is no non-negative integer
   */
  abstract malloc(size: number): Address;

  /**
   * Gives a block back, whichever thread and heap it is from. Lock-free; O(1).
   * @param address - a block, or 0, which is ignored; or a view that `mallocAs` made. Anything else is
   *   reported through the error hook, as is a second free where it can be told; nothing is corrupted by it.
   */
  abstract free(address: Address | ArrayBufferView): void;

  /**
   * `free` that says why not instead of reporting it.
   * @param address - as for `free`
   * @returns null when the block is back; else what is wrong with the address, and nothing has changed
   */
  abstract tryFree(address: Address | ArrayBufferView): AllocError | null;

  // ── Zeroed ──

  /**
   * Hands out a block of zeros.
   * @param size - bytes
   * @returns the block, or 0
   */
  zalloc(size: number): Address {
    return zeroBlock(this.tld, this.malloc(size), size);
  }

  /**
   * Hands out an array of zeros.
   * @param count - elements
   * @param size - bytes of one
   * @returns the block, or 0, also when the product exceeds the address space
   */
  calloc(count: number, size: number): Address {
    return this.zalloc(bytesOf(count, size));
  }

  /**
   * `malloc` for sizes that the program knows to be small.
   * @param size - bytes, at most 1024
   * @returns the block, or 0
   * @throws AllocError `InvalidParam` for a larger size
   */
  mallocSmall(size: number): Address {
    if (checkInteger('size', size) > SMALL_SIZE_MAX) {
      throw new AllocError('InvalidParam', `mallocSmall takes at most ${SMALL_SIZE_MAX} bytes, got ${size}`);
    }
    return this.malloc(size);
  }

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
  realloc(address: Address, size: number): Address {
    return this.tld.answer(this.tryRealloc(address, size));
  }

  /**
   * `realloc` that says why not.
   * @param address - a block, or 0 to allocate one
   * @param size - bytes
   * @returns the block, 0 when there is no memory, or what is wrong with the address; then the old block is
   *   as it was
   */
  tryRealloc(address: Address, size: number): Address | AllocError {
    return reallocBlock(this.tld, this.heap, address, size);
  }

  /**
   * The same for a block that `zalloc` or `calloc` made: what it grows by is zero. Right as long as only this
   * function has changed its size.
   * @param address - such a block, or 0 to allocate one
   * @param size - bytes
   * @returns as {@link MallocFamily.realloc}
   */
  rezalloc(address: Address, size: number): Address {
    const before = address === 0 ? 0 : usableAt(this.tld, address);
    return zeroFrom(this.tld, this.realloc(address, size), Math.min(before, size));
  }

  /**
   * The same for an array.
   * @param address - a block of `calloc`, or 0 to allocate one
   * @param count - elements
   * @param size - bytes of one
   * @returns as {@link MallocFamily.realloc}; 0 when the product exceeds the address space
   */
  recalloc(address: Address, count: number, size: number): Address {
    return this.rezalloc(address, bytesOf(count, size));
  }

  /**
   * `realloc` that frees the old block when it cannot give a new one (BSD's `reallocf`).
   * @param address - a block, or 0 to allocate one
   * @param size - bytes
   * @returns the block, or 0, and then there is none any more
   */
  reallocf(address: Address, size: number): Address {
    const block = this.realloc(address, size);
    // What is no block was reported by `realloc`.
    if (block === 0 && usableAt(this.tld, address) >= 0) this.free(address);
    return block;
  }

  /**
   * Gives a block another size if it can stay where it is.
   * @param address - a block
   * @param size - bytes
   * @returns `address`, or 0 when the block would have to move, and then it is as it was
   */
  expand(address: Address, size: number): Address {
    return expandInPlace(this.tld, address, size);
  }

  /**
   * What `usableSize` would say of a new block, without allocating one.
   * @param size - bytes
   * @returns bytes, at least `size`
   */
  goodSize(size: number): number {
    return goodSizeOf(this.tld, checkInteger('size', size));
  }

  /**
   * How much of a block may be used. O(1).
   * @param address - a block
   * @returns bytes, at least what was asked for; 0 for 0, and for an address that is no block's, which is
   *   reported
   */
  usableSize(address: Address): number {
    return this.tld.answer(this.tryUsableSize(address));
  }

  /**
   * `usableSize` that says why not.
   * @param address - a block, or 0
   * @returns bytes, or what is wrong with the address
   */
  tryUsableSize(address: Address): number | AllocError {
    return usableOf(this.tld, address);
  }

  // ── Aligned ──

  /**
   * Hands out a block at a multiple of `align`.
   * @param size - bytes, not necessarily a multiple of `align`
   * @param align - bytes, a power of two
   * @returns the block, or 0
   * @throws AllocError `InvalidParam` when `align` is no power of two
   */
  mallocAligned(size: number, align: number): Address {
    return this.mallocAlignedAt(size, align, 0);
  }

  /**
   * Hands out a block of which a certain byte lies at a multiple of `align`: `address + offset` does.
   * @param size - bytes
   * @param align - bytes, a power of two
   * @param offset - bytes, a multiple of 8 as all addresses are (mimalloc takes any)
   * @returns the block, or 0
   * @throws AllocError `InvalidParam` for a wrong `align` or `offset`
   */
  mallocAlignedAt(size: number, align: number, offset: number): Address {
    checkInteger('size', size);
    return mallocAligned(this.tld, this.heap, size, checkAlign('align', align), checkOffset(offset));
  }

  /** {@link MallocFamily.mallocAligned} with zeros. */
  zallocAligned(size: number, align: number): Address {
    return this.zallocAlignedAt(size, align, 0);
  }

  /** {@link MallocFamily.mallocAlignedAt} with zeros. */
  zallocAlignedAt(size: number, align: number, offset: number): Address {
    return zeroFrom(this.tld, this.mallocAlignedAt(size, align, offset), 0);
  }

  /** {@link MallocFamily.calloc} at a multiple of `align`. */
  callocAligned(count: number, size: number, align: number): Address {
    return this.zallocAlignedAt(bytesOf(count, size), align, 0);
  }

  /** {@link MallocFamily.calloc} aligned as by {@link MallocFamily.mallocAlignedAt}. */
  callocAlignedAt(count: number, size: number, align: number, offset: number): Address {
    return this.zallocAlignedAt(bytesOf(count, size), align, offset);
  }

  /** {@link MallocFamily.realloc} to a multiple of `align`, whatever the block was aligned to before. */
  reallocAligned(address: Address, size: number, align: number): Address {
    return this.reallocAlignedAt(address, size, align, 0);
  }

  /** {@link MallocFamily.realloc} aligned as by {@link MallocFamily.mallocAlignedAt}. */
  reallocAlignedAt(address: Address, size: number, align: number, offset: number): Address {
    const { tld, heap } = this;
    checkAlign('align', align);
    return tld.answer(reallocBlock(tld, heap, address, size, align, checkOffset(offset), 'reallocAligned'));
  }

  /** {@link MallocFamily.rezalloc} to a multiple of `align`. */
  rezallocAligned(address: Address, size: number, align: number): Address {
    return this.rezallocAlignedAt(address, size, align, 0);
  }

  /** {@link MallocFamily.rezalloc} aligned as by {@link MallocFamily.mallocAlignedAt}. */
  rezallocAlignedAt(address: Address, size: number, align: number, offset: number): Address {
    const before = address === 0 ? 0 : usableAt(this.tld, address);
    return zeroFrom(this.tld, this.reallocAlignedAt(address, size, align, offset), Math.min(before, size));
  }

  /** {@link MallocFamily.recalloc} to a multiple of `align`. */
  recallocAligned(address: Address, count: number, size: number, align: number): Address {
    return this.rezallocAlignedAt(address, bytesOf(count, size), align, 0);
  }

  /** {@link MallocFamily.recalloc} aligned as by {@link MallocFamily.mallocAlignedAt}. */
  recallocAlignedAt(address: Address, count: number, size: number, align: number, offset: number): Address {
    return this.rezallocAlignedAt(address, bytesOf(count, size), align, offset);
  }

  /**
   * C11's `aligned_alloc`: {@link MallocFamily.mallocAligned} with the alignment first.
   * @param align - bytes, a power of two
   * @param size - bytes, not necessarily a multiple of `align`
   */
  alignedAlloc(align: number, size: number): Address {
    return this.mallocAlignedAt(size, align, 0);
  }

  /**
   * POSIX's `posix_memalign`: errors are answers, not exceptions, except for what is no number of bytes.
   * @param align - bytes
   * @param size - bytes
   * @returns `EINVAL` when `align` is no power of two of 4 or more, which a pointer has here, `ENOMEM` when
   *   there is no memory
   */
  posixMemalign(align: number, size: number): PosixMemalign {
    if (!isPowerOfTwo(align) || align < POINTER_BYTES) return { error: 'EINVAL', address: 0 };
    const address = this.alignedAlloc(align, size);
    return { error: address === 0 ? 'ENOMEM' : 0, address };
  }
}
