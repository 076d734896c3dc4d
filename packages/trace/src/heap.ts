/**
 * The heap as the replayer sees it, in two forms: bare, for timing, and checked by the shadow oracle.
 */

import { CheckedAllocator, type Oracle } from '@shmalloc/alloc-test/oracle';
import { type Address, type GlobalAllocator, NULL, type SharedMemory } from '@shmalloc/allocator-api';

/**
 * An allocator that a trace can be replayed on: any of C's facade, with the region it hands out.
 * @public
 */
export type ReplayAllocator = GlobalAllocator & { readonly memory: SharedMemory };

/** What a stream does to a heap. Sizes and alignments are in bytes. */
export interface ReplayHeap {
  malloc(size: number): Address;
  calloc(size: number): Address;
  aligned(align: number, size: number): Address;
  realloc(address: Address, oldSize: number, size: number): Address;
  free(address: Address, size: number): void;
}

/**
 * The allocator itself. With `touch`, the first and the last word of each block are written, as a program
 * would use its memory.
 */
export class BareHeap implements ReplayHeap {
  readonly #allocator: ReplayAllocator;
  readonly #memory: SharedMemory;
  readonly #touch: boolean;

  constructor(allocator: ReplayAllocator, touch: boolean) {
    this.#allocator = allocator;
    this.#memory = allocator.memory;
    this.#touch = touch;
  }

  malloc(size: number): Address {
    return this.#touched(this.#allocator.malloc(size), size);
  }

  calloc(size: number): Address {
    return this.#touched(this.#allocator.calloc(1, size), size);
  }

  aligned(align: number, size: number): Address {
    return this.#touched(this.#allocator.alignedAlloc(align, size), size);
  }

  realloc(address: Address, _oldSize: number, size: number): Address {
    return this.#touched(this.#allocator.realloc(address, size), size);
  }

  free(address: Address, _size: number): void {
    this.#allocator.free(address);
  }

  #touched(address: Address, size: number): Address {
    if (!this.#touch || address === NULL || size === 0) return address;
    const memory = this.#memory;
    // Another thread may have grown the region since this one looked.
    if (address + size > memory.u8.length) memory.refresh();
    if (size < 4) memory.u8[address] = size;
    else {
      memory.u32[address >>> 2] = size;
      memory.u32[(address + size - 4) >>> 2] = size;
    }
    return address;
  }
}

/** The allocator with a witness: blocks are stamped and verified, so they are not touched otherwise. */
export class CheckedHeap implements ReplayHeap {
  readonly #checked: CheckedAllocator;

  constructor(allocator: ReplayAllocator, oracle: Oracle, cpu: number) {
    this.#checked = new CheckedAllocator(allocator, oracle, cpu);
  }

  malloc(size: number): Address {
    return this.#checked.malloc(size);
  }

  calloc(size: number): Address {
    return this.#checked.calloc(1, size);
  }

  aligned(align: number, size: number): Address {
    return this.#checked.alignedAlloc(align, size);
  }

  realloc(address: Address, oldSize: number, size: number): Address {
    // The facade's realloc promises its default alignment, whatever the old block had.
    return this.#checked.realloc(address, oldSize, 1, size);
  }

  free(address: Address, size: number): void {
    this.#checked.free(address, size);
  }
}
