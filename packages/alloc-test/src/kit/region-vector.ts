/**
 * A growing array whose elements live in the region: real use of `realloc`, with contents that matter.
 */

import type { Address, Heap } from '@shmalloc/allocator-api';
import { expectBlock } from './bench.ts';

/** Elements of a first allocation, as in Rust's `Vec`. */
const FIRST_CAPACITY = 4;

/** A vector of 32-bit numbers (`'u32'`), or of integers in 64 bits (`'f64'`: exact up to 2^53). */
export class RegionVector {
  readonly #heap: Heap;
  readonly #type: 'u32' | 'f64';
  readonly #bytes: number;
  #address: Address = 0;
  #capacity = 0;
  #length = 0;

  constructor(heap: Heap, type: 'u32' | 'f64', capacity = 0) {
    this.#heap = heap;
    this.#type = type;
    this.#bytes = type === 'u32' ? 4 : 8;
    if (capacity > 0) this.#grow(capacity);
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#capacity) this.#grow(Math.max(FIRST_CAPACITY, this.#capacity * 2));
    this.#heap.memory[this.#type][this.#address / this.#bytes + this.#length++] = value;
  }

  at(index: number): number {
    return this.#heap.memory[this.#type][this.#address / this.#bytes + index];
  }

  /** Sorts in place, by value. */
  sort(): void {
    this.#heap.memory.view(this.#type, this.#address, this.#length).sort();
  }

  free(): void {
    this.#heap.free(this.#address);
    this.#address = this.#capacity = this.#length = 0;
  }

  #grow(capacity: number): void {
    const bytes = capacity * this.#bytes;
    this.#address = expectBlock(this.#heap.realloc(this.#address, bytes), `realloc to ${bytes} bytes`);
    this.#capacity = capacity;
  }
}
