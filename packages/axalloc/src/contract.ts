/**
 * What is injected: the byte part and the page part. This package knows no algorithm by name, and imports none.
 *
 * ```
 *      programs
 *         │ malloc free …                 │ allocPages …
 *   ┌─────▼──────────────┐                │
 *   │ AxAlloc            │────────────────┤
 *   └─────┬──────────────┘  runs of pages │
 *   ┌─────▼──────────────┐         ┌──────▼─────────┐
 *   │ ByteHeap, several  │         │ PageSource     │
 *   │ of ByteAlgorithms  │         │                │
 *   └────────────────────┘         └────────────────┘
 * ```
 */

import type {
  Address,
  AllocError,
  GlobalAllocator,
  Handle,
  MemorySource,
  PageAllocator,
  SharedMemory,
} from '@shmalloc/allocator-api';

/**
 * Where a byte heap is to be made.
 * @public
 */
export interface ByteHeapOptions {
  /** The memory that the pages lie in. */
  readonly memory: MemorySource;
  /** First byte that the heap may use: a page's start. */
  readonly start: Address;
  /** End of what it may use, one past the last byte: a page's end. */
  readonly end: Address;
}

/**
 * A heap of one algorithm, as one thread sees it: what the main class of each algorithm package offers.
 * @public
 */
export interface ByteHeap extends GlobalAllocator {
  /** The region. */
  readonly memory: SharedMemory;
  /** What another thread attaches with. Its three fields are recorded in the region, further ones are not. */
  share(): Handle;
  /** This thread is done with it; its blocks live on. */
  detach(): void;
  /** Walks everything; throws with the first broken invariant. With `quiet` no other thread is at work. */
  validate(options?: { readonly quiet?: boolean | undefined }): void;
  /** Figures about it. */
  stats(): object;
  /** Has `[start, start + size)` as well, for all threads, while they are at work. */
  addMemory(start: Address, size: number): void;
  /** Bytes under management. */
  totalBytes(): number;
  /** Bytes in blocks that are handed out, rounding included. */
  usedBytes(): number;
  /** Bytes that are not. */
  availableBytes(): number;
  /** Bytes that were ever touched; where it is missing, all of them count. */
  footprintBytes?(): number;
  /** Gives back what was put off. */
  collect?(force?: boolean): void;
  /** Takes what a thread had that has died. */
  reap?(threadId: number): void;
  /** Who this thread is, for `reap` in another. */
  readonly threadId?: number;
  /** Says where wrong frees go, in this thread. */
  registerError?(hook: (error: AllocError) => void): void;
}

/**
 * The byte part: how a heap of one algorithm is made, and attached to in another thread.
 * @public
 */
export interface ByteAlgorithm {
  /** The name that programs choose it by; at most 47 bytes of UTF-8. Every thread knows the same algorithm by the same name. */
  readonly name: string;
  /**
   * Makes a heap in a range. Adds to `options` what the algorithm needs besides (its lock, how many threads).
   * @throws AllocError `InvalidParam` with "too small" in its message when the range is: it is tried with twice as much then
   */
  create(options: ByteHeapOptions): ByteHeap;
  /** Attaches this thread to a heap. */
  attach(handle: Handle): ByteHeap;
}

/**
 * The page part: a page allocator that several threads use. `BitmapPages` is one.
 * @public
 */
export interface PageSource extends PageAllocator {
  /** The region that the pages lie in. */
  readonly memory: SharedMemory;
  /** What another thread attaches with. */
  share(): Handle;
  /** This thread is done with it. */
  detach(): void;
  /** Walks everything; throws with the first broken invariant. With `quiet` no other thread is at work. */
  validate?(options?: { readonly quiet?: boolean | undefined }): void;
  /** Looks for a write through NULL, where the region keeps a pattern for that: an error `Corrupted`, or null; each write once. */
  takeNullWrite?(): AllocError | null;
}

/**
 * What another thread attaches with.
 * @public
 */
export interface AxHandle extends Handle {
  /** The page part's. */
  readonly pages: Handle;
}
