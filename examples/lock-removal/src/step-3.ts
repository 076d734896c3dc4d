/**
 * Step 3: `AtomicRefCell<MiAllocatorInner>`, which is
 * `{ borrow: BorrowFlag, data: UnsafeCell<MiAllocatorInner> }`. The same, and the flag is atomic.
 *
 *     node examples/lock-removal/dist/step-3.js
 */

import { type Address, SharedMemory } from '@shmalloc/allocator-api';
import { AtomicRefCell } from '@shmalloc/atomic-cell';
import { MiAllocatorInner } from '@shmalloc/mimalloc';
import { runIfMain } from './run-if-main.ts';
import { type Allocator, GUARD, type Shared } from './step.ts';

/** The allocator in a cell that is borrowed for each call. */
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
    const inner = this.cell.borrowMut();
    try {
      return inner.value.malloc(size);
    } finally {
      inner.release();
    }
  }

  free(address: Address): void {
    const inner = this.cell.borrowMut();
    try {
      inner.value.free(address);
    } finally {
      inner.release();
    }
  }

  leave(): void {
    // The heap belongs to all threads alike: none leaves anything behind.
  }
}

await runIfMain(import.meta.url);
