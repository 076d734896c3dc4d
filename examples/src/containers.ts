/**
 * Containers over a counted allocator, as in ArceOS: each keeps a handle on the allocator that its memory is
 * from, and the last of them lets it go.
 *
 *     node examples/dist/containers.js
 */

import { Layout } from '@shmalloc/allocator-api';
import { AllocatorRc } from '@shmalloc/axalloc';
import { MiMalloc } from '@shmalloc/mimalloc';

/** A growable array of 64-bit floating-point numbers in the heap. */
class FloatVector {
  readonly #allocator: AllocatorRc<MiMalloc>;
  #address = 0;
  #capacity = 0;
  #length = 0;

  constructor(allocator: AllocatorRc<MiMalloc>) {
    this.#allocator = allocator.retain();
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#capacity) this.#grow();
    this.#view()[this.#length++] = value;
  }

  at(index: number): number {
    if (index >= this.#length) throw new RangeError(`index ${index} of ${this.#length}`);
    return this.#view()[index];
  }

  /** Frees its memory, and its handle on the allocator. */
  [Symbol.dispose](): void {
    if (this.#capacity > 0) this.#allocator.allocator.deallocLayout(this.#address, this.#layout());
    this.#capacity = 0;
    this.#allocator.release();
  }

  #layout(): Layout {
    return Layout.of('f64', this.#capacity);
  }

  /** Made for each use: memory that grows has new views. */
  #view(): Float64Array {
    return this.#allocator.allocator.memory.view('f64', this.#address, this.#capacity);
  }

  #grow(): void {
    const { allocator } = this.#allocator;
    const old = { address: this.#address, capacity: this.#capacity, layout: this.#layout() };
    this.#capacity = Math.max(8, 2 * old.capacity);
    this.#address = allocator.allocLayout(this.#layout());
    if (old.capacity === 0) return;
    this.#view().set(allocator.memory.view('f64', old.address, old.capacity));
    allocator.deallocLayout(old.address, old.layout);
  }
}

let detached = false;
const heap = MiMalloc.create({ bytes: 4 << 20 });
const rc = AllocatorRc.of(heap, (last) => {
  console.log(`the last handle is gone with ${last.usedBytes()} bytes in use`);
  last.detach();
  detached = true;
});

const squares = new FloatVector(rc);
const roots = new FloatVector(rc);
rc.release(); // the vectors have their own
for (let n = 0; n < 1000; n++) {
  squares.push(n * n);
  roots.push(Math.sqrt(n));
}
console.log(
  `${squares.length} squares, the last ${squares.at(999)}; ${roots.length} roots, the last ${roots.at(999).toFixed(3)}`,
);
for (const { size } of heap.leaks()) console.log(`live: ${size} bytes`);
squares[Symbol.dispose]();
console.log(`one vector left, allocator ${detached ? 'gone' : 'there'}`);
roots[Symbol.dispose]();
