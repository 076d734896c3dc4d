/**
 * What programs see of mimalloc: the allocator proper, and everything with which to look at it from outside.
 * A program that counts bytes imports `@shmalloc/mimalloc/core` instead, and has `MiMallocCore`: the same
 * without what is declared here, and without secure mode.
 */

import type {
  Address,
  BlockVisitor,
  LiveBlock,
  ScalarType,
  ValidateOptions,
  ViewTypes,
  VisitOptions,
} from '@shmalloc/allocator-api';
import type { MiHeapOptions } from '../heaps/heap-plan.ts';
import type { Picture } from '../inspect/inspect.ts';
import type { MiStats } from '../inspect/stats.ts';
import { CompleteThread } from './complete.ts';
import type { MiHeapCore, MiMallocClass, MiMallocCore } from './mimalloc-core.ts';
import type { Scope } from './scope.ts';

/**
 * Which blocks `MiMalloc.visitBlocks` shows.
 * @public
 */
export interface MiVisitOptions extends VisitOptions {
  /** Only those of this heap, which is the calling thread's. */
  readonly heap?: MiHeapCore | undefined;
}

/**
 * A heap of a thread, with everything to look at it.
 * @public
 */
export interface MiHeap extends MiHeapCore {
  /**
   * Calls back for each live block of this heap. O(blocks).
   * @param visitor - returns false to see no more; it may free the block that it is shown
   * @returns false when it did
   */
  visitBlocks(visitor: BlockVisitor): boolean;

  /** See `MiMalloc.mallocAs`. */
  mallocAs<T extends ScalarType>(type: T, length: number): ViewTypes[T] | null;

  /** See `MiMalloc.strdup`. */
  strdup(text: string): Address;

  /** See `MiMalloc.strndup`. */
  strndup(text: string, most: number): Address;

  /** See `MiMalloc.scope`. */
  scope(): Scope;
}

/**
 * mimalloc in shared memory. One object is one thread's access to a region; every thread makes its own.
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
export interface MiMalloc extends MiMallocCore {
  /** As in `MiMallocCore`. */
  heapNew(options?: MiHeapOptions): MiHeap;

  /** As in `MiMallocCore`. */
  heapOf(address: Address): MiHeap | null;

  /**
   * Hands out a block as a typed array over the shared memory. `free` takes the array back, like an address.
   * @param type - the element: `'i8'`, `'u8'`, … `'f64'`
   * @param length - elements; 0 gives an empty array at an address of its own
   * @returns the array, its contents undefined, or null when there is no memory
   * @throws TypeError, RangeError or AllocError `InvalidParam`, naming the argument
   */
  mallocAs<T extends ScalarType>(type: T, length: number): ViewTypes[T] | null;

  /**
   * Copies a text into a block: UTF-8 with a terminating zero byte.
   * @param text - what C sees of it ends at its first U+0000; half a surrogate pair becomes U+FFFD
   * @returns the block, or 0
   */
  strdup(text: string): Address;

  /**
   * The same with a limit.
   * @param text - the text
   * @param most - bytes of UTF-8 at most, besides the terminating zero; a character is copied whole or not at
   *   all
   * @returns the block, or 0
   */
  strndup(text: string, most: number): Address;

  /**
   * Reads a text that `strdup`, or a C program, has left in a block.
   * @param address - a block
   * @returns what stands before its first zero byte
   * @throws AllocError `NotAllocated` when there is no block
   */
  readString(address: Address): string;

  /** Blocks for a piece of the program: all that is allocated through the scope is freed when it ends. */
  scope(): Scope;

  /**
   * Calls back for each live block of all threads, of one, or of one heap of this thread. This thread's are
   * exact; so are those of threads that rest, or have ended; of threads at work, what they do meanwhile may
   * be missed. O(slices + blocks).
   * @param visitor - returns false to see no more; it may free a block that it is shown if that is this
   *   thread's, or no thread's
   * @param options - which
   * @returns false when it did
   * @throws AllocError `InvalidParam` for a heap of another thread
   */
  visitBlocks(visitor: BlockVisitor, options?: MiVisitOptions): boolean;

  /** The live blocks of all threads, largest first. O(slices + blocks · log blocks). */
  leaks(): LiveBlock[];

  /**
   * Calls back for each live block that no thread has: of threads that have detached, or have ended and were
   * reaped. Among them may be a block that a thread was about to hand out, or to free, when it was
   * terminated. O(blocks).
   * @param visitor - returns false to see no more; it may free the block that it is shown
   * @returns false when it did
   */
  visitAbandoned(visitor: BlockVisitor): boolean;

  /**
   * Whether an address is a live block's: whether `free` would free something there. Of other threads' blocks
   * the answer may be late. O(free blocks of its page).
   * @param address - any address
   */
  containsBlock(address: Address): boolean;

  /**
   * Whether an address lies in a page of this thread's heaps, in a live block or not. O(1).
   * @param address - any address
   */
  checkOwned(address: Address): boolean;

  /**
   * Whether an address lies in memory that this region's heaps have. O(1).
   * @param address - any address
   */
  isInRegion(address: Address): boolean;

  /**
   * Walks this thread's heaps, and what can be said of the rest while others work: it raises no false alarm.
   * O(slices + free blocks).
   * @param options - whether no other thread is inside a call: then all threads' heaps are checked as
   *   strictly
   * @throws AllocError `Corrupted` with the first broken invariant, `InvalidParam` with what secure mode
   *   finds
   */
  validate(options?: ValidateOptions): void;

  /**
   * The threads that have a slot: attached, expected by `MiMallocCore.shareSlot`, or ended and not
   * reaped yet. O(slots).
   * @returns their `threadId`, in the order of their slots
   */
  threadIds(): number[];

  /** Figures about the region and all threads in it. O(slices). */
  stats(): MiStats;

  /** The same as a text, laid out as mimalloc prints it. */
  statsText(): string;

  /** Prints the text through the output hook. */
  printStats(): void;

  /**
   * A picture of the region as plain objects: segments, pages, heaps, arenas. Any thread may take one while
   * the others go on; then it may be a little off, as {@link Picture}'s file says. O(slices + free blocks).
   */
  inspect(): Picture;
}

/**
 * Makes and attaches heaps.
 * @public
 */
export const MiMalloc: MiMallocClass<MiMalloc> = CompleteThread;
