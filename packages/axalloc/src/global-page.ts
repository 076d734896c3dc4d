/** Pages with an owner: ArceOS's `GlobalPage`. */

import type { Address, PageAllocator, SharedMemory } from '@shmalloc/allocator-api';

/** Where they come from. */
type Pages = Pick<PageAllocator, 'pageSize' | 'allocPages' | 'deallocPages'>;

/**
 * A run of pages that goes back when its scope ends.
 *
 * @example
 * ```ts
 * {
 *   using buffer = allocator.page(4);
 *   buffer.zero();
 * } // here
 * ```
 * @public
 */
export class GlobalPage {
  /** The first byte. */
  readonly address: Address;
  /** How many pages. */
  readonly count: number;
  /** How many bytes. */
  readonly bytes: number;
  private readonly memory: SharedMemory;
  private owner: Pages | null;

  /** @internal Use `AxAlloc.page`. */
  constructor(owner: Pages, memory: SharedMemory, count: number, align: number) {
    this.address = owner.allocPages(count, align);
    this.count = count;
    this.bytes = count * owner.pageSize;
    this.memory = memory;
    this.owner = owner;
  }

  /** Its bytes, without a copy: every thread sees what is written. O(1). */
  view(): Uint8Array<SharedArrayBuffer> {
    return this.memory.view('u8', this.address, this.bytes);
  }

  /** Writes one value into all bytes. O(bytes). */
  fill(byte: number): void {
    this.view().fill(byte);
  }

  /** Writes zeros. O(bytes). */
  zero(): void {
    this.fill(0);
  }

  /** Gives the pages back; a second time does nothing. */
  [Symbol.dispose](): void {
    const { owner } = this;
    this.owner = null;
    owner?.deallocPages(this.address, this.count);
  }
}
