/**
 * The smallest allocator that can be wrapped, and the least protected: it only ever moves a cursor, with a
 * plain load and a plain store.
 *
 * ```
 *    state            +4               +8              +12
 *    ├─────────────────┼────────────────┼────────────────┤
 *    │  cursor         │  end           │  used bytes    │
 *    └─────────────────┴────────────────┴────────────────┘
 * ```
 */

import { type Address, AllocError, alignUp, type SharedMemory } from '@shmalloc/allocator-api';
import type { MiAllocatorInner } from '@shmalloc/atomic-cell';

export class BumpAllocator implements MiAllocatorInner {
  readonly #words: Uint32Array<SharedArrayBuffer>;
  readonly #cursor: number;
  readonly #end: number;
  readonly #used: number;
  #total = 0;

  constructor(memory: SharedMemory, state: Address) {
    this.#words = memory.u32;
    this.#cursor = state / 4;
    this.#end = this.#cursor + 1;
    this.#used = this.#cursor + 2;
  }

  init(start: Address, size: number): void {
    this.#words[this.#cursor] = start;
    this.#words[this.#end] = start + size;
    this.#words[this.#used] = 0;
    this.#total = size;
  }

  addMemory(start: Address, size: number): void {
    if (start !== this.#words[this.#end]) throw new AllocError('InvalidParam', `${start} is not adjacent`);
    this.#words[this.#end] += size;
    this.#total += size;
  }

  alloc(size: number, align: number): Address {
    const block = alignUp(this.#words[this.#cursor], align);
    if (block + size > this.#words[this.#end]) throw new AllocError('NoMemory', `no ${size} bytes`);
    this.#words[this.#cursor] = block + size;
    this.#words[this.#used] += size;
    return block;
  }

  dealloc(address: Address, size: number, _align: number): void {
    if (address >= this.#words[this.#cursor]) throw new AllocError('NotAllocated', `${address}`);
    this.#words[this.#used] -= size;
  }

  totalBytes(): number {
    return this.#total;
  }

  usedBytes(): number {
    return this.#words[this.#used];
  }

  availableBytes(): number {
    return this.#words[this.#end] - this.#words[this.#cursor];
  }
}
