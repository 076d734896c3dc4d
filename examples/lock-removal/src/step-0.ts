/**
 * Step 0: no guard. Every thread is let in at any moment.
 *
 *     node examples/lock-removal/dist/step-0.js
 */

import type { Address } from '@shmalloc/allocator-api';
import { MiAllocatorInner } from '@shmalloc/mimalloc';
import { runIfMain } from './run-if-main.ts';
import type { Allocator, Shared } from './step.ts';

/** The allocator, as it is. */
export class StepAllocator implements Allocator {
  private readonly inner: MiAllocatorInner;

  constructor({ heap }: Shared) {
    this.inner = MiAllocatorInner.attach(heap);
  }

  get heap(): MiAllocatorInner {
    return this.inner;
  }

  malloc(size: number): Address {
    return this.inner.malloc(size);
  }

  free(address: Address): void {
    this.inner.free(address);
  }

  leave(): void {
    // The heap belongs to all threads alike: none leaves anything behind.
  }
}

await runIfMain(import.meta.url);
