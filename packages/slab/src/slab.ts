/**
 * The class that programs use, with the fast paths.
 *
 * ```
 *   malloc:  CURRENT[29 − clz(size)] ─▶ page ─▶ FREE, pop, USED++            5 loads, 2 stores
 *   free:    root[chunk] ─▶ page: mine, not full? ─▶ push on FREE, USED−−     6 loads, 3 stores
 *            another CPU's? ─▶ one exchange onto REMOTE
 * ```
 */

import {
  type Address,
  AllocError,
  type AttachOptions,
  checkAlign,
  checkAttachLock,
  checkHook,
  checkInteger,
  checkOptions,
  checkRange,
  type Handle,
  type Heap,
  type Layout,
  MAX_BYTES,
  openHeader,
  publishHeader,
  type SharedMemory,
  type SlotHandle,
  traceHeap,
  wrongLayout,
} from '@shmalloc/allocator-api';
import { NO_TABLE } from '@shmalloc/thread-heap';
import { Cpu, claimRecord, enterRecord } from './cpu.ts';
import { layOut, type SlabOptions } from './create.ts';
import { freeChecked, freeOther, freeOwn, freeSlow, notAllocated } from './free.ts';
import { ALGORITHM_NAME, KIND } from './header.ts';
import { usableAt } from './lookup.ts';
import { countFailure, mallocSlow } from './malloc.ts';
import { DESCRIPTOR_SHIFT, IN_FULL, ORPHAN, Page } from './page.ts';
import { type Plan, readLock, readPlan } from './plan.ts';
import { addPages, addRange, layTables, pagesIn } from './ranges.ts';
import { reallocBlock } from './realloc.ts';
import { SlabCaches } from './slab-caches.ts';

const { clz32 } = Math;

/** Sizes above this no region has; it also keeps rounding up within 32 bits. */
const MAX_REQUEST = 0xffff0000;

/**
 * A slab allocator in shared memory. One object is one thread's access to a region, and makes that thread a
 * CPU of it; every thread makes its own.
 *
 * @example
 * ```ts
 * using heap = Slab.create({ bytes: 1 << 24 });
 * const block = heap.malloc(100); // at a multiple of 128
 * worker.postMessage(heap.share()); // there: using heap = Slab.attach(handle)
 * heap.free(block);
 * ```
 * @public
 */
export class Slab extends SlabCaches implements Heap {
  /** The name in handles and on the command line. */
  static readonly algorithm: string = ALGORITHM_NAME;

  /** @internal Use `create` or `attach`. */
  constructor(memory: SharedMemory, plan: Plan, expected = 0) {
    const cpu = expected === 0 ? claimRecord(memory, plan) : enterRecord(memory, plan, expected);
    super(memory, plan, cpu);
    // Release: pairs with the looks of `canHold` and of a reaper. Before this thread takes the lock, or a
    // page.
    Atomics.store(memory.i32, cpu + Cpu.thread, this.threadId);
  }

  /**
   * Makes a region, or takes given memory for one, and attaches the calling thread. O(pages).
   * @param options - where the region lies, and how it is run
   * @throws TypeError, RangeError or AllocError `InvalidParam`, naming the option; `NoMemory` when the engine
   *   refuses that much
   */
  static create(options: SlabOptions = {}): Slab {
    const { memory, plan } = layOut(options);
    const heap = new Slab(memory, plan);
    if (options.onError !== undefined) heap.registerError(checkHook('onError', options.onError));
    layTables(heap);
    addPages(heap, pagesIn(heap, plan.end * 4, memory.end));
    heap.lookAround();
    publishHeader(memory.i32, plan.header);
    traceHeap(heap);
    return heap;
  }

  /**
   * Attaches the calling thread to a region that another has made.
   * @param handle - what `share` or `shareSlot` has returned there
   * @param options - `lock`, for a heap that was made with `'outside'`: this thread has to say so, too
   * @throws TypeError for no handle, AllocError `InvalidParam` for a foreign one and for an unknown option,
   *   `TooManyThreads` when `threads` are attached, `Unsupported` for a heap with `lock: 'none'`, `Corrupted`
   *   when its header was written over
   */
  static attach(handle: Handle | SlotHandle, options: AttachOptions = {}): Slab {
    checkOptions(options, []);
    const { memory, header } = openHeader(handle, KIND);
    checkAttachLock(ALGORITHM_NAME, readLock(memory, header), options.lock);
    const { threadId = 0 } = handle as Partial<SlotHandle>;
    const heap = new Slab(memory, readPlan(memory, header), checkInteger('handle.threadId', threadId));
    if (options.onError !== undefined) heap.registerError(checkHook('onError', options.onError));
    traceHeap(heap);
    return heap;
  }

  // ── The C-style facade ──

  /**
   * Hands out a block at a multiple of the least power of two that holds it, up to 4096. Sizes up to half a
   * page are rounded up to that power, larger ones to whole pages. Up to half a page: O(1), no lock and no
   * atomic operation; when the pages at hand are full it takes another one, and may wait for a CPU that is
   * taking a page at that moment. Above: takes the page list's lock, and O(pages / 32).
   * @param size - bytes; 0 gives a unique address
   * @returns the block, or 0 when there is no memory
   * @throws TypeError or RangeError when `size` is no non-negative integer
   */
  malloc(size: number): Address {
    if (typeof size === 'number' && size >>> 0 === size) {
      const { i32 } = this;
      const page = i32[this.direct + 29 - clz32((size - 1) | 7)];
      const block = i32[page + Page.free];
      if (block > 0) {
        const next = i32[block];
        // A link that was written over and leads out of memory gives undefined. Costs nothing while none has:
        // the engine's compiler knows it for a number.
        if (next !== undefined) {
          i32[page + Page.free] = next;
          i32[page + Page.used]++;
          return (block << 2) >>> 0;
        }
      }
    }
    return this.mallocEdge(size, 1);
  }

  /** What is no size is an error; what no region has is answered with 0. */
  private mallocEdge(size: number, align: number): Address {
    if (typeof size === 'number' && size >>> 0 === size && size <= MAX_REQUEST) {
      const block = mallocSlow(this, size, align);
      if (this.noted !== null) this.tell();
      return (block << 2) >>> 0;
    }
    checkInteger('size', size);
    this.refresh();
    countFailure(this);
    this.tell();
    return 0;
  }

  /**
   * Hands out a zeroed block. As `malloc`, and O(bytes).
   * @param count - elements
   * @param size - bytes of each
   * @returns the block, or 0, also when `count * size` exceeds the address space
   */
  calloc(count: number, size: number): Address {
    const bytes = Math.min(checkInteger('count', count) * checkInteger('size', size), MAX_BYTES);
    const address = this.malloc(bytes);
    if (address !== 0) this.u8.fill(0, address, address + bytes);
    return address;
  }

  /**
   * Changes a block's size: in place when the new one fits and is more than half of it, otherwise by moving
   * it.
   * @param address - a block, or 0 to allocate one
   * @param size - bytes; 0 still leaves a block
   * @returns the block, or 0, and then the old one is as it was. An address that is no block's is reported,
   *   and the answer is 0.
   */
  realloc(address: Address, size: number): Address {
    const answer = this.tryRealloc(address, size);
    return typeof answer === 'number' ? answer : this.wrong(answer);
  }

  /**
   * `realloc` that says why not.
   * @returns the block, 0 when there is no memory, or what is wrong, and then nothing has changed
   */
  tryRealloc(address: Address, size: number): Address | AllocError {
    if (address === 0) return this.malloc(size);
    checkInteger('address', address);
    checkInteger('size', size);
    const moved = reallocBlock(this, address, size);
    this.tell();
    return moved < 0 ? notAllocated('realloc', address) : moved;
  }

  /** Reports a wrong call, which answers 0. */
  private wrong(error: AllocError): 0 {
    this.noteWrong(error);
    this.tell();
    return 0;
  }

  /**
   * Hands out a block at a multiple of `align`.
   * @param align - bytes, a power of two
   * @param size - bytes
   * @returns the block, or 0
   * @throws AllocError `InvalidParam` when `align` is no power of two
   */
  alignedAlloc(align: number, size: number): Address {
    checkAlign('align', align);
    return align <= 8 ? this.malloc(size) : this.mallocEdge(size, align);
  }

  /**
   * Gives a block back, whichever CPU it is from. Lock-free, and one exchange for a block of another CPU; but
   * for the last block of a page that is not kept, and large blocks, which take the page list's lock.
   * @param address - a block, or 0, which is ignored. Anything else is reported through the error hook, as is
   *   a second free where it can be told (always in debug mode).
   */
  free(address: Address): void {
    const error = this.tryFree(address);
    if (error !== null) this.wrong(error);
  }

  /**
   * `free` that says why not, and otherwise costs the same.
   * @param address - a block, or 0
   * @returns null when the block is back; else what is wrong, and nothing has changed
   */
  tryFree(address: Address): AllocError | null {
    if (typeof address === 'number' && address >>> 0 === address) {
      const { i32 } = this;
      const block = address >>> 2;
      const table = i32[this.root + (block >>> this.chunkShift)];
      if (table !== NO_TABLE) {
        const page = table + ((block >>> this.pageShift) << DESCRIPTOR_SHIFT);
        if ((address & i32[page + Page.mask]) === 0) {
          const owner = i32[page + Page.owner];
          if (owner === this.threadId) {
            const head = i32[page + Page.free];
            const used = i32[page + Page.used] - 1;
            if (head !== block && used > 0) {
              i32[block] = head;
              i32[page + Page.free] = block;
              i32[page + Page.used] = used;
              return null;
            }
            if (head !== block && used === 0) {
              freeOwn(this, page, block);
              return null;
            }
          } else if (owner >= ORPHAN) {
            if ((owner ^ this.threadId) === IN_FULL) freeOwn(this, page, block);
            else freeOther(this, page, block);
            return null;
          }
        }
      }
    }
    return freeSlow(this, address);
  }

  /**
   * How much of a block may be used. O(1).
   * @param address - a block
   * @returns bytes, at least what was asked for; 0 for 0, and for an address that is no block's, which is
   *   reported
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
    if (checkInteger('address', address) === 0) return 0;
    const usable = usableAt(this, address);
    return usable < 0 ? notAllocated('usableSize', address) : usable;
  }

  // ── The explicit interface: a free says what was allocated, and errors are thrown ──

  /**
   * Hands out a block. Costs what `alignedAlloc` costs.
   * @param size - bytes
   * @param align - bytes, a power of two
   * @throws AllocError `NoMemory` when there is none, `InvalidParam` for a wrong alignment
   */
  alloc(size: number, align: number): Address {
    const address = this.alignedAlloc(align, size);
    if (address === 0) throw new AllocError('NoMemory', `no ${size} bytes aligned to ${align} are free`);
    return address;
  }

  /**
   * Takes a block back.
   * @param address - what `alloc` returned
   * @param size - bytes, what `alloc` was given
   * @param align - bytes, what `alloc` was given
   * @throws AllocError `NotAllocated` when no such block is handed out, `InvalidParam` when it cannot have
   *   been allocated with these
   */
  dealloc(address: Address, size: number, align: number): void {
    checkInteger('address', address);
    checkInteger('size', size);
    checkAlign('align', align);
    const usable = usableAt(this, address);
    if (usable < 0) throw freeChecked(this, address, 'dealloc') ?? notAllocated('dealloc', address);
    if (usable < size || address % align !== 0) {
      throw wrongLayout(address, usable, size, align);
    }
    const error = freeChecked(this, address, 'dealloc');
    if (error !== null) this.inspectNull();
    this.tell();
    if (error !== null) throw error;
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
   * Forgets all blocks and all memory, and has `[start, start + size)` alone. No other thread may be using
   * the region meanwhile. O(pages).
   * @param start - bytes into the memory
   * @param size - bytes; whole pages of it are used
   * @throws AllocError `InvalidParam` when the range does not fit or holds no page, `MemoryOverlap` when it
   *   covers NULL or the heap's own state
   */
  init(start: Address, size: number): void {
    addRange(this, start, this.endOf(start, size), false);
  }

  /**
   * Has `[start, start + size)` as well, for all CPUs. Any number of threads may do so at the same time:
   * `addMemory(memory.grow(n), n)`. O(pages).
   * @param start - bytes into the memory
   * @param size - bytes; whole pages of it are used
   * @throws AllocError `InvalidParam` when the range does not fit or holds no page, `MemoryOverlap` when some
   *   of it is managed already
   */
  addMemory(start: Address, size: number): void {
    addRange(this, start, this.endOf(start, size), true);
  }

  private endOf(start: Address, size: number): Address {
    checkInteger('start', start);
    checkInteger('size', size);
    // Says so when this thread has detached.
    this.refresh();
    return checkRange(this.memory, start, size);
  }
}
