/**
 * Step 5: and the list of delayed frees. The first foreign free into a full page goes to the heap's own list,
 * where its owner looks.
 *
 *     node examples/lock-removal/dist/step-5.js
 */

import { type Address, SharedMemory } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import { runIfMain } from './run-if-main.ts';
import { SegmentLock } from './segment-lock.ts';
import { type Allocator, GUARD, type Shared } from './step.ts';

/** This thread's own heap. */
export class StepAllocator implements Allocator {
  readonly heap: MiMalloc;

  constructor({ heap, words }: Shared) {
    const crossings = new SegmentLock(SharedMemory.from(heap.memory), SharedMemory.from(words), GUARD);
    this.heap = MiMalloc.attach(heap, { crossings });
  }

  malloc(size: number): Address {
    return this.heap.malloc(size);
  }

  free(address: Address): void {
    this.heap.free(address);
  }

  leave(): void {
    // A heap that no thread has any more: its segments stay in its name.
  }
}

await runIfMain(import.meta.url);
