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
 * Arguments are checked here, at the edge; the algorithm below trusts them. Below the edge a block is named by its first **word**
 * (address / 4): that stays a small integer for all 4 GiB, where an address from the upper half would not.
 *
 * Progress: with `lock: 'none'` one thread only, and never waits. With a lock every operation may block while another thread is
 * inside; a thread that dies inside stops all the others (the reason for the lock-free allocator).
 */

import {
  type Address,
  AllocError,
  type ByteAllocator,
  checkAlign,
  checkInteger,
  checkRange,
  type GlobalAllocator,
  type Handle,
  MAX_BYTES,
  type SharedMemory,
  wrongLayout,
} from '@shmalloc/allocator-api';
import type { Lock } from '@shmalloc/atomic-cell';
import type { HeapClass } from './create.ts';
import { Field, type HeapLayout, LOCK_KINDS, type LockKind, lockOf, type Word } from './header.ts';
import type { HeapStats } from './stats.ts';

/** Requests above this cannot be met by any region; it also keeps rounding up within 32 bits. */
const MAX_REQUEST = 2 ** 32 - 128;

/** What a detached heap looks at: every read is `undefined`, so the comparison in `enter` sends it to `refresh`. */
const NO_WORDS: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(0));

/**
 * The allocator contract behind a lock, for any single-threaded algorithm.
 * @public
 */
export abstract class LockedHeap implements GlobalAllocator, ByteAllocator {
  /** The region. */
  readonly memory: SharedMemory;
  /** The region's words as this thread last saw them. */
  protected i32: Int32Array<SharedArrayBuffer>;
  /** First word of the header. */
  protected readonly header: Word;
  /** Whether wrong frees must be detected exactly. */
  protected readonly debug: boolean;
  private readonly layout: HeapLayout;
  private readonly lockKind: LockKind;
  private lock: Lock | null;
  /** Where the epoch stands. */
  private readonly epochWord: Word;
  /** The epoch that this thread's views and caches belong to; −1 makes the first operation look. */
  private epoch = -1;
  /** The epoch at which an operation may begin at once: without a lock this thread's, with one never. */
  private open = -1;
  /** How often this thread has found the lock taken. */
  private lockWaits = 0;
  private onError: (error: AllocError) => void = (error) =>
    console.error(`${error.name} ${error.code}: ${error.message}`);

  /** @internal Use `create` or `attach` of the algorithm's class. */
  constructor(memory: SharedMemory, header: Word) {
    const { i32 } = memory;
    this.memory = memory;
    this.i32 = i32;
    this.header = header;
    this.epochWord = header + Field.epoch;
    this.debug = i32[header + Field.debug] === 1;
    this.layout = (this.constructor as unknown as HeapClass<LockedHeap>).layout;
    this.lockKind = LOCK_KINDS[i32[header + Field.lockKind]];
    this.lock = lockOf(memory, header);
  }

  // ── What an algorithm gives. All of it runs under the lock, with checked arguments. ──

  /** Makes the algorithm's own state that of an empty heap without pools. */
  protected abstract format(): void;
  /** Why `[first, end)` can never be a pool, or null. Changes nothing. */
  protected abstract checkPool(first: Word, end: Word): AllocError | null;
  /**
   * Takes `[first, end)`, which can be one, as a pool.
   * @returns why it cannot now, or null; then nothing has changed
   */
  protected abstract addPool(first: Word, end: Word): AllocError | null;
  /** Forgets what this thread knows of the pools, because they have changed. */
  protected abstract poolsChanged(): void;
  /** A block of at least `bytes`, aligned to 16; its first word, or 0. */
  protected abstract allocate(bytes: number): Word;
  /** The same at a multiple of `align` bytes, a power of two above 16. */
  protected abstract allocateAligned(bytes: number, align: number): Word;
  /** Takes a block back; false, and nothing done, when it is none that is handed out. */
  protected abstract release(block: Word): boolean;
  /** Makes a live block fit `bytes` where it is; false, and nothing done, when it cannot. */
  protected abstract resize(block: Word, bytes: number): boolean;
  /** Bytes that may be used in a block; −1 when it is none that is handed out. */
  protected abstract usable(block: Word): number;
  /** Free words that the header's LISTED does not count. */
  protected abstract unlistedWords(): number;
  /** Throws with the first broken invariant. */
  protected abstract checkAll(): void;

  /**
   * Called outside the lock when nothing free is large enough for a request. An algorithm that knows where to get memory adds it here.
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
    this.enter();
    const block = this.allocate(size);
    this.leave();
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
    // The block is this thread's own by now: it is zeroed outside the lock.
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
    if (address === 0) return this.malloc(size);
    if (!isRequest(size)) return this.refuse(size);
    const block = this.blockAt(address);
    this.enter();
    const old = block === 0 ? -1 : this.usable(block);
    const inPlace = old >= 0 && this.resize(block, size);
    this.leave();
    if (inPlace) return address;
    if (old < 0) {
      this.report('realloc', address);
      return 0;
    }
    const moved = this.malloc(size);
    if (moved === 0) return 0;
    // Whole words: both blocks start at one and have room for it.
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
    this.enter();
    const block = this.allocateAligned(size, align);
    this.leave();
    return block === 0 ? this.missed(size, align) : (block << 2) >>> 0;
  }

  /**
   * Takes a block back. 0 is ignored. An address that is not handed out goes to the error hook and changes nothing.
   * @param address - what an allocating call returned
   */
  free(address: Address): void {
    if (address === 0) return;
    const block = this.blockAt(address);
    this.enter();
    const released = block !== 0 && this.release(block);
    this.leave();
    if (!released) this.report('free', address);
  }

  /**
   * Bytes that may be used at a live block's address. Takes no lock (unless memory was added
   * just now): a live block's size is its owner's alone to change.
   * @returns at least the size asked for; 0 for 0 and for an address that is not handed out, which goes to the error hook
   */
  usableSize(address: Address): number {
    if (address === 0) return 0;
    const block = this.blockAt(address);
    if (this.i32[this.epochWord] !== this.epoch) {
      // Memory has come since this thread looked last: it looks again, under the lock.
      this.enter();
      this.leave();
    }
    const bytes = block === 0 ? -1 : this.usable(block);
    if (bytes >= 0) return bytes;
    this.report('usableSize', address);
    return 0;
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
    this.enter();
    const usable = block === 0 ? -1 : this.usable(block);
    const fits = usable >= size && address % align === 0;
    const released = fits && this.release(block);
    this.leave();
    if (released) return;
    if (usable < 0) throw this.notAllocated('dealloc', address);
    throw wrongLayout(address, usable, size, align);
  }

  /** @inheritDoc @shmalloc/allocator-api#BaseAllocator.init */
  init(start: Address, size: number): void {
    const end = this.checkRange(start, size);
    this.enter();
    const { i32, header } = this;
    for (const field of [Field.total, Field.listed, Field.touched, Field.pools]) i32[header + field] = 0;
    this.format();
    this.addRange(start, end);
  }

  /** @inheritDoc @shmalloc/allocator-api#BaseAllocator.addMemory */
  addMemory(start: Address, size: number): void {
    const end = this.checkRange(start, size);
    this.enter();
    this.addRange(start, end);
  }

  /** Bytes under management. */
  totalBytes(): number {
    return this.bytesOf(Field.total);
  }

  /** Bytes in blocks that are handed out, headers and rounding included. */
  usedBytes(): number {
    return this.totalBytes() - this.availableBytes();
  }

  /** Bytes under management that are not handed out. */
  availableBytes(): number {
    return this.bytesOf(Field.listed) + this.unlistedWords() * 4;
  }

  // ── Sharing, looking, ending ──

  /** What to post to another thread, for `attach` there. Structured-cloneable. */
  share(): Handle {
    return { algorithm: this.layout.algorithm, memory: this.memory.source, start: this.header * 4 };
  }

  /** Ends this instance's use of the heap; the blocks stay. Any later call on this instance throws. */
  detach(): void {
    this.i32 = NO_WORDS;
    this.lock = null;
  }

  /** The same as {@link LockedHeap.detach}. */
  [Symbol.dispose](): void {
    this.detach();
  }

  /**
   * Says where wrong frees go, in this thread. The default prints them.
   * @param hook - called outside the lock, so it may use the heap
   */
  registerError(hook: (error: AllocError) => void): void {
    this.onError = hook;
  }

  /** Figures about the heap; cheap, and as of one moment when no other thread is at work. */
  stats(): HeapStats {
    const { i32, header } = this;
    const count = (field: number): number => i32[header + field] >>> 0;
    return {
      algorithm: this.layout.algorithm,
      lock: this.lockKind,
      totalBytes: this.totalBytes(),
      usedBytes: this.usedBytes(),
      availableBytes: this.availableBytes(),
      footprintBytes: this.footprintBytes(),
      pools: count(Field.pools),
      failures: count(Field.failures),
      errors: count(Field.errors),
      lockWaits: this.lockWaits,
    };
  }

  /** Bytes of the region that were ever touched, the allocator's state included. Creates no garbage. */
  footprintBytes(): number {
    return this.bytesOf(Field.touched) + (this.i32[this.header + Field.end] - this.header) * 4;
  }

  /**
   * Walks everything under the lock.
   * @throws Error with the first broken invariant
   */
  validate(): void {
    this.enter();
    try {
      this.checkAll();
    } finally {
      this.leave();
    }
  }

  // ── The lock ──

  /** Takes the lock and sees to it that this thread's views are current. */
  protected enter(): void {
    if (this.i32[this.epochWord] !== this.open) this.enterSlowly();
  }

  private enterSlowly(): void {
    if (this.lock !== null && !this.lock.tryLock()) this.waitFor(this.lock);
    if (this.i32[this.epochWord] !== this.epoch) this.refresh();
  }

  private waitFor(lock: Lock): void {
    this.lockWaits++;
    lock.lock();
  }

  /** Gives the lock back. */
  protected leave(): void {
    if (this.lock !== null) this.lock.unlock();
  }

  private refresh(): void {
    if (this.i32 === NO_WORDS)
      throw new AllocError('InvalidParam', `this ${this.layout.algorithm} heap is detached`);
    this.memory.refresh();
    this.i32 = this.memory.i32;
    this.epoch = this.i32[this.epochWord];
    if (this.lock === null) this.open = this.epoch;
    this.poolsChanged();
  }

  // ── The edge ──

  /** Nothing free was large enough: one more try where an algorithm has found memory, else 0. */
  private missed(size: number, align: number): Address {
    if (this.rescued(size, align)) {
      this.enter();
      const block = align === 0 ? this.allocate(size) : this.allocateAligned(size, align);
      this.leave();
      if (block !== 0) return (block << 2) >>> 0;
    }
    return this.failed();
  }

  /** A request that is answered with 0. */
  private failed(): 0 {
    this.enter();
    this.i32[this.header + Field.failures]++;
    this.leave();
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

  private report(operation: string, address: Address): void {
    this.enter();
    this.i32[this.header + Field.errors]++;
    this.leave();
    this.onError(this.notAllocated(operation, address));
  }

  private notAllocated(operation: string, address: Address): AllocError {
    const overrun = this.debug ? ', or it was written past its end' : '';
    return new AllocError('NotAllocated', `${operation}(${address}): no such block is handed out${overrun}`);
  }

  private bytesOf(field: number): number {
    if (this.i32 === NO_WORDS) this.refresh();
    return this.i32[this.header + field] * 4;
  }

  /** Demands a range inside the memory that leaves the heap's own state alone; returns its end. */
  private checkRange(start: Address, size: number): Address {
    const end = checkRange(this.memory, start, size);
    const refused = this.checkPool(Math.ceil(start / 4), Math.floor(end / 4));
    if (refused !== null) throw refused;
    const state = this.header * 4;
    const stateEnd = this.i32[this.header + Field.end] * 4;
    if (start < stateEnd && end > state) {
      throw new AllocError(
        'MemoryOverlap',
        `[${start}, ${end}) overlaps the heap's own state [${state}, ${stateEnd})`,
      );
    }
    return end;
  }

  /** Adds a checked range as a pool, tells the other threads, and leaves. */
  private addRange(start: Address, end: Address): void {
    // The range may lie in memory that has grown since this thread's views were made.
    this.i32 = this.memory.i32;
    const refused = this.addPool(Math.ceil(start / 4), Math.floor(end / 4));
    this.i32[this.header + Field.epoch]++;
    this.leave();
    if (refused !== null) throw refused;
  }
}

/** Whether a value is an unsigned 32-bit integer. The type is asked first, because `>>>` on a bigint throws an error that names no value. */
function isWord(value: number): boolean {
  return typeof value === 'number' && value >>> 0 === value;
}

function isRequest(size: number): boolean {
  return isWord(size) && size <= MAX_REQUEST;
}

/** What is no address is an error; an address that no block can have is word 0. */
function noBlock(address: Address): 0 {
  checkInteger('address', address);
  return 0;
}
