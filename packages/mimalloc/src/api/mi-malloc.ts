/**
 * The class that programs use, with the two fast paths.
 *
 * ```
 *   malloc:  direct[granules] ─▶ page ─▶ FREE, pop, USED++                        5 loads, 2 stores
 *   free:    root[chunk] ─▶ page: mine? no flags? ─▶ push on LOCAL_FREE, USED−−    5 loads, 3 stores
 * ```
 */

import {
  type Address,
  AllocError,
  checkAlign,
  checkInteger,
  checkRange,
  type Handle,
  type Layout,
  type SlotHandle,
  type Word,
  wrongLayout,
} from '@shmalloc/allocator-api';
import { freeChecked, freeGeneric } from '../alloc/free.ts';
import { mallocGeneric } from '../alloc/malloc.ts';
import { abandonThread, reclaimAll } from '../exit/abandon.ts';
import { reapThread } from '../exit/reap.ts';
import { collectHeap } from '../foreign/collect.ts';
import { freeAway, freeLocal, settlePage } from '../foreign/foreign.ts';
import { threadOf } from '../huge/huge-block.ts';
import { usedBytes } from '../inspect/used.ts';
import { SMALL_SIZE_MAX } from '../layout/bins.ts';
import { OS_PAGE_BYTES } from '../layout/geometry.ts';
import { ALGORITHM_NAME, Field } from '../layout/header.ts';
import { blockAt, livePage } from '../layout/lookup.ts';
import { IN_FULL, LOOK_CLOSER, Page, RETIRE_BITS } from '../layout/page.ts';
import { NO_TABLE, PAGE_SHIFT } from '../layout/page-map.ts';
import { Counter, count } from '../layout/stats.ts';
import { isGuest } from '../page/guests.ts';
import { usableAt } from '../page/usable.ts';
import { forgetMemory, slicesIn } from '../region/create.ts';
import { addRange, announceMemory, presentBytes } from '../region/memory.ts';
import { lookAtNull } from '../region/null-write.ts';
import { type MiAttachOptions, open, openShared } from '../region/open.ts';
import { checkAttach, type MiMallocOptions } from '../region/options.ts';
import { inspectHeap, refusal } from '../region/secure-mode.ts';
import { reserveSlot } from '../region/thread-table.ts';
import { forEachHeap } from '../region/walk.ts';
import { Tld } from '../thread/tld.ts';
import { heapPlan, MiHeapCore, type MiHeapOptions, makeHeap } from './heaps.ts';

/**
 * mimalloc in shared memory: the allocator proper. One object is one thread's access to a region; every
 * thread makes its own.
 *
 * @example
 * ```ts
 * using heap = MiMalloc.create({ bytes: 1 << 24 });
 * const block = heap.malloc(100);
 * heap.memory.u8[block] = 1;
 * worker.postMessage(heap.share()); // there: using heap = MiMalloc.attach(handle)
 * heap.free(block);
 * ```
 * @public
 */
export class MiMallocCore extends Tld {
  /** The name in handles and on the command line. */
  static readonly algorithm: string = ALGORITHM_NAME;

  /** The heaps of this thread that programs have made, by their records. */
  private readonly heaps: Map<Word, MiHeapCore> = new Map();

  /**
   * Makes a region, or takes given memory for one, and attaches the calling thread.
   * @param options - where the region lies, and how it is run
   * @throws TypeError, RangeError or AllocError `InvalidParam`, naming the option; `NoMemory` when the engine
   *   refuses that much
   */
  static create(options: MiMallocOptions = {}): MiMallocCore {
    return open(MiMallocCore, options);
  }

  /**
   * Attaches the calling thread to a region that another has made.
   * @param handle - what `share` has returned there
   * @param options - what this thread brings with it
   * @throws TypeError for no handle, AllocError `InvalidParam` for a foreign one or, in secure mode, a
   *   damaged header, `TooManyThreads` when `threads` are attached
   */
  static attach(handle: Handle, options: MiAttachOptions = {}): MiMallocCore {
    return openShared(MiMallocCore, handle, checkAttach(options));
  }

  /** As {@link MallocFamily.malloc}: the fast path. */
  malloc(size: number): Address {
    const { i32 } = this;
    if (typeof size === 'number' && size >>> 0 === size && size <= SMALL_SIZE_MAX) {
      const page = i32[this.direct + ((size + 7) >>> 3)];
      const block = i32[page + Page.free];
      if (block > 0) {
        i32[page + Page.free] = i32[block];
        i32[page + Page.used]++;
        return (block << 2) >>> 0;
      }
    }
    return isRequest(size) ? (mallocGeneric(this, this.heap, size, 0) << 2) >>> 0 : this.refuse(size);
  }

  /** What is no size is an error; what no region has is answered with 0. */
  private refuse(size: number): Address {
    checkInteger('size', size);
    count(this, this.heap, Counter.failures);
    return 0;
  }

  /** As {@link MallocFamily.free}. */
  free(address: Address | ArrayBufferView): void {
    const error = this.tryFree(address);
    if (error !== null) this.report(error);
  }

  /** As {@link MallocFamily.tryFree}: the fast path. */
  tryFree(address: Address | ArrayBufferView): AllocError | null {
    if (typeof address === 'number' && address >>> 0 === address && (address & 7) === 0) {
      const { i32 } = this;
      const block = address >>> 2;
      const table = i32[this.root + (block >>> this.chunkShift)];
      if (table !== NO_TABLE) {
        const page = table + ((block >>> this.sliceShift) << PAGE_SHIFT);
        const owner = i32[page + Page.xthreadId] ^ this.threadId;
        if (owner === 0) {
          const head = i32[page + Page.localFree];
          const used = i32[page + Page.used] - 1;
          if (head !== block && used >= 0) {
            i32[block] = head;
            i32[page + Page.localFree] = block;
            i32[page + Page.used] = used;
            if (used === 0) {
              // Empty, and retired already: its clock starts again.
              const shape = i32[page + Page.shape];
              if ((shape & RETIRE_BITS) !== 0) i32[page + Page.shape] = (shape & ~RETIRE_BITS) | this.retired;
              else settlePage(this, page);
            }
            return null;
          }
        } else if (owner === IN_FULL) {
          if (i32[page + Page.localFree] !== block) {
            freeLocal(this, page, block);
            return null;
          }
        } else if ((owner & LOOK_CLOSER) === 0 && freeAway(this, page, block)) return null;
      }
    }
    return freeGeneric(this, address, 'free');
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
    if (usable < 0) throw refusal(this, 'dealloc', address);
    if (usable < size || address % align !== 0) {
      throw wrongLayout(address, usable, size, align);
    }
    const error = freeChecked(this, address, 'dealloc');
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
   * Forgets all blocks, all heaps and all memory, and has `[start, start + size)` alone. No other thread may
   * be using the region meanwhile. O(size).
   * @param start - bytes into the memory
   * @param size - bytes; whole slices of it are used
   * @throws AllocError `InvalidParam` when the range does not fit or holds no slice, `MemoryOverlap` when it
   *   covers the heap's own state
   */
  init(start: Address, size: number): void {
    const end = this.checkRange(start, size);
    const { from, to } = slicesIn(this, start, end, false);
    for (const heap of this.heaps.values()) heap.end();
    this.heaps.clear();
    this.guests = null;
    forgetMemory(this, true);
    addRange(this, from, to, 0);
    announceMemory(this);
  }

  /**
   * Has `[start, start + size)` as well, for the heaps of all threads. O(size).
   * @param start - bytes into the memory
   * @param size - bytes; whole slices of it are used
   * @throws AllocError `InvalidParam` when the range does not fit or holds no slice, `MemoryOverlap` when
   *   some of it is managed already
   */
  addMemory(start: Address, size: number): void {
    const end = this.checkRange(start, size);
    const { from, to } = slicesIn(this, start, end, true);
    addRange(this, from, to, 0);
    announceMemory(this);
  }

  /**
   * Adds memory as an exclusive arena: only heaps that are made for it allocate there, and they nowhere else.
   * @param start - bytes into the memory
   * @param size - bytes; whole segments of it are used
   * @returns the arena's id, for `heapNew`: 1, 2, …
   * @throws AllocError `InvalidParam` when the range does not fit or holds no whole segment, `MemoryOverlap`
   *   when it is managed already
   */
  addArena(start: Address, size: number): number {
    const end = this.checkRange(start, size);
    const segment = 4 << this.segmentShift;
    const first = Math.ceil(start / segment) * segment;
    const last = Math.floor(end / segment) * segment;
    if (first >= last) {
      throw new AllocError('RegionTooSmall', `[${start}, ${end}) holds no whole segment of ${segment} bytes`);
    }
    const { from, to } = slicesIn(this, first, last, true);
    const arena = Atomics.add(this.i32, this.header + Field.arenas, 1) + 1;
    addRange(this, from, to, arena);
    announceMemory(this);
    return arena;
  }

  private checkRange(start: Address, size: number): Address {
    checkInteger('start', start);
    checkInteger('size', size);
    // Says so when this thread has detached.
    this.refresh();
    return checkRange(this.memory, start, size);
  }

  /** Bytes under management. O(1). */
  totalBytes(): number {
    this.refresh();
    return presentBytes(this);
  }

  /** Bytes in blocks that are handed out, of all threads, rounding included. O(slices). */
  usedBytes(): number {
    return usedBytes(this);
  }

  /** Bytes that are in no block; they may be in pages of another size, or another thread's. O(slices). */
  availableBytes(): number {
    const used = this.usedBytes();
    return Math.max(0, this.totalBytes() - used);
  }

  /**
   * Bytes that had memory behind them at one time, at the most, the heap's own state included. O(1), no
   * garbage.
   */
  footprintBytes(): number {
    if (this.closed) this.refresh();
    return this.i32[this.header + Field.peak] * OS_PAGE_BYTES;
  }

  /**
   * Gathers what other threads have freed, and gives empty pages back. O(pages).
   * @param force - also adopts what threads that have ended left behind, gives back what would be kept for a
   *   while, and purges without waiting
   */
  collect(force = false): void {
    this.refresh();
    if (force) reclaimAll(this);
    forEachHeap(this, (heap) => collectHeap(this, heap, force));
    lookAtNull(this);
    // The hook may have detached this thread.
    if (!this.closed) inspectHeap(this);
  }

  // ── Heaps of this thread ──

  /**
   * Makes a heap of this thread: blocks that are apart from the others. O(heaps ever made).
   * @param options - a tag, an exclusive arena
   * @throws AllocError `NoMemory` when there is none for its record, `InvalidParam` for a wrong option
   */
  heapNew(options: MiHeapOptions = {}): MiHeapCore {
    if (this.closed) this.refresh();
    const record = makeHeap(this, heapPlan(this, options));
    if (record === 0) throw new AllocError('NoMemory', 'no memory for another heap');
    const heap = this.wrapHeap(record);
    this.heaps.set(record, heap);
    return heap;
  }

  /**
   * The object that stands for a record.
   * @internal
   */
  protected wrapHeap(record: Word): MiHeapCore {
    return new MiHeapCore(this, record);
  }

  /**
   * Ends a heap; its blocks live on. See {@link MiHeapCore.delete}.
   * @throws AllocError `InvalidParam` for a heap of another thread
   */
  heapDelete(heap: MiHeapCore): void {
    this.checkHeap(heap).delete();
  }

  /**
   * Ends a heap with all its blocks. See {@link MiHeapCore.destroy}.
   * @throws AllocError `InvalidParam` for a heap of another thread
   */
  heapDestroy(heap: MiHeapCore): void {
    this.checkHeap(heap).destroy();
  }

  /**
   * Collects one heap. See {@link MiHeapCore.collect}.
   * @throws AllocError `InvalidParam` for a heap of another thread
   */
  heapCollect(heap: MiHeapCore, force = false): void {
    this.checkHeap(heap).collect(force);
  }

  /**
   * The heap of this thread that a block is from.
   * @param address - a live block
   * @returns null when it is from no heap that this thread has made, as all are that `malloc` of the thread
   *   itself hands out
   */
  heapOf(address: Address): MiHeapCore | null {
    const page = livePage(this, checkInteger('address', address));
    if (page === 0 || threadOf(this, page) !== this.threadId) return null;
    if (isGuest(this, page, blockAt(this, page, address >>> 2))) return null;
    return this.heaps.get(this.i32[page + Page.xheap]) ?? null;
  }

  /** @internal */
  forgetHeap(heap: MiHeapCore): void {
    this.heaps.delete(heap.record);
  }

  /** Only the thread that made a heap works on it. */
  protected checkHeap<T extends MiHeapCore>(heap: T): T {
    if (!(heap instanceof MiHeapCore)) throw new TypeError(`heap must be what heapNew returned, got ${heap}`);
    if (heap.tld !== this) {
      throw new AllocError(
        'InvalidParam',
        `this heap belongs to thread ${heap.tld.threadId}, and cannot be used by thread ${this.threadId}`,
      );
    }
    return heap;
  }

  /** What another thread attaches with. It can be posted to workers. */
  share(): Handle {
    return { algorithm: ALGORITHM_NAME, memory: this.memory.source, start: this.header * 4 };
  }

  /**
   * Reserves a slot for a thread that is to come: the one that attaches with this handle has the `threadId`
   * that it names. So the thread that starts a worker can {@link MiMallocCore.reap} it however and whenever
   * it ends. Lock-free; O(slots).
   * @returns what one thread attaches with, once
   * @throws AllocError `TooManyThreads` when `threads` are attached or expected
   */
  shareSlot(): SlotHandle {
    if (this.closed) this.refresh();
    return { ...this.share(), threadId: reserveSlot(this) };
  }

  /**
   * Gives back what a thread had that has ended without {@link MiMallocCore.detach}: call it when its
   * worker's `exit` has arrived. Its blocks live on, as after a detach; a block that it was about to hand out
   * or to free when it ended is lost, one at most, and `visitAbandoned` shows it among the others. Does
   * nothing when the thread has detached, or was reaped. Several threads may reap the same one. Lock-free;
   * O(slices + blocks of its pages).
   * @param threadId - what `threadId` was in that thread. It must be at an end: a living one would go on in
   *   another thread's memory
   * @throws TypeError or RangeError for what is no integer, AllocError `InvalidParam` for this thread's own
   */
  reap(threadId: number): void {
    reapThread(this, threadId);
  }

  /**
   * This thread is done. Blocks that are still in use live on; other threads adopt their pages. Calling it
   * twice does nothing. O(pages).
   */
  detach(): void {
    if (this.closed) return;
    lookAtNull(this);
    // The hook may have detached this thread.
    if (!this.closed) inspectHeap(this);
    if (this.closed) return;
    abandonThread(this);
    this.close();
  }

  /** Detaches. */
  [Symbol.dispose](): void {
    this.detach();
  }
}

function isRequest(size: number): boolean {
  return typeof size === 'number' && size >>> 0 === size;
}
