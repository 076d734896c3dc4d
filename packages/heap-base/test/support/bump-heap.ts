import type { AttachOptions, Handle, HeapOptions } from '@shmalloc/allocator-api';
import {
  attachHeap,
  BOUNDARY_TAG_STATE_WORDS,
  BoundaryTagHeap,
  createHeap,
  type HeapLayout,
} from '@shmalloc/heap-base';

/**
 * The allocator that never looks back: each block lies behind the last one, and a free block is used again
 * only when all blocks behind it are free, too. It has no set of free blocks, so nothing is in one.
 */
export class BumpHeap extends BoundaryTagHeap {
  static readonly algorithm: string = 'bump';
  static readonly layout: HeapLayout = {
    algorithm: 'bump',
    code: 'BUMP',
    version: 1,
    stateWords: BOUNDARY_TAG_STATE_WORDS,
  };

  static create(options: HeapOptions = {}): BumpHeap {
    return createHeap(BumpHeap, options);
  }

  static attach(handle: Handle, options: AttachOptions = {}): BumpHeap {
    return attachHeap(BumpHeap, handle, options);
  }

  protected override clear(): void {}
  protected override insert(): void {}
  protected override remove(): void {}
  protected override checkSet(): void {}

  protected override take(): number {
    return 0;
  }

  protected override takeTight(): number {
    return 0;
  }

  protected override takeAligned(): number {
    return 0;
  }
}
