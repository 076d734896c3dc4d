/**
 * How the `malloc` family is made of `malloc`, `free` and the generic path; only those two are fast paths,
 * and stand in the classes.
 *
 * ```
 *   Family ◀─ CoreThread ◀─ CompleteThread ◀─ InnerThread      a thread: its backing heap
 *      ▲
 *      └───── CoreHeap ◀─── CompleteHeap                       a further heap of the thread
 *
 *   MiMallocCore · MiMalloc · MiAllocatorInner · MiHeap         what programs see of them: interfaces
 * ```
 */

import {
  type Address,
  AllocError,
  checkAlign,
  checkInteger,
  isPowerOfTwo,
  MAX_BYTES,
  type Word,
} from '@shmalloc/allocator-api';
import { mallocAligned } from '../alloc/aligned.ts';
import { expandInPlace, reallocBlock } from '../alloc/realloc.ts';
import { SMALL_SIZE_MAX } from '../layout/bins.ts';
import { goodSizeOf, usableAt, usableOf } from '../page/usable.ts';
import { zeroBlock, zeroFrom } from '../page/zeroed.ts';
import type { Tld } from '../thread/thread-view.ts';
import type { MallocFamily, PosixMemalign } from './malloc-family.ts';

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

/** The family, on the blocks of one heap. */
export abstract class Family implements MallocFamily {
  abstract readonly tld: Tld;
  /** The record of the heap that blocks come from. */
  abstract readonly heap: Word;

  abstract malloc(size: number): Address;

  abstract free(address: Address | ArrayBufferView): void;

  abstract tryFree(address: Address | ArrayBufferView): AllocError | null;

  zalloc(size: number): Address {
    return zeroBlock(this.tld, this.malloc(size), size);
  }

  calloc(count: number, size: number): Address {
    return this.zalloc(bytesOf(count, size));
  }

  mallocSmall(size: number): Address {
    if (checkInteger('size', size) > SMALL_SIZE_MAX) {
      throw new AllocError('InvalidParam', `mallocSmall takes at most ${SMALL_SIZE_MAX} bytes, got ${size}`);
    }
    return this.malloc(size);
  }

  realloc(address: Address, size: number): Address {
    return this.tld.answer(this.tryRealloc(address, size));
  }

  tryRealloc(address: Address, size: number): Address | AllocError {
    return reallocBlock(this.tld, this.heap, address, size);
  }

  rezalloc(address: Address, size: number): Address {
    const before = address === 0 ? 0 : usableAt(this.tld, address);
    return zeroFrom(this.tld, this.realloc(address, size), Math.min(before, size));
  }

  recalloc(address: Address, count: number, size: number): Address {
    return this.rezalloc(address, bytesOf(count, size));
  }

  reallocf(address: Address, size: number): Address {
    const block = this.realloc(address, size);
    // What is no block was reported by `realloc`.
    if (block === 0 && usableAt(this.tld, address) >= 0) this.free(address);
    return block;
  }

  expand(address: Address, size: number): Address {
    return expandInPlace(this.tld, address, size);
  }

  goodSize(size: number): number {
    return goodSizeOf(this.tld, checkInteger('size', size));
  }

  usableSize(address: Address): number {
    return this.tld.answer(this.tryUsableSize(address));
  }

  tryUsableSize(address: Address): number | AllocError {
    return usableOf(this.tld, address);
  }

  mallocAligned(size: number, align: number): Address {
    return this.mallocAlignedAt(size, align, 0);
  }

  mallocAlignedAt(size: number, align: number, offset: number): Address {
    checkInteger('size', size);
    return mallocAligned(this.tld, this.heap, size, checkAlign('align', align), checkOffset(offset));
  }

  zallocAligned(size: number, align: number): Address {
    return this.zallocAlignedAt(size, align, 0);
  }

  zallocAlignedAt(size: number, align: number, offset: number): Address {
    return zeroFrom(this.tld, this.mallocAlignedAt(size, align, offset), 0);
  }

  callocAligned(count: number, size: number, align: number): Address {
    return this.zallocAlignedAt(bytesOf(count, size), align, 0);
  }

  callocAlignedAt(count: number, size: number, align: number, offset: number): Address {
    return this.zallocAlignedAt(bytesOf(count, size), align, offset);
  }

  reallocAligned(address: Address, size: number, align: number): Address {
    return this.reallocAlignedAt(address, size, align, 0);
  }

  reallocAlignedAt(address: Address, size: number, align: number, offset: number): Address {
    const { tld, heap } = this;
    checkAlign('align', align);
    return tld.answer(reallocBlock(tld, heap, address, size, align, checkOffset(offset), 'reallocAligned'));
  }

  rezallocAligned(address: Address, size: number, align: number): Address {
    return this.rezallocAlignedAt(address, size, align, 0);
  }

  rezallocAlignedAt(address: Address, size: number, align: number, offset: number): Address {
    const before = address === 0 ? 0 : usableAt(this.tld, address);
    return zeroFrom(this.tld, this.reallocAlignedAt(address, size, align, offset), Math.min(before, size));
  }

  recallocAligned(address: Address, count: number, size: number, align: number): Address {
    return this.rezallocAlignedAt(address, bytesOf(count, size), align, 0);
  }

  recallocAlignedAt(address: Address, count: number, size: number, align: number, offset: number): Address {
    return this.rezallocAlignedAt(address, bytesOf(count, size), align, offset);
  }

  alignedAlloc(align: number, size: number): Address {
    return this.mallocAlignedAt(size, align, 0);
  }

  posixMemalign(align: number, size: number): PosixMemalign {
    if (!isPowerOfTwo(align) || align < POINTER_BYTES) return { error: 'EINVAL', address: 0 };
    const address = this.alignedAlloc(align, size);
    return { error: address === 0 ? 'ENOMEM' : 0, address };
  }
}
