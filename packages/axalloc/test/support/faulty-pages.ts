/** A page source that has none left at a moment of one's choice, and calls back before each request. */

import {
  type Address,
  AllocError,
  type Handle,
  type SharedMemory,
  type SharedPages,
} from '@shmalloc/allocator-api';
import type { BitmapPages } from '@shmalloc/bitmap';

export class FaultyPages implements SharedPages {
  readonly inner: BitmapPages;
  /** Requests so far. */
  requests = 0;
  /** The request that fails, counted from 1; 0 none. */
  failing = 0;
  /** Whether all from that one on fail. */
  forGood = false;
  /** How many have failed. */
  failed = 0;
  before: () => void = () => {};

  constructor(inner: BitmapPages) {
    this.inner = inner;
  }
  get memory(): SharedMemory {
    return this.inner.memory;
  }
  get pageSize(): number {
    return this.inner.pageSize;
  }
  allocPages(count: number, align: number): Address {
    this.requests++;
    this.before();
    if (
      this.failing > 0 &&
      (this.requests === this.failing || (this.forGood && this.requests > this.failing))
    ) {
      this.failed++;
      throw new AllocError('NoMemory', `request ${this.requests} fails on purpose`);
    }
    return this.inner.allocPages(count, align);
  }
  allocPagesAt(base: Address, count: number, align: number): Address {
    return this.inner.allocPagesAt(base, count, align);
  }
  deallocPages(address: Address, count: number): void {
    this.inner.deallocPages(address, count);
  }
  init(start: Address, size: number): void {
    this.inner.init(start, size);
  }
  addMemory(start: Address, size: number): void {
    this.inner.addMemory(start, size);
  }
  totalPages(): number {
    return this.inner.totalPages();
  }
  usedPages(): number {
    return this.inner.usedPages();
  }
  availablePages(): number {
    return this.inner.availablePages();
  }
  share(): Handle {
    return this.inner.share();
  }
  detach(): void {
    this.inner.detach();
  }
  validate(options?: { quiet?: boolean | undefined }): void {
    this.inner.validate(options);
  }
  takeNullWrite(): AllocError | null {
    return this.inner.takeNullWrite();
  }
}
