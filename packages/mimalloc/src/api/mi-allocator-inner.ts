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

import type { Address, AllocError, Handle } from '@shmalloc/allocator-api';
import type { MiAllocatorInner as Inner } from '@shmalloc/atomic-cell';
import { lookForMemory } from '../alloc/malloc.ts';
import { type MiAttachOptions, open, openJoined } from '../region/open.ts';
import type { MiMallocOptions } from '../region/options.ts';
import { makeGuard } from '../secure/guards.ts';
import type { Tld } from '../thread/thread-view.ts';
import { CompleteThread } from './complete.ts';
import type { MiMalloc } from './mimalloc.ts';
import type { MiMallocClass } from './mimalloc-core.ts';

class InnerThread extends CompleteThread implements MiAllocatorInner {
  static override create(options: MiMallocOptions = {}): InnerThread {
    return new InnerThread(open(options, makeGuard));
  }

  /** Makes an object over the same heap, for another thread. It takes no slot of the thread table. */
  static override attach(handle: Handle, options: MiAttachOptions = {}): InnerThread {
    return new InnerThread(openJoined(handle, options, makeGuard));
  }

  constructor(tld: Tld) {
    super(tld);
    tld.sharesSlot = true;
  }

  /** The page may lie in memory that another object of this heap has grown, so that is looked at first. */
  override malloc(size: number): Address {
    lookForMemory(this.tld);
    return super.malloc(size);
  }

  /** Likewise. */
  override tryFree(address: Address | ArrayBufferView): AllocError | null {
    lookForMemory(this.tld);
    return super.tryFree(address);
  }

  /** The heap and its blocks stay, for the other threads. */
  override detach(): void {
    this.tld.close();
  }
}

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
export interface MiAllocatorInner extends MiMalloc, Inner {}

/**
 * Makes heaps, and further objects over them: `attach` takes no slot of the thread table.
 * @public
 */
export const MiAllocatorInner: MiMallocClass<MiAllocatorInner> = InnerThread;
