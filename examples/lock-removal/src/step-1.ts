/**
 * Step 1: `Mutex<MiAllocatorInner>`, one big lock. One thread is inside, the others sleep.
 *
 *     node examples/lock-removal/dist/step-1.js
 */

import { type Address, SharedMemory } from '@shmalloc/allocator-api';
import { Mutex } from '@shmalloc/atomic-cell';
import { MiAllocatorInner } from '@shmalloc/mimalloc';
import { runIfMain } from './run-if-main.ts';
import { type Allocator, GUARD, type Shared } from './step.ts';

/** The allocator behind a mutex. */
export class StepAllocator implements Allocator {
  private readonly inner: MiAllocatorInner;
  private readonly mutex: Mutex;

  constructor({ heap, words }: Shared) {
    this.inner = MiAllocatorInner.attach(heap);
    this.mutex = new Mutex(SharedMemory.from(words), GUARD);
  }

  get heap(): MiAllocatorInner {
    return this.inner;
  }

  malloc(size: number): Address {
    this.mutex.lock();
    try {
      return this.inner.malloc(size);
    } finally {
      this.mutex.unlock();
    }
  }

  free(address: Address): void {
    this.mutex.lock();
    try {
      this.inner.free(address);
    } finally {
      this.mutex.unlock();
    }
  }

  leave(): void {
    // The heap belongs to all threads alike: none leaves anything behind.
  }
}

await runIfMain(import.meta.url);
