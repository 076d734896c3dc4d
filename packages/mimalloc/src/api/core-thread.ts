/**
 * What stands behind `MiMallocCore` and `MiMalloc`, with the two fast paths.
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
  type ErrorHook,
  type Handle,
  type Layout,
  type SharedMemory,
  type SlotHandle,
  type Word,
  wrongLayout,
} from '@shmalloc/allocator-api';
import { NO_TABLE } from '@shmalloc/thread-heap';
import { freeChecked, freeGeneric } from '../alloc/free.ts';
import { mallocGeneric } from '../alloc/malloc.ts';
import { abandonThread, reclaimAll } from '../exit/abandon.ts';
import { reapThread } from '../exit/reap.ts';
import { collectHeap } from '../foreign/collect.ts';
import { freeAway, freeLocal, settlePage } from '../foreign/foreign.ts';
import { heapPlan, type MiHeapOptions } from '../heaps/heap-plan.ts';
import { makeHeap } from '../heaps/heap-records.ts';
import { threadOf } from '../huge/huge-block.ts';
import { usedBytes } from '../inspect/used.ts';
import { SMALL_SIZE_MAX } from '../layout/bins.ts';
import { Counter, count } from '../layout/counters.ts';
import { OS_PAGE_BYTES } from '../layout/geometry.ts';
import { ALGORITHM_NAME, Field } from '../layout/header.ts';
import { blockAt, livePage } from '../layout/lookup.ts';
import { IN_FULL, LOOK_CLOSER, Page, RETIRE_BITS } from '../layout/page.ts';
import { PAGE_SHIFT } from '../layout/page-map.ts';
import { isGuest } from '../page/guests.ts';
import { usableAt } from '../page/usable.ts';
import { forgetMemory, slicesIn } from '../region/create.ts';
import { addRange, announceMemory, presentBytes } from '../region/memory.ts';
import { lookAtNull } from '../region/null-write.ts';
import { type MiAttachOptions, open, openShared } from '../region/open.ts';
import type { MiMallocOptions } from '../region/options.ts';
import { inspectHeap, refusal } from '../region/secure-mode.ts';
import { reserveSlot } from '../region/thread-table.ts';
import { forEachHeap } from '../region/walk.ts';
import type { DeferredFree, Tld } from '../thread/thread-view.ts';
import { CoreHeap } from './core-heap.ts';
import { Family } from './family.ts';
import type { MiHeapCore, MiMallocCore } from './mimalloc-core.ts';

/** A thread's access to a region. */
export class CoreThread extends Family implements MiMallocCore {
  static readonly algorithm: string = ALGORITHM_NAME;

  /** Assigned once, so that the engine takes it, and the fields in it, for constants: see the fast paths. */
  readonly tld: Tld;
  readonly memory: SharedMemory;
  /** The heaps of this thread that programs have made, by their records. */
  private readonly heaps: Map<Word, CoreHeap>;

  constructor(tld: Tld) {
    super();
    this.tld = tld;
    this.memory = tld.memory;
    this.heaps = new Map();
  }

  static create(options: MiMallocOptions = {}): CoreThread {
    return new CoreThread(open(options, null));
  }

  static attach(handle: Handle, options: MiAttachOptions = {}): CoreThread {
    return new CoreThread(openShared(handle, options, null));
  }

  get heap(): Word {
    return this.tld.heap;
  }

  get threadId(): number {
    return this.tld.threadId;
  }

  malloc(size: number): Address {
    const { tld } = this;
    const { i32 } = tld;
    if (typeof size === 'number' && size >>> 0 === size && size <= SMALL_SIZE_MAX) {
      const page = i32[tld.direct + ((size + 7) >>> 3)];
      const block = i32[page + Page.free];
      if (block > 0) {
        i32[page + Page.free] = i32[block];
        i32[page + Page.used]++;
        return (block << 2) >>> 0;
      }
    }
    return isRequest(size) ? (mallocGeneric(tld, tld.heap, size, 0) << 2) >>> 0 : this.refuse(size);
  }

  /** What is no size is an error; what no region has is answered with 0. */
  private refuse(size: number): Address {
    checkInteger('size', size);
    count(this.tld, this.tld.heap, Counter.failures);
    return 0;
  }

  free(address: Address | ArrayBufferView): void {
    const error = this.tryFree(address);
    if (error !== null) this.tld.report(error);
  }

  tryFree(address: Address | ArrayBufferView): AllocError | null {
    const { tld } = this;
    if (typeof address === 'number' && address >>> 0 === address && (address & 7) === 0) {
      const { i32 } = tld;
      const block = address >>> 2;
      const table = i32[tld.root + (block >>> tld.chunkShift)];
      if (table !== NO_TABLE) {
        const page = table + ((block >>> tld.sliceShift) << PAGE_SHIFT);
        const owner = i32[page + Page.xthreadId] ^ tld.threadId;
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
              if ((shape & RETIRE_BITS) !== 0) i32[page + Page.shape] = (shape & ~RETIRE_BITS) | tld.retired;
              else settlePage(tld, page);
            }
            return null;
          }
        } else if (owner === IN_FULL) {
          if (i32[page + Page.localFree] !== block) {
            freeLocal(tld, page, block);
            return null;
          }
        } else if ((owner & LOOK_CLOSER) === 0 && freeAway(tld, page, block)) return null;
      }
    }
    return freeGeneric(tld, address, 'free');
  }

  // ── The explicit interface: a free says what was allocated, and errors are thrown ──

  alloc(size: number, align: number): Address {
    const address = this.alignedAlloc(align, size);
    if (address === 0) throw new AllocError('NoMemory', `no ${size} bytes aligned to ${align} are free`);
    return address;
  }

  dealloc(address: Address, size: number, align: number): void {
    checkInteger('address', address);
    checkInteger('size', size);
    checkAlign('align', align);
    const usable = usableAt(this.tld, address);
    if (usable < 0) throw refusal(this.tld, 'dealloc', address);
    if (usable < size || address % align !== 0) {
      throw wrongLayout(address, usable, size, align);
    }
    const error = freeChecked(this.tld, address, 'dealloc');
    if (error !== null) throw error;
  }

  allocLayout({ size, align }: Layout): Address {
    return this.alloc(size, align);
  }

  deallocLayout(address: Address, { size, align }: Layout): void {
    this.dealloc(address, size, align);
  }

  init(start: Address, size: number): void {
    const end = this.checkRange(start, size);
    const { from, to } = slicesIn(this.tld, start, end, false);
    for (const heap of this.heaps.values()) heap.end();
    this.heaps.clear();
    this.tld.guests = null;
    forgetMemory(this.tld, true);
    addRange(this.tld, from, to, 0);
    announceMemory(this.tld);
  }

  addMemory(start: Address, size: number): void {
    const end = this.checkRange(start, size);
    const { from, to } = slicesIn(this.tld, start, end, true);
    addRange(this.tld, from, to, 0);
    announceMemory(this.tld);
  }

  addArena(start: Address, size: number): number {
    const end = this.checkRange(start, size);
    const segment = 4 << this.tld.segmentShift;
    const first = Math.ceil(start / segment) * segment;
    const last = Math.floor(end / segment) * segment;
    if (first >= last) {
      throw new AllocError('RegionTooSmall', `[${start}, ${end}) holds no whole segment of ${segment} bytes`);
    }
    const { from, to } = slicesIn(this.tld, first, last, true);
    const arena = Atomics.add(this.tld.i32, this.tld.header + Field.arenas, 1) + 1;
    addRange(this.tld, from, to, arena);
    announceMemory(this.tld);
    return arena;
  }

  private checkRange(start: Address, size: number): Address {
    checkInteger('start', start);
    checkInteger('size', size);
    // Says so when this thread has detached.
    this.tld.refresh();
    return checkRange(this.memory, start, size);
  }

  totalBytes(): number {
    this.tld.refresh();
    return presentBytes(this.tld);
  }

  usedBytes(): number {
    return usedBytes(this.tld);
  }

  availableBytes(): number {
    const used = this.usedBytes();
    return Math.max(0, this.totalBytes() - used);
  }

  footprintBytes(): number {
    if (this.tld.closed) this.tld.refresh();
    return this.tld.i32[this.tld.header + Field.peak] * OS_PAGE_BYTES;
  }

  collect(force = false): void {
    this.tld.refresh();
    if (force) reclaimAll(this.tld);
    forEachHeap(this.tld, (heap) => collectHeap(this.tld, heap, force));
    lookAtNull(this.tld);
    // The hook may have detached this thread.
    if (!this.tld.closed) inspectHeap(this.tld);
  }

  // ── Heaps of this thread ──

  heapNew(options: MiHeapOptions = {}): CoreHeap {
    if (this.tld.closed) this.tld.refresh();
    const record = makeHeap(this.tld, heapPlan(this.tld, options));
    if (record === 0) throw new AllocError('NoMemory', 'no memory for another heap');
    const heap = this.wrapHeap(record);
    this.heaps.set(record, heap);
    return heap;
  }

  /** The object that stands for a record. */
  protected wrapHeap(record: Word): CoreHeap {
    return new CoreHeap(this, record);
  }

  heapDelete(heap: MiHeapCore): void {
    this.checkHeap(heap).delete();
  }

  heapDestroy(heap: MiHeapCore): void {
    this.checkHeap(heap).destroy();
  }

  heapCollect(heap: MiHeapCore, force = false): void {
    this.checkHeap(heap).collect(force);
  }

  heapOf(address: Address): CoreHeap | null {
    const page = livePage(this.tld, checkInteger('address', address));
    if (page === 0 || threadOf(this.tld, page) !== this.threadId) return null;
    if (isGuest(this.tld, page, blockAt(this.tld, page, address >>> 2))) return null;
    return this.heaps.get(this.tld.i32[page + Page.xheap]) ?? null;
  }

  /** A heap has ended. */
  forgetHeap(heap: CoreHeap): void {
    this.heaps.delete(heap.record);
  }

  /** Only the thread that made a heap works on it. */
  protected checkHeap(heap: MiHeapCore): CoreHeap {
    if (!(heap instanceof CoreHeap)) throw new TypeError(`heap must be what heapNew returned, got ${heap}`);
    if (heap.thread !== this) {
      throw new AllocError(
        'InvalidParam',
        `this heap belongs to thread ${heap.tld.threadId}, and cannot be used by thread ${this.threadId}`,
      );
    }
    return heap;
  }

  share(): Handle {
    return { algorithm: ALGORITHM_NAME, memory: this.memory.source, start: this.tld.header * 4 };
  }

  shareSlot(): SlotHandle {
    if (this.tld.closed) this.tld.refresh();
    return { ...this.share(), threadId: reserveSlot(this.tld) };
  }

  reap(threadId: number): void {
    reapThread(this.tld, threadId);
  }

  detach(): void {
    if (this.tld.closed) return;
    lookAtNull(this.tld);
    // The hook may have detached this thread.
    if (!this.tld.closed) inspectHeap(this.tld);
    if (this.tld.closed) return;
    abandonThread(this.tld);
    this.tld.close();
  }

  [Symbol.dispose](): void {
    this.detach();
  }

  // ── Hooks ──

  registerDeferredFree(hook: DeferredFree | null): void {
    this.tld.deferredFree = hook;
  }

  registerError(hook: ErrorHook): void {
    this.tld.onError = hook;
  }

  registerOutput(hook: (text: string) => void): void {
    this.tld.output = hook;
  }
}

function isRequest(size: number): boolean {
  return typeof size === 'number' && size >>> 0 === size;
}
