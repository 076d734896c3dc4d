/**
 * The allocator contract kept behind a lock.
 *
 * ```
 *   malloc calloc realloc alignedAlloc free usableSize      alloc dealloc init addMemory      stats validate
 *      └────────────┬──────────────────────┴─────────────────────────┬──────────────────────────────┘
 *                   │   LockedHeap: check arguments, lock, count, report
 *      ┌────────────┴──────────────────────┬─────────────────────────┴──────────────┐
 *   allocate(bytes)  allocateAligned     release(word)  resize  usable           addPool  checkAll
 *                       the algorithm: bare, single-threaded, in words
 * ```
 *
 * Arguments are checked here, at the edge; the algorithm below trusts them. Below the edge a block is named
 * by its first **word** (address / 4): that stays a small integer for all 4 GiB, where an address from the
 * upper half would not.
 *
 * An algorithm that meets something it cannot have written throws, before it writes anything itself
 * (`guarded-heap.ts` has what happens then).
 */

import {
  type Address,
  AllocError,
  checkAlign,
  checkInteger,
  checkRange,
  type Heap,
  type Layout,
  MAX_BYTES,
  type Word,
  wrongLayout,
} from '@shmalloc/allocator-api';
import { Field, headerBytes } from './header.ts';
import { isRequest, isWord, MAX_REQUEST, noBlock } from './requests.ts';
import { SharedHeap } from './shared-heap.ts';

/**
 * The allocator contract behind a lock, for any single-threaded algorithm.
 * @public
 */
export abstract class LockedHeap extends SharedHeap implements Heap {
  // ── What an algorithm gives. All of it runs under the lock, with checked arguments, and throws `Corrupted` for damage. ──

  /** Makes the algorithm's own state that of an empty heap without pools. */
  protected abstract format(): void;
  /** Why `[first, end)` can never be a pool, or null. Changes nothing. */
  protected abstract checkPool(first: Word, end: Word): AllocError | null;
  /**
   * Takes `[first, end)`, which can be one, as a pool.
   * @returns why it cannot now, or null; then nothing has changed
   */
  protected abstract addPool(first: Word, end: Word): AllocError | null;
  /** A block of at least `bytes`, aligned to 16; its first word, or 0. */
  protected abstract allocate(bytes: number): Word;
  /** The same at a multiple of `align` bytes, a power of two above 16. */
  protected abstract allocateAligned(bytes: number, align: number): Word;
  /** Takes a block back; false, and nothing done, when it is none that is handed out. */
  protected abstract release(block: Word): boolean;
  /** Whether a free block starts here, as far as that can be told: for the error of a second free. */
  protected abstract isFreeBlock(block: Word): boolean;
  /** Makes a live block fit `bytes` where it is; false, and nothing done, when it cannot. */
  protected abstract resize(block: Word, bytes: number): boolean;
  /** Bytes that may be used in a block; −1 when it is none that is handed out. */
  protected abstract usable(block: Word): number;
  /**
   * Called outside the lock when nothing free is large enough for a request. An algorithm that knows where to
   * get memory adds it here.
   * @param _size - bytes
   * @param _align - bytes; 0 when none was asked for
   * @returns whether the request is to be tried once more
   */
  protected rescued(_size: number, _align: number): boolean {
    return false;
  }

  // ── The C-style facade ──

  /**
   * Hands out a block.
   * @param size - bytes; 0 gives a unique address
   * @returns the address, a multiple of 16, or 0 when nothing free is large enough
   * @throws TypeError or RangeError when `size` is no non-negative integer
   */
  malloc(size: number): Address {
    if (!isRequest(size)) return this.refuse(size);
    let block: Word;
    try {
      this.enter();
      block = this.allocate(size);
      this.leave();
    } catch (error) {
      return this.damaged('malloc', error);
    }
    return block === 0 ? this.missed(size, 0) : (block << 2) >>> 0;
  }

  /**
   * Hands out a zeroed block.
   * @param count - elements
   * @param size - bytes of each
   * @returns the address, or 0, also when `count * size` exceeds the address space
   */
  calloc(count: number, size: number): Address {
    const bytes = checkInteger('count', count) * checkInteger('size', size);
    if (bytes > MAX_REQUEST) return this.refuse(MAX_BYTES);
    const address = this.malloc(bytes);
    // The block is this thread's own by now: it is zeroed outside the lock. `i32` is read behind the
    // allocation, which has seen the block's pool.
    if (address !== 0) this.i32.fill(0, address >>> 2, (address >>> 2) + Math.ceil(bytes / 4));
    return address;
  }

  /**
   * Changes a block's size: in place when it can, otherwise by moving it.
   * @param address - a live block, or 0 to allocate one
   * @param size - bytes; 0 still leaves a block
   * @returns the block's address, or 0, and then the old block is as it was
   */
  realloc(address: Address, size: number): Address {
    const answer = this.tryRealloc(address, size);
    return typeof answer === 'number' ? answer : this.wrong(answer);
  }

  /**
   * `realloc` that says why not. An error leaves the old block as it was, but for `Corrupted`.
   * @returns the block's address, 0 when there is no memory, or what is wrong
   */
  tryRealloc(address: Address, size: number): Address | AllocError {
    if (address === 0) return this.malloc(size);
    if (!isRequest(size)) return this.refuse(size);
    const block = this.blockAt(address);
    let old = -1;
    let missing: AllocError | null = null;
    try {
      this.enter();
      if (block !== 0) old = this.usable(block);
      const inPlace = old >= 0 && this.resize(block, size);
      if (old < 0) missing = this.notLive('realloc', address, block);
      this.leave();
      if (inPlace) return address;
    } catch (error) {
      return this.corrupted('realloc', error);
    }
    if (missing !== null) return missing;
    const moved = this.malloc(size);
    if (moved === 0) return 0;
    // Whole words: both blocks start at one and have room for it. `i32` is read behind the allocation, which
    // has seen both blocks' pools.
    const words = Math.ceil(Math.min(old, size) / 4);
    this.i32.copyWithin(moved >>> 2, block, block + words);
    this.free(address);
    return moved;
  }

  /**
   * Hands out an aligned block.
   * @param align - bytes, a power of two
   * @param size - bytes
   * @returns a multiple of `align`, or 0
   * @throws AllocError `InvalidParam` when `align` is no power of two
   */
  alignedAlloc(align: number, size: number): Address {
    checkAlign('align', align);
    if (align <= 16) return this.malloc(size);
    if (!isRequest(size)) return this.refuse(size);
    let block: Word;
    try {
      this.enter();
      block = this.allocateAligned(size, align);
      this.leave();
    } catch (error) {
      return this.damaged('alignedAlloc', error);
    }
    return block === 0 ? this.missed(size, align) : (block << 2) >>> 0;
  }

  /**
   * Takes a block back. 0 is ignored. An address that is not handed out goes to the error hook and changes
   * nothing.
   * @param address - what an allocating call returned
   */
  free(address: Address): void {
    const error = this.tryFree(address);
    if (error !== null) this.wrong(error);
  }

  /**
   * `free` that says why not.
   * @param address - what an allocating call returned, or 0
   * @returns null when the block is back; else what is wrong
   */
  tryFree(address: Address): AllocError | null {
    if (address === 0) return null;
    const block = this.blockAt(address);
    try {
      this.enter();
      const released = block !== 0 && this.release(block);
      const error = released ? null : this.notLive('free', address, block);
      this.leave();
      return error;
    } catch (error) {
      return this.corrupted('free', error);
    }
  }

  /**
   * Bytes that may be used at a live block's address. Takes no lock (unless memory was added
   * just now): a live block's size is its owner's alone to change.
   * @returns at least the size asked for; 0 for 0 and for an address that is not handed out, which goes to
   *   the error hook
   */
  usableSize(address: Address): number {
    const answer = this.tryUsableSize(address);
    return typeof answer === 'number' ? answer : this.wrong(answer);
  }

  /**
   * `usableSize` that says why not.
   * @returns bytes, or what is wrong
   */
  tryUsableSize(address: Address): number | AllocError {
    if (address === 0) return 0;
    const block = this.blockAt(address);
    let bytes = -1;
    try {
      if (!this.isCurrent()) {
        // Memory has come since this thread looked last: it looks again, under the lock. (A thread that was
        // handed a block sees the epoch of the block's pool: what the block was handed over by has published
        // it.)
        this.enter();
        this.leave();
      }
      if (block !== 0) bytes = this.usable(block);
      return bytes >= 0 ? bytes : this.notLive('usableSize', address, block);
    } catch (error) {
      return this.corrupted('usableSize', error);
    }
  }

  // ── ArceOS's interface: explicit layouts, errors thrown ──

  /** @inheritDoc @shmalloc/allocator-api#ByteAllocator.alloc */
  alloc(size: number, align: number): Address {
    const address = this.alignedAlloc(align, size);
    if (address === 0) throw new AllocError('NoMemory', `no ${size} bytes aligned to ${align} are free`);
    return address;
  }

  /** @inheritDoc @shmalloc/allocator-api#ByteAllocator.dealloc */
  dealloc(address: Address, size: number, align: number): void {
    checkInteger('size', size);
    checkAlign('align', align);
    const block = this.blockAt(address);
    let refused: AllocError | null = null;
    try {
      this.enter();
      const usable = block === 0 ? -1 : this.usable(block);
      if (usable < 0) refused = this.notLive('dealloc', address, block);
      else if (usable < size || address % align !== 0) refused = wrongLayout(address, usable, size, align);
      else this.release(block);
      this.leave();
    } catch (error) {
      throw this.corrupted('dealloc', error);
    }
    if (refused !== null) throw refused;
  }

  /** @inheritDoc @shmalloc/allocator-api#ByteAllocator.allocLayout */
  allocLayout({ size, align }: Layout): Address {
    return this.alloc(size, align);
  }

  /** @inheritDoc @shmalloc/allocator-api#ByteAllocator.deallocLayout */
  deallocLayout(address: Address, { size, align }: Layout): void {
    this.dealloc(address, size, align);
  }

  /** @inheritDoc @shmalloc/allocator-api#BaseAllocator.init */
  init(start: Address, size: number): void {
    const end = this.checkRange(start, size);
    this.tellNullWrite();
    this.changePools('init', () => {
      // Not `enter`: the pools that there were, and what may have been written over them, do not matter any
      // more.
      this.acquire();
      this.i32 = this.memory.i32;
      const { i32, header } = this;
      for (const field of [Field.total, Field.listed, Field.touched, Field.pools]) i32[header + field] = 0;
      this.format();
      return this.addPool(Math.ceil(start / 4), Math.floor(end / 4));
    });
  }

  /** @inheritDoc @shmalloc/allocator-api#BaseAllocator.addMemory */
  addMemory(start: Address, size: number): void {
    const end = this.checkRange(start, size);
    this.tellNullWrite();
    this.changePools('addMemory', () => {
      this.enter();
      // The range may lie in memory that has grown since this thread's views were made.
      this.i32 = this.memory.i32;
      return this.addPool(Math.ceil(start / 4), Math.floor(end / 4));
    });
  }

  /** Runs `change`, which enters and says why it cannot; tells the other threads, and leaves. */
  private changePools(operation: string, change: () => AllocError | null): void {
    let refused: AllocError | null;
    try {
      refused = change();
      this.poolsAreChanged();
      this.leave();
    } catch (error) {
      throw this.corrupted(operation, error);
    }
    if (refused !== null) throw refused;
  }

  // ── The edge ──

  /** Nothing free was large enough: one more try where an algorithm has found memory, else 0. */
  private missed(size: number, align: number): Address {
    if (this.rescued(size, align)) {
      try {
        this.enter();
        const block = align === 0 ? this.allocate(size) : this.allocateAligned(size, align);
        this.leave();
        if (block !== 0) return (block << 2) >>> 0;
      } catch (error) {
        return this.damaged(align === 0 ? 'malloc' : 'alignedAlloc', error);
      }
    }
    return this.failed();
  }

  /** A request that is answered with 0. The program may have written to an earlier 0. */
  private failed(): 0 {
    this.count(Field.failures);
    this.tellNullWrite();
    return 0;
  }

  /** What is no size is an error; a size that no region can meet is counted and answered with 0. */
  private refuse(size: number): Address {
    checkInteger('size', size);
    return this.failed();
  }

  /** The word of a block's address; 0 when no block can have that address. */
  private blockAt(address: Address): Word {
    return isWord(address) && (address & 7) === 0 ? address >>> 2 : noBlock(address);
  }

  /** Tells the error hook what is wrong with a call, which answers 0. */
  private wrong(error: AllocError): 0 {
    this.tell(error);
    this.tellNullWrite();
    return 0;
  }

  /** What is wrong with an address at which no live block starts. */
  private notLive(operation: string, address: Address, block: Word): AllocError {
    if (block !== 0 && this.isFreeBlock(block))
      return new AllocError('DoubleFree', `${operation}(${address}): the block is free already`);
    const overrun = this.debug ? ', or it was written past its end' : '';
    return new AllocError('NotAllocated', `${operation}(${address}): no such block is handed out${overrun}`);
  }

  /** Demands a range inside the memory that leaves the heap's own state alone; returns its end. */
  private checkRange(start: Address, size: number): Address {
    this.demandAttached();
    const end = checkRange(this.memory, start, size);
    const refused = this.checkPool(Math.ceil(start / 4), Math.floor(end / 4));
    if (refused !== null) throw refused;
    const state = this.stateStart() * 4;
    const stateEnd = this.header * 4 + headerBytes(this.layout);
    if (start < stateEnd && end > state) {
      throw new AllocError(
        'MemoryOverlap',
        `[${start}, ${end}) overlaps the heap's own state [${state}, ${stateEnd})`,
      );
    }
    return end;
  }
}
