/**
 * The one contract of a heap: what every byte heap of shmalloc offers, and what the kernel, the two-level
 * allocator, the conformance kit, the lab and programs rely on. An algorithm's main class satisfies
 * {@link HeapAlgorithm}, its instances {@link Heap}.
 *
 * ```
 *   HeapAlgorithm.create(options) ──▶ Heap ──share()──▶ Handle ──postMessage──▶ HeapAlgorithm.attach(handle) ──▶ Heap
 *        one thread                                                                another thread, the same blocks
 * ```
 *
 * Every algorithm knows all of {@link HeapOptions} and ignores what it has no use for; beyond those it may
 * have its own. Anything else is an error.
 */

import type { Address } from './address.ts';
import type { ByteAllocator, GlobalAllocator, PageAllocator } from './allocators.ts';
import type { AllocError } from './error.ts';
import type { Handle, SlotHandle } from './handle.ts';
import type { LockKind } from './lock-kind.ts';
import type { RegionOptions } from './memory-source.ts';
import type { SharedMemory } from './shared-memory.ts';

/**
 * Hears of errors that are not thrown: wrong frees, and damage that a call finds.
 * @public
 */
export type ErrorHook = (error: AllocError) => void;

/**
 * What every algorithm's `create` takes.
 * @public
 */
export interface HeapOptions extends RegionOptions {
  /** Whether the heap may grow its memory by itself, up to `maxBytes`. Default: the algorithm's. */
  grow?: boolean | undefined;
  /**
   * Threads that are attached at the same time, at most. Default: the algorithm's; one that knows no threads
   * takes any number.
   */
  threads?: number | undefined;
  /** Default `'spin'` where there is a lock. */
  lock?: LockKind | undefined;
  /**
   * Whether every wrong free is detected, and `leaks` tells where each block was allocated: for that an
   * eighth of the region, 32 MiB at the most, and some microseconds a call. A region below 128 KiB has no
   * room for it. Default false.
   */
  debug?: boolean | undefined;
  /** Where errors go that are not thrown, in this thread. Default: the console. */
  onError?: ErrorHook | undefined;
}

/**
 * What every algorithm's `attach` takes.
 * @public
 */
export interface AttachOptions {
  /**
   * `'outside'` for a heap that was made with it, and has to be said then. Any other kind has to be the
   * heap's.
   */
  lock?: LockKind | undefined;
  /** As in {@link HeapOptions}, for this thread. */
  onError?: ErrorHook | undefined;
}

/**
 * What `validate` may take for granted.
 * @public
 */
export interface ValidateOptions {
  /** Whether no other thread is inside a call: then everything is checked. Default false. */
  readonly quiet?: boolean | undefined;
}

/**
 * Called with a live block. It must not call the heap.
 * @param address - of the block
 * @param size - bytes that may be used there
 * @param tag - of the heap within the region that the block is from; 0 where an algorithm has none
 * @param threadId - of the thread whose page it lies in; 0 when there is none
 * @returns false to see no more
 * @public
 */
export type BlockVisitor = (address: Address, size: number, tag: number, threadId: number) => unknown;

/**
 * Which blocks {@link Heap.visitBlocks} shows.
 * @public
 */
export interface VisitOptions {
  /** Only those of this thread; 0: those of no thread. Default: all. */
  readonly threadId?: number | undefined;
}

/**
 * A live block, as {@link Heap.leaks} shows it.
 * @public
 */
export interface LiveBlock {
  readonly address: Address;
  /** Bytes that may be used there. */
  readonly size: number;
  readonly tag: number;
  readonly threadId: number;
  /**
   * Where it was allocated: a stack, one line a call, the innermost first; whichever thread has done so. Null
   * unless the heap was made with `debug`, and where there was no room to note it.
   */
  readonly site: string | null;
}

/**
 * What one thread has done, and has; null where an algorithm cannot tell.
 * @public
 */
export interface ThreadStats {
  /** 0 where an algorithm knows no threads: then it is the thread that asks. */
  readonly threadId: number;
  /** Times that it has found a lock taken. 0 where there are no locks. */
  readonly lockWaits: number | null;
  /** Blocks of other threads that it has freed. */
  readonly remoteFrees: number | null;
  /** Bytes of memory that are its own now. */
  readonly heldBytes: number | null;
  /** Its requests that were answered with 0. */
  readonly failures: number | null;
}

/**
 * Figures that every heap tells. Algorithms may tell more.
 * @public
 */
export interface HeapStats {
  /** As in its handles. */
  readonly algorithm: string;
  /** `'none'` where there is no lock. */
  readonly lock: LockKind;
  /** Bytes under management. */
  readonly totalBytes: number;
  /** Bytes in blocks that are handed out, rounding included. */
  readonly usedBytes: number;
  /** The difference. */
  readonly availableBytes: number;
  /** Bytes of the region that were ever touched, the allocator's own state included. */
  readonly footprintBytes: number;
  /** Requests answered with 0. */
  readonly failures: number | null;
  /** Wrong calls and damage that were reported. */
  readonly errors: number | null;
  /** The threads that there are. */
  readonly threads: readonly ThreadStats[];
}

/**
 * One thread's access to a heap. Every thread makes its own. After `detach` every call throws AllocError
 * `InvalidParam`.
 * @public
 */
export interface Heap extends GlobalAllocator, ByteAllocator {
  /** The region. */
  readonly memory: SharedMemory;
  /** This thread among those attached; 0 where an algorithm knows no threads. */
  readonly threadId: number;
  /**
   * What another thread attaches with. Structured-cloneable.
   * @throws AllocError `Unsupported` for a heap with `lock: 'none'`
   */
  share(): Handle;
  /**
   * What one thread attaches with, once, which then has the `threadId` that it names: so it can be reaped
   * however early it dies.
   * @throws AllocError `TooManyThreads` when no more can be attached, and as `share`
   */
  shareSlot(): SlotHandle;
  /** This thread is done; its blocks live on. A second time does nothing. */
  detach(): void;
  /** Detaches. */
  [Symbol.dispose](): void;
  /**
   * That thread has died. Nothing happens for one that is unknown or has detached; several threads may reap
   * the same one.
   * @throws AllocError `InvalidParam` for this thread itself
   */
  reap(threadId: number): void;
  /** `free` that says why not, instead of reporting it. 0 is ignored. */
  tryFree(address: Address): AllocError | null;
  /** `realloc` that says why not; a block that cannot be had is 0. */
  tryRealloc(address: Address, size: number): Address | AllocError;
  /** `usableSize` that says why not. */
  tryUsableSize(address: Address): number | AllocError;
  /** Says where errors go that are not thrown, in this thread. The hook may use the heap. */
  registerError(hook: ErrorHook): void;
  /** Does what an algorithm has put off; with `force` all of it. */
  collect(force?: boolean): void;
  /** Bytes of the region that were ever touched, the allocator's own state included. Makes no garbage. */
  footprintBytes(): number;
  /**
   * Calls back for each live block of all threads, or of one. While others work, what they do may be missed.
   */
  visitBlocks(visitor: BlockVisitor, options?: VisitOptions): void;
  /** The live blocks, largest first: at the end of a program, what it has not freed. */
  leaks(): LiveBlock[];
  /**
   * Walks everything. Reports only what it has seen unchanged twice, so other threads may be at work.
   * @throws AllocError `Corrupted` with the first broken invariant
   */
  validate(options?: ValidateOptions): void;
  /** Figures, as of about now. */
  stats(): HeapStats;
}

/**
 * How heaps of one algorithm are made: the static side of its main class.
 * @public
 */
export interface HeapAlgorithm<H extends Heap = Heap> {
  /** Its name in handles, in statistics and on the command line: `'mimalloc'`, `'basic-first'`. */
  readonly algorithm: string;
  /**
   * Makes a region, or takes given memory for one, and attaches the calling thread.
   * @throws TypeError, RangeError or AllocError `InvalidParam`, naming the option; `RegionTooSmall`;
   *   `NoMemory` when the engine refuses that much
   */
  create(options?: HeapOptions): H;
  /**
   * Attaches the calling thread to a heap that another has made.
   * @throws TypeError for no handle, AllocError `InvalidParam` for a foreign one, `TooManyThreads`,
   *   `Unsupported` for a heap that is not shared
   */
  attach(handle: Handle, options?: AttachOptions): H;
}

/**
 * A page allocator that several threads use. `BitmapPages` is one.
 * @public
 */
export interface SharedPages extends PageAllocator {
  /** The region that the pages lie in. */
  readonly memory: SharedMemory;
  /** What another thread attaches with. */
  share(): Handle;
  /** This thread is done with it. */
  detach(): void;
  /** As {@link Heap.validate}. */
  validate(options?: ValidateOptions): void;
  /**
   * Looks for a write through NULL: an error `Corrupted`, or null; each write once. Absent where the region
   * has no such pattern.
   */
  takeNullWrite?(): AllocError | null;
}
