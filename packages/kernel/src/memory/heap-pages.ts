/**
 * The pages of a machine as its byte allocators see them: what they take is entered as theirs, and the clock
 * runs meanwhile, since going for pages is the slow path of all.
 */

import {
  type Address,
  AllocError,
  type Handle,
  type PageAllocator,
  type SharedMemory,
} from '@shmalloc/allocator-api';
import type { PhysicalMemory } from './physical-memory.ts';

/** One thread's way from byte allocators to pages. */
export class HeapPages implements PageAllocator {
  readonly memory: SharedMemory;
  readonly pageSize: number;
  /** Milliseconds that this thread has spent here. */
  spentMs = 0;
  /** Times that it has asked for pages, or given some back. */
  calls = 0;
  private readonly physical: PhysicalMemory;

  constructor(physical: PhysicalMemory) {
    this.physical = physical;
    this.memory = physical.memory;
    this.pageSize = physical.pages.pageSize;
  }

  allocPages(count: number, align: number): Address {
    const began = this.begin();
    try {
      const address = this.physical.pages.allocPages(count, align);
      this.physical.enterHeap(address, count);
      return address;
    } finally {
      this.end(began);
    }
  }

  allocPagesAt(base: Address, count: number, align: number): Address {
    const began = this.begin();
    try {
      this.physical.pages.allocPagesAt(base, count, align);
      this.physical.enterHeap(base, count);
      return base;
    } finally {
      this.end(began);
    }
  }

  deallocPages(address: Address, count: number): void {
    const began = this.begin();
    try {
      this.physical.pages.deallocPages(address, count);
      this.physical.leaveHeap(count);
    } finally {
      this.end(began);
    }
  }

  totalPages(): number {
    return this.physical.pages.totalPages();
  }

  usedPages(): number {
    return this.physical.pages.usedPages();
  }

  availablePages(): number {
    return this.physical.pages.availablePages();
  }

  /** A machine's memory is what it was booted with. */
  init(): never {
    throw new AllocError('InvalidParam', "a machine's physical memory cannot be changed");
  }

  /** A machine's memory is what it was booted with. */
  addMemory(): never {
    return this.init();
  }

  share(): Handle {
    return this.physical.pages.share();
  }

  /** The machine's affair. */
  detach(): void {}

  validate(options?: { readonly quiet?: boolean | undefined }): void {
    this.physical.pages.validate(options);
  }

  takeNullWrite(): AllocError | null {
    return this.physical.takeNullWrite();
  }

  private begin(): number {
    this.calls++;
    return performance.now();
  }

  private end(began: number): void {
    this.spentMs += performance.now() - began;
  }
}
