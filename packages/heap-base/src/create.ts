/** Making a heap and attaching to one: the same for every algorithm, which gives its class. */

import {
  type AttachOptions,
  checkAttachLock,
  checkChoice,
  checkFlag,
  checkHook,
  checkOptions,
  type Handle,
  type HeapOptions,
  LOCK_KINDS,
  openRegion,
  publishHeader,
  type SharedMemory,
  traceHeap,
  type Word,
} from '@shmalloc/allocator-api';
import { Field, type HeapLayout, openHeader, writeHeader } from './header.ts';
import type { LockedHeap } from './locked-heap.ts';

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
 * @param heapClass - the algorithm
 * @param options - what the caller was given
 * @param own - names of the options that the algorithm has besides `HeapOptions`
 * @throws TypeError, RangeError or AllocError, naming the option
 * @public
 */
export function createHeap<H extends LockedHeap>(
  heapClass: HeapClass<H>,
  options: HeapOptions,
  own: readonly string[] = [],
): H {
  checkOptions(options, own);
  const lock = checkChoice('lock', options.lock ?? 'spin', LOCK_KINDS);
  const { onError } = options;
  const debug = checkFlag('debug', options.debug ?? false);
  const memory = openRegion(options);
  const header = writeHeader(memory, heapClass.layout, lock, debug);
  const heap = new heapClass(memory, header);
  const start = memory.i32[header + Field.end] * 4;
  heap.init(start, memory.end - start);
  publishHeader(memory.i32, header);
  traceHeap(heap);
  if (onError !== undefined) heap.registerError(checkHook('onError', onError));
  return heap;
}

/**
 * Attaches to the heap that a handle names, in any thread.
 * @throws TypeError or AllocError `InvalidParam` when no such heap lies there, or when it has another lock
 *   than `options` say
 * @public
 */
export function attachHeap<H extends LockedHeap>(
  heapClass: HeapClass<H>,
  handle: Handle,
  options: AttachOptions = {},
): H {
  checkOptions(options, []);
  const { memory, header } = openHeader(handle, heapClass.layout);
  const heap = new heapClass(memory, header);
  checkAttachLock(heapClass.layout.algorithm, LOCK_KINDS[memory.i32[header + Field.lockKind]], options.lock);
  if (options.onError !== undefined) heap.registerError(checkHook('onError', options.onError));
  traceHeap(heap);
  return heap;
}
