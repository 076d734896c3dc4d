/**
 * What the seven steps have in common: each is a class that gives one thread its way to the heap that all
 * threads share.
 *
 * ```
 *   thread 0   StepAllocator ┐                                   ┌ words: a lock, a borrow flag and its holder
 *   thread 1   StepAllocator ┼──▶ whatever the step puts here ───┤
 *   thread 2   StepAllocator ┘                                   └ heap:  one region with all blocks
 * ```
 */

import type { Address, Handle } from '@shmalloc/allocator-api';
import type { MiMalloc } from '@shmalloc/mimalloc';

/**
 * One thread's allocator.
 * @public
 */
export interface Allocator {
  /** What is behind the guard: to look at, and for the region's views. */
  readonly heap: MiMalloc;
  /**
   * @param size - bytes
   * @returns 0 when there is no memory
   * @throws BorrowMutError where a step refuses a thread that comes at the wrong time
   */
  malloc(size: number): Address;
  /**
   * @param address - a live block of any thread
   * @throws BorrowMutError as malloc
   */
  free(address: Address): void;
  /** What this thread does about the heap before it ends. */
  leave(): void;
}

/**
 * What every thread is told. Structured-cloneable.
 * @public
 */
export interface Shared {
  /** The region. */
  readonly heap: Handle;
  /** Memory beside it, for what stands around the heap. */
  readonly words: SharedArrayBuffer;
  /** This thread's number, 0, 1, … */
  readonly thread: number;
}

/** A step's program. */
export interface StepModule {
  readonly StepAllocator: new (shared: Shared) => Allocator;
}

/** Where in the words the step has its lock, or its borrow flag with the last holder behind it. Bytes. */
export const GUARD: Address = 0;

/**
 * Where in them an experiment says how long a thread stays inside the lock of steps 4 and 5 beyond need: a
 * round of `backOff`, 0 not at all. Bytes.
 */
export const LINGER: Address = 8;

/** Bytes of the words. */
export const WORDS_BYTES = 64;
