/**
 * The allocator without any thought of threads: what a kernel puts behind a `Mutex`, and the tour of the
 * lock's removal starts from.
 *
 * ```
 *   thread A   MiAllocatorInner ┐                                one slot, one heap, one name:
 *   thread B   MiAllocatorInner ┼─▶ Mutex, BorrowFlag, … ─▶      one that is let in is its owner
 *   thread C   MiAllocatorInner ┘
 * ```
 *
 * Everything that changes lies in the region, so each thread has an object of its own over the same heap, and
 * what one has done the next one finds. That only one is inside at a time is the business of what stands
 * around it.
 */

import { type Address, type AllocError, checkHook, type Handle } from '@shmalloc/allocator-api';
import type { MiAllocatorInner as Inner } from '@shmalloc/atomic-cell';
import { lookForMemory } from '../alloc/malloc.ts';
import { type MiAttachOptions, open, view } from '../region/open.ts';
import { checkAttach, type MiMallocOptions } from '../region/options.ts';
import { joinSlot } from '../region/thread-table.ts';
import { makeGuard } from '../secure/guards.ts';
import { MiMalloc } from './complete.ts';

/**
 * mimalloc for one thread at a time, with ArceOS's interface: `init`, `addMemory`, `alloc(size, align)`,
 * `dealloc`. Made to be wrapped.
 *
 * @example
 * ```ts
 * import { MiAllocator } from '@shmalloc/atomic-cell';
 *
 * const inner = MiAllocatorInner.create({ memory, start: 64 });
 * const allocator = MiAllocator.new(SharedMemory.from(memory), 0, inner); // the words at 0 and 4 are the borrow flag
 * const block = allocator.alloc(100, 16);
 * allocator.dealloc(block, 100, 16);
 * ```
 * @public
 */
export class MiAllocatorInner extends MiMalloc implements Inner {
  /**
   * Makes a heap.
   * @param options - the region, and how the heap works
   * @throws TypeError, RangeError or AllocError, naming the option
   */
  static override create(options: MiMallocOptions = {}): MiAllocatorInner {
    return open(MiAllocatorInner, options, makeGuard);
  }

  /**
   * Makes an object over the same heap, for another thread. It takes no slot of the thread table.
   * @param handle - what `share()` returned
   * @param options - what this thread brings with it
   * @throws TypeError or AllocError `InvalidParam` when no such heap lies there
   */
  static override attach(handle: Handle, options: MiAttachOptions = {}): MiAllocatorInner {
    const { os, crossings, onError } = checkAttach(options);
    const heap = view(MiAllocatorInner, handle, os, crossings, makeGuard);
    joinSlot(heap, 0);
    if (onError !== undefined) heap.registerError(checkHook('onError', onError));
    return heap;
  }

  /**
   * As {@link MiMallocCore.malloc}. The page may lie in memory that another object of this heap has grown, so
   * that is looked at first.
   */
  override malloc(size: number): Address {
    lookForMemory(this);
    return super.malloc(size);
  }

  /** As {@link MiMallocCore.tryFree}, likewise. */
  override tryFree(address: Address | ArrayBufferView): AllocError | null {
    lookForMemory(this);
    return super.tryFree(address);
  }

  /** @internal */
  override get sharesSlot(): boolean {
    return true;
  }

  /** Ends this object's use of the heap; the heap and its blocks stay, for the other threads. */
  override detach(): void {
    this.close();
  }
}
