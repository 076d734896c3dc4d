/**
 * Blocks that live as long as a piece of the program runs.
 */

import { type Address, AllocError, type ScalarType, type ViewTypes } from '@shmalloc/allocator-api';
import type { MiHeap, MiMalloc } from './mimalloc.ts';

/**
 * Frees everything that was allocated through it, the newest first, when it is disposed of.
 *
 * @example
 * ```ts
 * using scope = heap.scope();
 * const points = scope.mallocAs('f64', 300);
 * const name = scope.strdup('shmalloc');
 * // both are freed here, whatever happens
 * ```
 * @public
 */
export class Scope {
  private readonly heap: MiHeap | MiMalloc;
  private blocks: Address[] | null;

  /** @internal */
  constructor(heap: MiHeap | MiMalloc) {
    this.heap = heap;
    this.blocks = [];
  }

  /** `malloc`, until the scope ends. */
  malloc(size: number): Address {
    return this.note(this.open().heap.malloc(size));
  }

  /** `zalloc`, until the scope ends. */
  zalloc(size: number): Address {
    return this.note(this.open().heap.zalloc(size));
  }

  /** `calloc`, until the scope ends. */
  calloc(count: number, size: number): Address {
    return this.note(this.open().heap.calloc(count, size));
  }

  /** `alignedAlloc`, until the scope ends. */
  alignedAlloc(align: number, size: number): Address {
    return this.note(this.open().heap.alignedAlloc(align, size));
  }

  /** `strdup`, until the scope ends. */
  strdup(text: string): Address {
    return this.note(this.open().heap.strdup(text));
  }

  /** `mallocAs`, until the scope ends. */
  mallocAs<T extends ScalarType>(type: T, length: number): ViewTypes[T] | null {
    const view = this.open().heap.mallocAs(type, length);
    this.note(view === null ? 0 : view.byteOffset);
    return view;
  }

  /**
   * Gives a block another size; the scope goes on to keep it.
   * @param address - a block of this scope, or 0 to allocate one
   * @param size - bytes
   * @returns as the heap's `realloc`
   * @throws AllocError `InvalidParam` when the scope does not keep this block
   */
  realloc(address: Address, size: number): Address {
    const { heap } = this.open();
    if (address === 0) return this.malloc(size);
    const at = this.indexOf(address);
    const block = heap.realloc(address, size);
    if (block !== 0) this.live[at] = block;
    return block;
  }

  /**
   * Lets a block out of the scope: the program frees it itself, some time.
   * @param block - a block of this scope, or its view
   * @returns `block`
   * @throws AllocError `InvalidParam` when the scope does not keep this block
   */
  release<T extends Address | ArrayBufferView>(block: T): T {
    this.open();
    this.live.splice(this.indexOf(typeof block === 'number' ? block : block.byteOffset), 1);
    return block;
  }

  /**
   * Frees a block before its time.
   * @throws AllocError `InvalidParam` when the scope does not keep this block
   */
  free(block: Address | ArrayBufferView): void {
    this.open().heap.free(this.release(block));
  }

  /** Frees all that is left, the newest first. Nothing can be allocated through the scope afterwards. */
  [Symbol.dispose](): void {
    const blocks = this.blocks ?? [];
    this.blocks = null;
    while (blocks.length > 0) this.heap.free(blocks.pop() as Address);
  }

  private get live(): Address[] {
    return this.open().blocks as Address[];
  }

  private open(): this {
    if (this.blocks === null) throw new AllocError('InvalidParam', 'this scope has ended');
    return this;
  }

  private note(block: Address): Address {
    if (block !== 0) this.live.push(block);
    return block;
  }

  private indexOf(address: Address): number {
    const at = this.live.lastIndexOf(address);
    if (at < 0) throw new AllocError('InvalidParam', `this scope does not keep a block at ${address}`);
    return at;
  }
}
