/**
 * Step 6: no lock at all. Segments change hands by one exchange, a thread that ends leaves its own to a
 * thread that needs them, and one that dies is reaped. This is `MiMalloc`, as everybody uses it.
 *
 *     node examples/lock-removal/dist/step-6.js
 */

import type { Address } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import { runIfMain } from './run-if-main.ts';
import type { Allocator, Shared } from './step.ts';

/** This thread's own heap. */
export class StepAllocator implements Allocator {
  readonly heap: MiMalloc;

  constructor({ heap }: Shared) {
    this.heap = MiMalloc.attach(heap);
  }

  malloc(size: number): Address {
    return this.heap.malloc(size);
  }

  free(address: Address): void {
    this.heap.free(address);
  }

  leave(): void {
    this.heap.detach();
  }
}

await runIfMain(import.meta.url);
