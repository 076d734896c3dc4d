/** Making a heap and attaching to one: the same for every algorithm, which gives its class. */

import {
  checkChoice,
  type Handle,
  openRegion,
  publishHeader,
  type RegionOptions,
  type SharedMemory,
} from '@shmalloc/allocator-api';
import {
  Field,
  type HeapLayout,
  LOCK_KINDS,
  type LockKind,
  openHeader,
  type Word,
  writeHeader,
} from './header.ts';
import type { LockedHeap } from './locked-heap.ts';

/**
 * Where the region comes from and what stands around each operation.
 * @public
 */
export interface HeapOptions extends RegionOptions {
  /** Default `'none'`: one thread. */
  lock?: LockKind | undefined;
  /**
   * Detect every wrong free exactly and every write past a block's end, for 4 bytes a block. Clears, and so touches, all memory that the heap
   * is given. Default false.
   */
  debug?: boolean | undefined;
}

/**
 * A class that {@link createHeap} and {@link attachHeap} can make instances of.
 * @public
 */
export interface HeapClass<H extends LockedHeap> {
  readonly layout: HeapLayout;
  new (memory: SharedMemory, header: Word): H;
}

/**
 * Makes a heap of this class: a region, its header, and all of the rest as the first pool.
 * @throws TypeError, RangeError or AllocError, naming the option
 * @public
 */
export function createHeap<H extends LockedHeap>(heapClass: HeapClass<H>, options: HeapOptions): H {
  const lock = checkChoice('lock', options.lock ?? 'none', LOCK_KINDS);
  const { debug = false } = options;
  if (typeof debug !== 'boolean') throw new TypeError(`debug must be true or false, got ${debug}`);
  const memory = openRegion(options);
  const header = writeHeader(memory, heapClass.layout, lock, debug);
  const heap = new heapClass(memory, header);
  const start = memory.i32[header + Field.end] * 4;
  heap.init(start, memory.end - start);
  publishHeader(memory.i32, header);
  return heap;
}

/**
 * Attaches to the heap that a handle names, in any thread.
 * @throws TypeError or AllocError `InvalidParam` when no such heap lies there
 * @public
 */
export function attachHeap<H extends LockedHeap>(heapClass: HeapClass<H>, handle: Handle): H {
  const { memory, header } = openHeader(handle, heapClass.layout);
  return new heapClass(memory, header);
}
