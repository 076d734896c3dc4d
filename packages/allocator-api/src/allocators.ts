/**
 * The interfaces that make algorithms interchangeable. The first four are those of ArceOS's `allocator`
 * crate; `GlobalAllocator` is C's `malloc` family. What an operation costs, and whether it may wait for other
 * threads, each algorithm says itself.
 */

import type { Address } from './address.ts';
import type { Layout } from './layout.ts';

/**
 * What every allocator of any kind can do: take memory to manage.
 * @public
 */
export interface BaseAllocator {
  /**
   * Forgets everything and manages `[start, start + size)` alone. A range that is refused changes nothing.
   * @param start - bytes into the region
   * @param size - bytes
   * @throws AllocError `InvalidParam` when the range does not fit, `MemoryOverlap` when it covers the
   *   allocator's own state
   */
  init(start: Address, size: number): void;

  /**
   * Manages `[start, start + size)` as well. A range that is refused changes nothing.
   * @param start - bytes into the region
   * @param size - bytes
   * @throws AllocError `InvalidParam` when the range does not fit, `MemoryOverlap` when some of it is managed
   *   already
   */
  addMemory(start: Address, size: number): void;
}

/**
 * Allocates blocks of any size, the layout given again when a block comes back.
 * @public
 */
export interface ByteAllocator extends BaseAllocator {
  /**
   * Hands out a block.
   * @param size - bytes
   * @param align - bytes, a power of two
   * @returns the block's address, a multiple of `align`
   * @throws AllocError `NoMemory` when nothing free is large enough, `InvalidParam` for a wrong alignment
   */
  alloc(size: number, align: number): Address;

  /**
   * Takes a block back.
   * @param address - what `alloc` returned
   * @param size - bytes, what `alloc` was given
   * @param align - bytes, what `alloc` was given
   * @throws AllocError `NotAllocated` when no such block is handed out
   */
  dealloc(address: Address, size: number, align: number): void;

  /** `alloc` of a layout. */
  allocLayout(layout: Layout): Address;
  /** `dealloc` of a layout. */
  deallocLayout(address: Address, layout: Layout): void;

  /** Bytes under management. */
  totalBytes(): number;
  /** Bytes in blocks that are handed out, the allocator's rounding included. */
  usedBytes(): number;
  /** Bytes that are not in use; a single request may still find no piece that is large enough. */
  availableBytes(): number;
}

/**
 * Allocates runs of pages.
 * @public
 */
export interface PageAllocator extends BaseAllocator {
  /** Bytes in a page. */
  readonly pageSize: number;

  /**
   * Hands out pages in a row.
   * @param count - pages
   * @param align - bytes, a power of two and a multiple of the page size
   * @returns the address of the first page
   * @throws AllocError `NoMemory`, `InvalidParam`
   */
  allocPages(count: number, align: number): Address;

  /**
   * The same at a place of the caller's choice.
   * @param base - where the first page shall lie
   * @returns `base`
   * @throws AllocError `NoMemory` when one of the pages is in use or not managed, `InvalidParam`
   */
  allocPagesAt(base: Address, count: number, align: number): Address;

  /**
   * Takes pages back.
   * @param address - the first page
   * @param count - pages
   * @throws AllocError `NotAllocated`
   */
  deallocPages(address: Address, count: number): void;

  /** Pages under management. */
  totalPages(): number;
  /** Pages that are handed out. */
  usedPages(): number;
  /** Pages that are not. */
  availablePages(): number;
}

/**
 * Allocates small integers (process ids, descriptors). For `init` and `addMemory` a range is one of ids, not
 * of bytes.
 * @public
 */
export interface IdAllocator extends BaseAllocator {
  /**
   * Takes ids in a row.
   * @param count - how many in a row
   * @param align - a power of two that the first is a multiple of
   * @returns the first of them
   * @throws AllocError `NoMemory`, `InvalidParam`
   */
  allocId(count: number, align: number): number;
  /**
   * Takes this id.
   * @throws AllocError `NoMemory` when it is taken
   */
  allocFixedId(id: number): void;
  /**
   * Gives ids back.
   * @param first - the first id
   * @param count - how many in a row
   * @throws AllocError `NotAllocated`
   */
  deallocId(first: number, count: number): void;
  /** Whether this id is taken. */
  isAllocated(id: number): boolean;
  /** Ids under management. */
  size(): number;
  /** Ids that are taken. */
  used(): number;
  /** Ids that are not. */
  available(): number;
}

/**
 * C's `malloc` family over the region. Never throws for lack of memory.
 *
 * A size that is no non-negative integer is a `RangeError` (`TypeError` when it is no number), an alignment
 * that is no power of two an `AllocError`: bad input is a defect of the caller. Running out of memory is not:
 * the answer is 0 and the heap is as it was.
 * @public
 */
export interface GlobalAllocator {
  /**
   * Hands out a block.
   * @param size - bytes; 0 gives a unique address
   * @returns the block, aligned to 16 (to 8 below 16 bytes), or 0
   */
  malloc(size: number): Address;

  /**
   * Hands out a zeroed block.
   * @param count - how many elements
   * @param size - bytes of one
   * @returns a zeroed block of `count * size` bytes, or 0, also when the product exceeds the address space
   */
  calloc(count: number, size: number): Address;

  /**
   * Changes a block's size, moving it when it must; its first bytes keep their contents.
   * @param address - a block, or 0 to allocate one
   * @param size - bytes; 0 still leaves a block
   * @returns the block, or 0, and then the old one is untouched
   */
  realloc(address: Address, size: number): Address;

  /**
   * Hands out a block at a multiple of `align`.
   * @param align - bytes, a power of two
   * @param size - bytes, not necessarily a multiple of `align`
   * @returns the block, or 0
   * @throws AllocError `InvalidParam` when `align` is no power of two
   */
  alignedAlloc(align: number, size: number): Address;

  /**
   * Gives a block back. 0 is ignored; an address that is not handed out is reported and ignored.
   */
  free(address: Address): void;

  /**
   * How much of a block may be used.
   * @returns the bytes that may be used at `address`, at least the size asked for; 0 for 0
   */
  usableSize(address: Address): number;
}
