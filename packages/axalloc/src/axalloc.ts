/**
 * The class that programs use, with the fast paths.
 *
 * ```
 *   malloc:  CURRENT: as before? ─▶ the heap's malloc ─▶ tally + 1            2 loads, 1 store more than the heap alone
 *   free:    map[page]: mine?    ─▶ tally − 1 ─▶ the heap's free              2 loads, 1 store
 * ```
 *
 * `malloc` looks whether there is a new generation; `free` need not: a block of the announced generation is freed there, and any other leads to
 * the slow path, which looks.
 */

import {
  type Address,
  AllocError,
  checkAlign,
  checkInteger,
  checkOptions,
  type GlobalAllocator,
  MAX_BYTES,
  wrongLayout,
} from '@shmalloc/allocator-api';
import type { AxHandle, ByteAlgorithm, ByteHeap, PageSource } from './contract.ts';
import { beginGeneration, close, closeAll, follow, heapAt, isThere, settle, visit } from './generations.ts';
import { growFor } from './grow.ts';
import * as at from './layout.ts';
import {
  type AxAllocOptions,
  type AxAttachOptions,
  checkName,
  demandPages,
  demandRange,
  firstOf,
  namesOf,
} from './options.ts';
import { AxPages } from './page-face.ts';
import { slotOf } from './page-map.ts';
import { policyOf } from './policy.ts';
import { beginVisit, currentSlot, endVisit, takeLine } from './presence.ts';
import { leave, reapThread } from './reap.ts';

// The fast paths' constants. V8 folds a constant of the same module that is not exported; an import it loads at every use.
const CURRENT: number = at.CURRENT;
const SLOTS: number = at.SLOT_MASK;

const CREATE_OPTIONS = ['pages', 'algorithms', 'algorithm', 'policy', 'maxCpus', 'maxGenerations', 'limit'];
const ATTACH_OPTIONS = ['attachPages', 'algorithms'];

/**
 * A two-level global allocator: a byte heap that grows out of a page allocator, and page allocations beside it. The byte heap's algorithm can be
 * swapped while all threads allocate and free. One object is one thread's access; every thread makes its own.
 *
 * @example
 * ```ts
 * const algorithms = [
 *   { name: 'tlsf', create: (o) => Tlsf.create({ ...o, lock: 'spin' }), attach: (h) => Tlsf.attach(h) },
 *   { name: 'mimalloc', create: (o) => MiMalloc.create({ ...o, maxThreads: 16 }), attach: (h) => MiMalloc.attach(h) },
 * ];
 * const allocator = AxAlloc.create({ pages: BitmapPages.create({ bytes: 16 << 20 }), algorithms });
 * const block = allocator.malloc(100); // tlsf's
 * allocator.swap('mimalloc');
 * allocator.free(block); // tlsf frees it, and its pages go back
 * ```
 * @public
 */
export class AxAlloc extends AxPages implements GlobalAllocator {
  private readonly ownsPages: boolean;
  private readonly currentWord: at.Word;

  /** @internal Use `create` or `attach`. */
  constructor(pages: PageSource, header: at.Word, algorithms: readonly ByteAlgorithm[], ownsPages: boolean) {
    super(pages.memory, header, pages, namesOf(algorithms));
    this.ownsPages = ownsPages;
    this.currentWord = header + CURRENT;
  }

  /**
   * Makes an allocator; its state and its first heap lie in pages of the page part. Attaches the calling thread.
   * @throws TypeError, RangeError or AllocError `InvalidParam`, naming the option; `NoMemory` when there are no pages, and then all are back
   */
  static create(options: AxAllocOptions): AxAlloc {
    checkOptions(options, CREATE_OPTIONS, []);
    const { pages, algorithms, maxCpus = 16, maxGenerations = 64 } = options;
    demandPages(pages);
    const first = firstOf(algorithms, options.algorithm);
    const policy = policyOf(options.policy);
    const { memory, pageSize } = pages;
    // Another thread may have let it grow.
    memory.refresh();
    const limit = checkInteger('limit', options.limit ?? memory.end);
    demandRange('maxCpus', maxCpus, 1, at.MOST_CPUS);
    demandRange('maxGenerations', maxGenerations, 2, at.MOST_GENERATIONS);
    demandRange('limit', limit, memory.start, MAX_BYTES);
    const firstPage = Math.floor(memory.start / pageSize);
    const geometry = {
      cpus: maxCpus,
      generations: maxGenerations,
      pageShift: Math.log2(pageSize),
      firstPage,
      mapPages: Math.ceil(limit / pageSize) - firstPage,
    };
    const count = Math.ceil(at.placesOf(geometry).bytes / pageSize);
    const start = pages.allocPages(count, pageSize);
    const header = start >>> 2;
    try {
      memory.refresh();
      if (start + count * pageSize > (firstPage + geometry.mapPages) * pageSize)
        throw new AllocError(
          'NoMemory',
          `there are no pages for the allocator's state below the limit (${limit})`,
        );
      at.writeHeader(memory, header, geometry, policy, count);
      const allocator = new AxAlloc(pages, header, algorithms, false);
      takeLine(allocator);
      beginGeneration(allocator, first);
      settle(allocator);
      at.publishHeader(memory, header);
      return allocator;
    } catch (error) {
      pages.deallocPages(start, count);
      throw error;
    }
  }

  /**
   * Attaches the calling thread to an allocator that another has made.
   * @param handle - what `share` has returned there
   * @param options - the same parts, for this thread
   * @throws TypeError for no handle, AllocError `InvalidParam` for a foreign one, `NoMemory` when `maxCpus` are attached
   */
  static attach(handle: AxHandle, options: AxAttachOptions): AxAlloc {
    checkOptions(options, ATTACH_OPTIONS, []);
    const { header } = at.openHeader(handle);
    firstOf(options.algorithms, undefined);
    const pages = options.attachPages(handle.pages);
    try {
      demandPages(pages);
      if (pages.memory.source !== handle.memory)
        throw new AllocError('InvalidParam', 'the page part lies in another memory than the allocator');
      // It may have been attached before the memory grew to where the allocator's state lies.
      pages.memory.refresh();
      const allocator = new AxAlloc(pages, header, options.algorithms, true);
      if (!takeLine(allocator)) {
        const { cpus } = allocator.geometry;
        throw new AllocError('NoMemory', `${cpus} threads are attached, and no more can be: see maxCpus`);
      }
      try {
        settle(allocator);
      } catch (error) {
        leave(allocator);
        throw error;
      }
      return allocator;
    } catch (error) {
      pages.detach();
      throw error;
    }
  }

  /** What another thread attaches with. It can be posted to workers. */
  share(): AxHandle {
    return {
      algorithm: at.ALGORITHM,
      memory: this.memory.source,
      start: this.header * 4,
      pages: this.pages.share(),
    };
  }

  /**
   * This thread is done; blocks that it has allocated live on. Later calls throw. Calling it twice does nothing.
   */
  detach(): void {
    if (this.closed) return;
    this.lookAtNull();
    leave(this);
    this.close();
    if (this.ownsPages) this.pages.detach();
  }

  /** Detaches. */
  [Symbol.dispose](): void {
    this.detach();
  }

  // ── Blocks ──

  /**
   * Hands out a block of the current algorithm; grows its heap when it has none. Progress: the algorithm's; growing waits for another thread that
   * is growing the same heap, a fifth of a second at the most.
   * @param size - bytes; 0 gives a unique address
   * @returns the block, or 0 when the heap is full and there are no pages
   * @throws TypeError or RangeError when `size` is no non-negative integer
   */
  malloc(size: number): Address {
    if (this.i32[this.currentWord] !== this.seen) follow(this);
    const block = this.heap.malloc(size);
    if (block === 0) return this.grown(size, 0);
    // After the block is out: a thread that is terminated in between leaves a block uncounted, and not a count that nobody can lower.
    this.i32[this.tally]++;
    return block;
  }

  /**
   * Hands out a zeroed block.
   * @param count - elements
   * @param size - bytes of each
   * @returns the block, or 0, also when `count * size` exceeds the address space
   */
  calloc(count: number, size: number): Address {
    if (this.i32[this.currentWord] !== this.seen) follow(this);
    const block = this.heap.calloc(count, size);
    if (block !== 0) {
      this.i32[this.tally]++;
      return block;
    }
    const bytes = count * size;
    const grown = bytes < MAX_BYTES ? this.grown(bytes, 0) : 0;
    if (grown !== 0) this.bytesFor(grown, bytes).fill(0, grown, grown + bytes);
    return grown;
  }

  /**
   * Hands out a block at a multiple of `align`.
   * @param align - bytes, a power of two
   * @param size - bytes
   * @returns the block, or 0
   * @throws AllocError `InvalidParam` when `align` is no power of two
   */
  alignedAlloc(align: number, size: number): Address {
    if (this.i32[this.currentWord] !== this.seen) follow(this);
    const block = this.heap.alignedAlloc(align, size);
    if (block === 0) return this.grown(size, align);
    this.i32[this.tally]++;
    return block;
  }

  /** What the heap has not got: more pages, and the block out of them. */
  private grown(size: number, align: number): Address {
    this.lookAtNull();
    const block = growFor(this, size, align);
    if (block !== 0) this.i32[this.tally]++;
    return block;
  }

  /**
   * Takes a block back, whichever algorithm it is from. 0 is ignored; what is not handed out goes to the error hook and changes nothing. Costs a few
   * atomic operations more when the block is not from the generation that this thread allocates from.
   * @throws TypeError or RangeError when `address` is no non-negative integer
   */
  free(address: Address): void {
    if (typeof address === 'number' && address >>> 0 === address) {
      const page = (address >>> this.pageShift) - this.firstPage;
      // Unsigned: in front of the map and behind it lie other bytes.
      if (page >>> 0 < this.mapPages && (this.u8[this.map + page] & SLOTS) === this.slot) {
        // Before the block is back: see `View.fault`.
        this.i32[this.tally]--;
        this.heap.free(address);
        return;
      }
    }
    this.freeElsewhere(address);
  }

  /** Frees what is not from this thread's generation. */
  private freeElsewhere(address: Address): void {
    if (address === 0) return;
    this.demandOpen();
    const slot = slotOf(this, address);
    if (slot === 0 || slot === at.OWN_PAGES) {
      this.report(this.notAllocated('free', checkInteger('address', address)));
      return;
    }
    follow(this);
    if (slot === this.slot) this.free(address);
    else this.release(slot, address);
  }

  /** Frees a block of a generation that this thread does not announce. */
  private release(slot: number, address: Address): void {
    const { i32 } = this;
    const { blame } = this;
    const balance = this.entry(slot) + at.BALANCE;
    beginVisit(this, slot);
    try {
      const heap = heapAt(this, slot, address);
      if (heap === null) {
        this.refuse('free', address);
        return;
      }
      this.blame = balance;
      Atomics.sub(i32, balance, 1);
      // Only of a block that was free already: see step 6 in `generations.ts`. The count goes with the generation.
      if (isThere(this, slot)) heap.free(address);
      else this.refuse('free', address);
    } catch (error) {
      this.tell(error);
    } finally {
      this.blame = blame;
      endVisit(this);
      close(this, slot);
    }
  }

  /** What a heap would say of a block that it does not know, of one whose heap is gone. */
  private refuse(operation: string, address: Address): void {
    const error = this.notAllocated(operation, address);
    if (this.catching) this.caught ??= error;
    else this.report(error);
  }

  /** Damage that stands in the way of a call goes to the hook. */
  private tell(error: unknown): void {
    if (!(error instanceof AllocError && error.code === 'Corrupted')) throw error;
    this.report(error);
  }

  /**
   * Changes a block's size, moving it when it must. A block of an old generation that has to move becomes one of the current.
   * @param address - a block, or 0 to allocate one
   * @param size - bytes; 0 still leaves a block
   * @returns the block, or 0, and then the old one is untouched
   */
  realloc(address: Address, size: number): Address {
    if (address === 0) return this.malloc(size);
    if (this.i32[this.currentWord] !== this.seen) follow(this);
    if (slotOf(this, address) === this.slot) {
      const { faults } = this;
      // A report takes nothing back here: nothing was counted.
      this.blame = this.line + at.SCRATCH;
      let block = 0;
      try {
        block = this.heap.realloc(address, size);
      } finally {
        this.blame = this.tally;
      }
      if (block !== 0 || this.faults !== faults) return block;
      return this.move(address, this.usableSize(address), size);
    }
    checkInteger('size', size);
    const usable = this.usableOf(address, 'realloc');
    if (usable === 0) return 0;
    // Where it is: as long as less than half of it lies fallow, which is mimalloc's rule.
    if (size <= usable && size * 2 >= usable) return address;
    const moved = this.move(address, usable, size);
    return moved === 0 && size <= usable ? address : moved;
  }

  /** Moves a block into the current generation. */
  private move(address: Address, usable: number, size: number): Address {
    if (size >= MAX_BYTES) return 0;
    const moved = this.malloc(size);
    if (moved === 0) return 0;
    const bytes = Math.min(usable, size);
    this.bytesFor(Math.max(address, moved), bytes).copyWithin(moved, address, address + bytes);
    this.free(address);
    return moved;
  }

  /** All bytes of the memory, at least up to here. */
  private bytesFor(address: Address, bytes: number): Uint8Array {
    if (address + bytes > this.memory.byteLength) this.memory.refresh();
    return this.memory.u8;
  }

  /**
   * Bytes that may be used in a live block.
   * @returns at least the size asked for; 0 for 0 and for what is not handed out, which goes to the error hook
   */
  usableSize(address: Address): number {
    return address === 0 ? 0 : this.usableOf(address, 'usableSize');
  }

  private usableOf(address: Address, operation: string): number {
    this.demandOpen();
    const slot = slotOf(this, address);
    if (slot === this.slot) return this.usableIn(this.heap, address);
    if (slot === 0 || slot === at.OWN_PAGES) {
      this.report(this.notAllocated(operation, checkInteger('address', address)));
      return 0;
    }
    beginVisit(this, slot);
    try {
      const heap = heapAt(this, slot, address);
      if (heap !== null) return this.usableIn(heap, address);
      this.refuse(operation, address);
      return 0;
    } catch (error) {
      this.tell(error);
      return 0;
    } finally {
      endVisit(this);
      // A closer may have seen this visit and given up.
      close(this, slot);
    }
  }

  /** Asks a heap; a report takes nothing back. */
  private usableIn(heap: ByteHeap, address: Address): number {
    const { blame } = this;
    this.blame = this.line + at.SCRATCH;
    try {
      return heap.usableSize(address);
    } finally {
      this.blame = blame;
    }
  }

  // ── Blocks with explicit layouts ──

  /**
   * Hands out a block.
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
   * @throws AllocError `NotAllocated` when no such block is handed out, `InvalidParam` when it cannot have been allocated with these
   */
  dealloc(address: Address, size: number, align: number): void {
    checkInteger('address', address);
    checkInteger('size', size);
    checkAlign('align', align);
    const usable = this.catchingFaults('dealloc', address, () => this.usableOf(address, 'dealloc'));
    if (usable < size || address % align !== 0) throw wrongLayout(address, usable, size, align);
    this.catchingFaults('dealloc', address, () => this.free(address));
  }

  /** Throws what a heap reports, and for 0, instead of telling the hook. */
  private catchingFaults<T>(operation: string, address: Address, use: () => T): T {
    const slot = slotOf(this, address);
    if (slot === 0 || slot === at.OWN_PAGES) {
      this.demandOpen();
      throw this.notAllocated(operation, address);
    }
    this.catching = true;
    try {
      const result = use();
      if (this.caught !== null) throw this.notAllocated(operation, address);
      return result;
    } finally {
      this.catching = false;
      this.caught = null;
    }
  }

  private notAllocated(operation: string, address: Address): AllocError {
    return new AllocError('NotAllocated', `${operation}(${address}): no such block is handed out`);
  }

  /**
   * Says where wrong calls go, in this thread. The default prints them.
   * @param hook - may use the allocator
   */
  registerError(hook: (error: AllocError) => void): void {
    this.onError = hook;
  }

  // ── The algorithm ──

  /** The algorithm that new blocks come from. */
  get name(): string {
    this.demandOpen();
    return at.readName(this.memory, this.entry(currentSlot(this)));
  }

  /**
   * Lets new blocks of all threads come from a new heap of this algorithm, from each thread's next allocation on. May be called from any thread,
   * while all allocate and free. Blocks of older heaps stay where they are and are freed there; a heap whose last block goes gives its pages
   * back, once no thread can be about to allocate from it: a thread that idles holds it until it calls {@link AxAlloc.settle}, or anything that does.
   *
   * Lock-free, but for what the algorithms do. A swap to the algorithm that is current makes a new heap all the same.
   * @param name - of one of the algorithms
   * @throws AllocError `InvalidParam` when there is no such algorithm, `NoMemory` when there are no pages or `maxGenerations` heaps hold
   *   blocks; then nothing has changed
   */
  swap(name: string): void {
    this.demandOpen();
    this.lookAtNull();
    const algorithm = this.algorithms.get(checkName(name, [...this.algorithms.keys()])) as ByteAlgorithm;
    closeAll(this);
    beginGeneration(this, algorithm);
    this.count(at.SWAPS);
    settle(this);
    closeAll(this);
  }

  /**
   * Lets this thread notice a swap, so that it holds no old heap. Every allocation does the same. For threads that idle. Lock-free; one atomic load when
   * there is nothing new.
   */
  settle(): void {
    settle(this);
  }

  /**
   * Lets each heap give back what it has put off, and gives back heaps that are over.
   * @param force - all of it
   */
  collect(force = false): void {
    settle(this);
    this.lookAtNull();
    for (let slot = 1; slot <= this.geometry.generations; slot++)
      visit(this, slot, (heap) => heap.collect?.(force));
    closeAll(this);
  }

  /**
   * Takes over from a thread that has ended without {@link AxAlloc.detach}, so that it holds nothing back: call it when its worker's `exit` has arrived. Does
   * nothing for a thread that has detached, that was reaped, or that there never was. Several threads may reap the same one: one of them does it, and when that
   * one dies in the middle, the thread that reaps it goes on. What a dead thread held behind an algorithm's lock, nobody can give back.
   * @param threadId - what `threadId` was in that thread. It must be at an end
   * @throws TypeError or RangeError for what is no integer, AllocError `InvalidParam` for this thread's own; `NoMemory` when this thread
   *   finds no place in a heap that the dead one used: then it is not reaped, and another thread may
   */
  reap(threadId: number): void {
    reapThread(this, threadId);
  }
}
