/**
 * The class that programs use, with the fast paths.
 *
 * ```
 *   malloc:  CURRENT: as before? ─▶ the heap's malloc ─▶ tally + 1            2 loads, 1 store more than the heap alone
 *   free:    map[page]: mine?    ─▶ tally − 1 ─▶ the heap's free              2 loads, 1 store
 * ```
 *
 * `malloc` looks whether there is a new generation; `free` need not: a block of the announced generation is
 * freed there, and any other leads to the slow path, which looks.
 */

import {
  type Address,
  AllocError,
  checkAlign,
  checkInteger,
  type GlobalAllocator,
  type HeapAlgorithm,
  type Layout,
  MAX_BYTES,
  noteSites,
  type SharedPages,
  type Word,
  wrongLayout,
} from '@shmalloc/allocator-api';
import type { AxHandle } from './contract.ts';
import { attachParts, createParts } from './create.ts';
import { freeElsewhere, notAllocated, usableElsewhere } from './elsewhere.ts';
import { beginGeneration, closeAll, follow, settle, visit } from './generations.ts';
import { growFor } from './grow.ts';
import * as at from './header.ts';
import { type AxAllocOptions, type AxAttachOptions, checkName, namesOf } from './options.ts';
import { AxPages } from './page-face.ts';
import { slotOf } from './page-map.ts';
import { currentSlot } from './presence.ts';
import { leave, reapThread } from './reap.ts';

/**
 * A two-level global allocator: a byte heap that grows out of a page allocator, and page allocations beside
 * it. The byte heap's algorithm can be swapped while all threads allocate and free. One object is one
 * thread's access; every thread makes its own.
 *
 * @example
 * ```ts
 * const pages = BitmapPages.create({ bytes: 16 << 20 });
 * const allocator = AxAlloc.create({ pages, algorithms: [Tlsf, MiMalloc] });
 * const block = allocator.malloc(100); // tlsf's
 * allocator.swap('mimalloc');
 * allocator.free(block); // tlsf frees it, and its pages go back
 * ```
 * @public
 */
export class AxAlloc extends AxPages implements GlobalAllocator {
  private readonly ownsPages: boolean;
  private readonly currentWord: Word;

  /** @internal Use `create` or `attach`. */
  constructor(pages: SharedPages, header: Word, algorithms: readonly HeapAlgorithm[], ownsPages: boolean) {
    super(pages.memory, header, pages, namesOf(algorithms));
    this.ownsPages = ownsPages;
    this.currentWord = header + at.CURRENT;
    if (this.sites !== null) noteSites(this, this.sites);
  }

  /**
   * Makes an allocator; its state and its first heap lie in pages of the page part. Attaches the calling
   * thread.
   * @throws TypeError, RangeError or AllocError `InvalidParam`, naming the option; `NoMemory` when there are
   *   no pages, and then all are back
   */
  static create(options: AxAllocOptions): AxAlloc {
    return createParts(AxAlloc, options);
  }

  /**
   * Attaches the calling thread to an allocator that another has made.
   * @param handle - what `share` has returned there
   * @param options - the same parts, for this thread
   * @throws TypeError for no handle, AllocError `InvalidParam` for a foreign one, `TooManyThreads` when
   *   `threads` are attached
   */
  static attach(handle: AxHandle, options: AxAttachOptions): AxAlloc {
    return attachParts(AxAlloc, handle, options);
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
   * This thread is done; blocks that it has allocated live on. Later calls throw. Calling it twice does
   * nothing.
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
   * Hands out a block of the current algorithm; grows its heap when it has none. Progress: the algorithm's;
   * growing waits for another thread that is growing the same heap, a fifth of a second at the most.
   * @param size - bytes; 0 gives a unique address
   * @returns the block, or 0 when the heap is full and there are no pages
   * @throws TypeError or RangeError when `size` is no non-negative integer
   */
  malloc(size: number): Address {
    if (this.i32[this.currentWord] !== this.seen) follow(this);
    const block = this.heap.malloc(size);
    if (block === 0) return this.grown(size, 0);
    // After the block is out: a thread that is terminated in between leaves a block uncounted, and not a
    // count that can never go down.
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
   * Takes a block back, whichever algorithm it is from. 0 is ignored; what is not handed out goes to the
   * error hook and changes nothing. Costs a few atomic operations more when the block is not from the
   * generation that this thread allocates from.
   * @throws TypeError or RangeError when `address` is no non-negative integer
   */
  free(address: Address): void {
    const error = this.tryFree(address);
    if (error !== null) this.report(error);
  }

  /**
   * `free` that says why not, and otherwise costs the same.
   * @returns null when the block is back; else what is wrong, and nothing has changed
   */
  tryFree(address: Address): AllocError | null {
    if (typeof address === 'number' && address >>> 0 === address) {
      const page = (address >>> this.pageShift) - this.firstPage;
      // Unsigned: in front of the map and behind it lie other bytes.
      if (page >>> 0 < this.mapPages && (this.u8[this.map + page] & at.SLOT_MASK) === this.slot) {
        // Before the block is back: a thread that is terminated in between leaves a block uncounted, and not
        // a count without a block.
        this.i32[this.tally]--;
        const error = this.heap.tryFree(address);
        if (error !== null) this.takeBack(error);
        return error;
      }
    }
    if (address === 0) return null;
    this.demandOpen();
    const slot = slotOf(this, address);
    if (slot === 0 || slot === at.OWN_PAGES) return notAllocated('free', checkInteger('address', address));
    follow(this);
    return slot === this.slot ? this.tryFree(address) : freeElsewhere(this, slot, address);
  }

  /** A free that was none is not counted. */
  private takeBack(error: AllocError): void {
    if (error.code !== 'Corrupted') this.i32[this.tally]++;
  }

  /**
   * Changes a block's size, moving it when it must. A block of an old generation that has to move becomes one
   * of the current.
   * @param address - a block, or 0 to allocate one
   * @param size - bytes; 0 still leaves a block
   * @returns the block, or 0, and then the old one is untouched
   */
  realloc(address: Address, size: number): Address {
    return this.answer(this.tryRealloc(address, size));
  }

  /**
   * `realloc` that says why not.
   * @returns the block, 0 when there is no memory, or what is wrong; then the old block is untouched
   */
  tryRealloc(address: Address, size: number): Address | AllocError {
    if (address === 0) return this.malloc(size);
    if (this.i32[this.currentWord] !== this.seen) follow(this);
    if (slotOf(this, address) === this.slot) {
      const block = this.heap.tryRealloc(address, size);
      if (block !== 0) return block;
      const usable = this.heap.tryUsableSize(address);
      return typeof usable === 'number' ? this.move(address, usable, size) : usable;
    }
    checkInteger('size', size);
    const usable = this.tryUsableSize(address, 'realloc');
    if (typeof usable !== 'number') return usable;
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

  /**
   * Bytes that may be used in a live block.
   * @returns at least the size asked for; 0 for 0 and for what is not handed out, which goes to the error
   *   hook
   */
  usableSize(address: Address): number {
    return this.answer(this.tryUsableSize(address));
  }

  /**
   * `usableSize` that says why not.
   * @param operation - the name of the call, for the error
   * @returns bytes, or what is wrong
   */
  tryUsableSize(address: Address, operation = 'usableSize'): number | AllocError {
    if (address === 0) return 0;
    this.demandOpen();
    const slot = slotOf(this, address);
    if (slot === this.slot) return this.heap.tryUsableSize(address);
    if (slot === 0 || slot === at.OWN_PAGES) return notAllocated(operation, checkInteger('address', address));
    return usableElsewhere(this, slot, address, operation);
  }

  /** The answer of a call that may have been wrong: then it is reported, and the answer is 0. */
  private answer(found: number | AllocError): number {
    if (typeof found === 'number') return found;
    this.report(found);
    return 0;
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
   * @throws AllocError `NotAllocated` when no such block is handed out, `InvalidParam` when it cannot have
   *   been allocated with these
   */
  dealloc(address: Address, size: number, align: number): void {
    checkInteger('address', address);
    checkInteger('size', size);
    checkAlign('align', align);
    const usable = address === 0 ? notAllocated('dealloc', 0) : this.tryUsableSize(address, 'dealloc');
    if (typeof usable !== 'number') throw usable;
    if (usable < size || address % align !== 0) throw wrongLayout(address, usable, size, align);
    const error = this.tryFree(address);
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

  // ── The algorithm ──

  /** The algorithm that new blocks come from. */
  get name(): string {
    this.demandOpen();
    return at.readName(this.memory, this.entry(currentSlot(this)));
  }

  /**
   * Lets new blocks of all threads come from a new heap of this algorithm, from each thread's next allocation
   * on. May be called from any thread, while all allocate and free. Blocks of older heaps stay where they are
   * and are freed there; a heap whose last block goes gives its pages back, once no thread can be about to
   * allocate from it: a thread that idles holds it until it calls {@link AxAlloc.settle}, or anything that
   * does.
   *
   * Lock-free, but for what the algorithms do. A swap to the algorithm that is current makes a new heap all
   * the same.
   * @param name - of one of the algorithms
   * @throws AllocError `InvalidParam` when there is no such algorithm, `NoMemory` when there are no pages or
   *   `maxGenerations` heaps hold blocks; then nothing has changed
   */
  swap(name: string): void {
    this.demandOpen();
    this.lookAtNull();
    const algorithm = this.algorithms.get(checkName(name, [...this.algorithms.keys()])) as HeapAlgorithm;
    closeAll(this);
    beginGeneration(this, algorithm);
    this.count(at.SWAPS);
    settle(this);
    closeAll(this);
  }

  /**
   * Lets this thread notice a swap, so that it holds no old heap. Every allocation does the same. For threads
   * that idle. Lock-free; one atomic load when there is nothing new.
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
      visit(this, slot, (heap) => heap.collect(force));
    closeAll(this);
  }

  /**
   * Takes over from a thread that has ended without {@link AxAlloc.detach}, so that it holds nothing back:
   * call it when its worker's `exit` has arrived. Does nothing for a thread that has detached, that was
   * reaped, or that there never was. Several threads may reap the same one: one of them does it, and when
   * that one dies in the middle, the thread that reaps it goes on. What a dead thread held behind an
   * algorithm's lock, cannot be given back.
   * @param threadId - what `threadId` was in that thread. It must be at an end
   * @throws TypeError or RangeError for what is no integer, AllocError `InvalidParam` for this thread's own;
   *   `NoMemory` when this thread finds no place in a heap that the dead one used: then it is not reaped, and
   *   another thread may
   */
  reap(threadId: number): void {
    reapThread(this, threadId);
  }
}
