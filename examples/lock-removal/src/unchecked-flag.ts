/**
 * Step 3 as it looks half-way: the struct has its borrow flag, and no thread asks it. So it is step 0 in
 * other clothes.
 *
 *     node examples/lock-removal/dist/unchecked-flag.js
 */

import { type Address, SharedMemory } from '@shmalloc/allocator-api';
import { AtomicRefCell } from '@shmalloc/atomic-cell';
import { MiAllocatorInner } from '@shmalloc/mimalloc';
import { runIfMain } from './run-if-main.ts';
import { type Allocator, GUARD, type Shared } from './step.ts';

/** The allocator beside a flag. */
export class StepAllocator implements Allocator {
  private readonly cell: AtomicRefCell<MiAllocatorInner>;

  constructor({ heap, words, thread }: Shared) {
    const inner = MiAllocatorInner.attach(heap);
    this.cell = new AtomicRefCell(SharedMemory.from(words), GUARD, inner, { threadId: thread });
  }

  get heap(): MiAllocatorInner {
    return this.cell.data.get();
  }

  malloc(size: number): Address {
    const inner = this.cell.data.get();
    return inner.malloc(size);
  }

  free(address: Address): void {
    const inner = this.cell.data.get();
    inner.free(address);
  }

  leave(): void {
    // The heap belongs to all threads alike: none leaves anything behind.
  }
}

await runIfMain(import.meta.url);
