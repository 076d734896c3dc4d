/** Making a heap and attaching to one: the same for every algorithm, which gives its class. */

import {
  AllocError,
  checkChoice,
  checkOptions,
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
  notShared,
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
  /**
   * Default `'spin'`: any number of threads. `'none'` is for one thread, without a lock, and cannot be shared; `'outside'` is the same for a heap that
   * something else guards.
   */
  lock?: LockKind | undefined;
  /**
   * Detect every wrong free exactly and every write past a block's end, for 4 bytes a block. Clears, and so touches, all memory that the heap
   * is given. Default false.
   */
  debug?: boolean | undefined;
}

/**
 * What an attaching thread may say.
 * @public
 */
export interface AttachOptions {
  /** `'outside'` for a heap that was made with it, and has to be said then: this thread knows what guards the heap. Any other kind has to be the heap's. */
  lock?: LockKind | undefined;
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
 * @param heapClass - the algorithm
 * @param options - what the caller was given
 * @param own - names of the options that the algorithm has besides {@link HeapOptions}
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
 * @throws TypeError or AllocError `InvalidParam` when no such heap lies there, or when it has another lock than `options` say
 * @public
 */
export function attachHeap<H extends LockedHeap>(
  heapClass: HeapClass<H>,
  handle: Handle,
  options: AttachOptions = {},
): H {
  checkOptions(options, []);
  const asked = options.lock === undefined ? undefined : checkChoice('lock', options.lock, LOCK_KINDS);
  const { memory, header } = openHeader(handle, heapClass.layout);
  const heap = new heapClass(memory, header);
  checkLock(heapClass.layout.algorithm, LOCK_KINDS[memory.i32[header + Field.lockKind]], asked);
  return heap;
}

/** Demands that a thread that attaches knows what guards the heap. */
function checkLock(algorithm: string, found: LockKind, asked: LockKind | undefined): void {
  if (found === 'none') throw notShared(algorithm);
  if (asked === found || (asked === undefined && found !== 'outside')) return;
  const message =
    found === 'outside'
      ? `this ${algorithm} heap has lock: 'outside': something else has to guard it. attach(handle, { lock: 'outside' }) says that it does`
      : `this ${algorithm} heap has lock: '${found}', not '${asked}'`;
  throw new AllocError('InvalidParam', message);
}
