/**
 * Step 4: a heap for each thread. `malloc` and `free` of one's own blocks are no other thread's business, a
 * foreign free is one exchange on the page's list; only segments are under a lock. A page that is full tells
 * no thread.
 *
 *     node examples/lock-removal/dist/step-4.js
 */

import { type Address, SharedMemory } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import { runIfMain } from './run-if-main.ts';
import { SegmentLock } from './segment-lock.ts';
import { type Allocator, GUARD, type Shared } from './step.ts';

/** Full pages ask for no news. */
class Unannounced extends SegmentLock {
  override mark(): void {}
}

/** This thread's own heap. */
export class StepAllocator implements Allocator {
  readonly heap: MiMalloc;

  constructor({ heap, words }: Shared) {
    const crossings = new Unannounced(SharedMemory.from(heap.memory), SharedMemory.from(words), GUARD);
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
