/** A buddy heap as an allocator of whole pages. */

import {
  type Address,
  AllocError,
  checkAlign,
  checkInteger,
  type PageAllocator,
} from '@shmalloc/allocator-api';
import type { Buddy } from './buddy.ts';

/** Bytes of a frame. */
const FRAME_BYTES = 4096;

/**
 * Whole frames of 4 KiB out of a buddy heap, beside the blocks that its `malloc` hands out. A run of any
 * length is cut out of a block of the next power of two, and what is left over is given back at once: only
 * the search is bound to powers of two.
 *
 * Progress: that of the heap's lock. Cost: one step for each order, and one byte for each frame.
 * @public
 */
export class FrameAllocator implements PageAllocator {
  /** Bytes in a frame: 4096. */
  readonly pageSize: number = FRAME_BYTES;
  private readonly heap: Buddy;

  /** @param heap - where the frames come from */
  constructor(heap: Buddy) {
    this.heap = heap;
  }

  /** @inheritDoc @shmalloc/allocator-api#BaseAllocator.init */
  init(start: Address, size: number): void {
    this.heap.init(start, size);
  }

  /** @inheritDoc @shmalloc/allocator-api#BaseAllocator.addMemory */
  addMemory(start: Address, size: number): void {
    this.heap.addMemory(start, size);
  }

  /**
   * Hands out frames in a row. The heap's rescue is asked when there are none.
   * @param count - frames
   * @param align - bytes, a power of two and a multiple of 4096
   * @throws AllocError `NoMemory` when no free block of the next power of two is left, `InvalidParam`
   */
  allocPages(count: number, align: number): Address {
    checkCount(count);
    checkFrameAlign(align);
    const address = this.heap.takeFrames(count, align);
    if (address !== 0) return address;
    throw new AllocError('NoMemory', `no ${count} frames in a row aligned to ${align} are free`);
  }

  /**
   * Hands out these frames.
   * @param base - bytes, where the first frame shall lie: a multiple of `align`
   * @param count - frames
   * @param align - bytes, a power of two and a multiple of 4096
   * @returns `base`
   * @throws AllocError `NoMemory` when one of them is in use or not managed, `InvalidParam`
   */
  allocPagesAt(base: Address, count: number, align: number): Address {
    checkInteger('base', base);
    checkCount(count);
    checkFrameAlign(align);
    if (base % align !== 0)
      throw new AllocError('InvalidParam', `base must be a multiple of ${align}, got ${base}`);
    if (this.heap.takeFramesAt(base, count)) return base;
    throw new AllocError('NoMemory', `not all ${count} frames at ${base} are free`);
  }

  /**
   * Takes frames back: a whole run, or any part of what was handed out here.
   * @param address - the first frame
   * @param count - frames
   * @throws AllocError `NotAllocated` when one of them is not handed out; then nothing has changed
   */
  deallocPages(address: Address, count: number): void {
    checkInteger('address', address);
    checkCount(count);
    if (this.heap.giveFrames(address, count)) return;
    throw new AllocError(
      'NotAllocated',
      `deallocPages(${address}, ${count}): not all of these frames are handed out`,
    );
  }

  /** Whole pages in the heap's pools. */
  totalPages(): number {
    return this.heap.stats().frames;
  }

  /** Pages of which anything is in use, be it as a frame or in blocks. */
  usedPages(): number {
    const { frames, freeFrames } = this.heap.stats();
    return frames - freeFrames;
  }

  /** Pages of which nothing is in use. */
  availablePages(): number {
    return this.heap.stats().freeFrames;
  }
}

function checkCount(count: number): void {
  if (checkInteger('count', count) === 0)
    throw new AllocError('InvalidParam', 'count must be at least 1, got 0');
}

function checkFrameAlign(align: number): void {
  if (checkAlign('align', align) < FRAME_BYTES)
    throw new AllocError(
      'InvalidParam',
      `align must be a multiple of the page size ${FRAME_BYTES}, got ${align}`,
    );
}
