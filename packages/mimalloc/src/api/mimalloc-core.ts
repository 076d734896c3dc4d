/**
 * What programs see of the allocator proper: `@shmalloc/mimalloc/core`.
 */

import type { Address, Handle, Heap, SlotHandle } from '@shmalloc/allocator-api';
import type { MiHeapOptions } from '../heaps/heap-plan.ts';
import type { MiAttachOptions } from '../region/open.ts';
import type { MiMallocOptions } from '../region/options.ts';
import type { DeferredFree } from '../thread/thread-view.ts';
import { CoreThread } from './core-thread.ts';
import type { MallocFamily } from './malloc-family.ts';

/**
 * How heaps are made: the static side of `MiMalloc`, of `MiMallocCore` and of `MiAllocatorInner`.
 * @public
 */
export interface MiMallocClass<H> {
  /** The name in handles and on the command line. */
  readonly algorithm: string;
  /**
   * Makes a region, or takes given memory for one, and attaches the calling thread.
   * @param options - where the region lies, and how it is run
   * @throws TypeError, RangeError or AllocError `InvalidParam`, naming the option; `NoMemory` when the engine
   *   refuses that much
   */
  create(options?: MiMallocOptions): H;

  /**
   * Attaches the calling thread to a region that another has made.
   * @param handle - what `share` has returned there
   * @param options - what this thread brings with it
   * @throws TypeError for no handle, AllocError `InvalidParam` for a foreign one or, in secure mode, a
   *   damaged header, `TooManyThreads` when `threads` are attached
   */
  attach(handle: Handle, options?: MiAttachOptions): H;
}

/**
 * A heap of a thread: blocks that are apart from the others, to free them all at once, to count them, or to
 * have them in memory of their own. It belongs to the thread that made it: no other thread allocates from it.
 * Blocks may be freed by any thread, with any `free`. When it is no longer wanted, `delete` lets its blocks
 * live on, and `destroy` frees them all.
 *
 * After `init`, a heap that was made before is gone like all blocks, for every thread.
 * @public
 */
export interface MiHeapCore extends MallocFamily {
  /** What `heapNew` was given. */
  readonly tag: number;
  /** What `heapNew` was given; 0 for the common memory. */
  readonly arena: number;

  /**
   * Whether a block is from this heap. O(1).
   * @param address - a live block; for the address of a block that is free the answer is that of its page
   */
  contains(address: Address): boolean;

  /**
   * Gathers what was freed, and gives empty pages back.
   * @param force - also what would be kept for a while, and memory without waiting for its time
   */
  collect(force?: boolean): void;

  /**
   * Ends the heap. Its blocks live on; they are freed like any others. Calling it twice does nothing.
   * O(pages), and O(segments) with a huge block.
   */
  delete(): void;

  /**
   * Ends the heap and frees all its blocks, wherever they are used. Calling it twice, or after `delete`, does
   * nothing. O(pages), and O(segments) with a huge block.
   *
   * No other thread may be freeing one of the blocks at that moment; frees that have returned are no harm. (A
   * huge block that another thread is freeing nevertheless is freed by one of the two; a free that comes
   * second is reported.)
   */
  destroy(): void;

  /** Deletes the heap. */
  [Symbol.dispose](): void;
}

/**
 * mimalloc in shared memory: the allocator proper. One object is one thread's access to a region; every
 * thread makes its own. It has all of `Heap` but what looks at it from outside.
 *
 * @example
 * ```ts
 * using heap = MiMallocCore.create({ bytes: 1 << 24 });
 * const block = heap.malloc(100);
 * heap.memory.u8[block] = 1;
 * worker.postMessage(heap.share()); // there: using heap = MiMallocCore.attach(handle)
 * heap.free(block);
 * ```
 * @public
 */
export interface MiMallocCore
  extends MallocFamily,
    Omit<Heap, keyof MallocFamily | 'leaks' | 'stats' | 'validate' | 'visitBlocks'> {
  /**
   * Forgets all blocks, all heaps and all memory, and has `[start, start + size)` alone. No other thread may
   * be using the region meanwhile. O(size).
   * @param start - bytes into the memory
   * @param size - bytes; whole slices of it are used
   * @throws AllocError `InvalidParam` when the range does not fit or holds no slice, `MemoryOverlap` when it
   *   covers the heap's own state
   */
  init(start: Address, size: number): void;

  /**
   * Has `[start, start + size)` as well, for the heaps of all threads. O(size).
   * @param start - bytes into the memory
   * @param size - bytes; whole slices of it are used
   * @throws AllocError `InvalidParam` when the range does not fit or holds no slice, `MemoryOverlap` when
   *   some of it is managed already
   */
  addMemory(start: Address, size: number): void;

  /**
   * Adds memory as an exclusive arena: only heaps that are made for it allocate there, and they nowhere else.
   * @param start - bytes into the memory
   * @param size - bytes; whole segments of it are used
   * @returns the arena's id, for `heapNew`: 1, 2, …
   * @throws AllocError `InvalidParam` when the range does not fit or holds no whole segment, `MemoryOverlap`
   *   when it is managed already
   */
  addArena(start: Address, size: number): number;

  /** Bytes in blocks that are handed out, of all threads, rounding included. O(slices). */
  usedBytes(): number;

  /** Bytes that are in no block; they may be in pages of another size, or another thread's. O(slices). */
  availableBytes(): number;

  /**
   * Gathers what other threads have freed, and gives empty pages back. O(pages).
   * @param force - also adopts what threads that have ended left behind, gives back what would be kept for a
   *   while, and purges without waiting
   */
  collect(force?: boolean): void;

  // ── Heaps of this thread ──

  /**
   * Makes a heap of this thread: blocks that are apart from the others. O(heaps ever made).
   * @param options - a tag, an exclusive arena
   * @throws AllocError `NoMemory` when there is none for its record, `InvalidParam` for a wrong option
   */
  heapNew(options?: MiHeapOptions): MiHeapCore;

  /**
   * Ends a heap; its blocks live on. See {@link MiHeapCore.delete}.
   * @throws AllocError `InvalidParam` for a heap of another thread
   */
  heapDelete(heap: MiHeapCore): void;

  /**
   * Ends a heap with all its blocks. See {@link MiHeapCore.destroy}.
   * @throws AllocError `InvalidParam` for a heap of another thread
   */
  heapDestroy(heap: MiHeapCore): void;

  /**
   * Collects one heap. See {@link MiHeapCore.collect}.
   * @throws AllocError `InvalidParam` for a heap of another thread
   */
  heapCollect(heap: MiHeapCore, force?: boolean): void;

  /**
   * The heap of this thread that a block is from.
   * @param address - a live block
   * @returns null when it is from no heap that this thread has made, as all are that `malloc` of the thread
   *   itself hands out
   */
  heapOf(address: Address): MiHeapCore | null;

  // ── Threads ──

  /**
   * Reserves a slot for a thread that is to come: the one that attaches with this handle has the `threadId`
   * that it names. So the thread that starts a worker can `MiMallocCore.reap` it however and whenever
   * it ends. Lock-free; O(slots).
   * @returns what one thread attaches with, once
   * @throws AllocError `TooManyThreads` when `threads` are attached or expected
   */
  shareSlot(): SlotHandle;

  /**
   * Gives back what a thread had that has ended without `MiMallocCore.detach`: call it when its
   * worker's `exit` has arrived. Its blocks live on, as after a detach; a block that it was about to hand out
   * or to free when it ended is lost, one at most, and `visitAbandoned` shows it among the others. Does
   * nothing when the thread has detached, or was reaped. Several threads may reap the same one. Lock-free;
   * O(slices + blocks of its pages).
   * @param threadId - what `threadId` was in that thread. It must be at an end: a living one would go on in
   *   another thread's memory
   * @throws TypeError or RangeError for what is no integer, AllocError `InvalidParam` for this thread's own
   */
  reap(threadId: number): void;

  /**
   * This thread is done. Blocks that are still in use live on; other threads adopt their pages. Calling it
   * twice does nothing. O(pages).
   */
  detach(): void;

  // ── Hooks ──

  /**
   * Says what runs on every generic allocation in this thread: a program that frees lazily gets its moment
   * here.
   * @param hook - may allocate and free; null for none
   */
  registerDeferredFree(hook: DeferredFree | null): void;

  /**
   * Says where text goes that the heap prints: errors without a hook, statistics. The default is the console.
   * @param hook - takes text with its line ends
   */
  registerOutput(hook: (text: string) => void): void;
}

/**
 * Makes and attaches heaps.
 * @public
 */
export const MiMallocCore: MiMallocClass<MiMallocCore> = CoreThread;
