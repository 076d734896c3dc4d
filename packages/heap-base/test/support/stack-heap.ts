import type { AttachOptions, Handle, HeapOptions, SharedMemory, Word } from '@shmalloc/allocator-api';
import {
  attachHeap,
  BOUNDARY_TAG_STATE_WORDS,
  BoundaryTagHeap,
  createHeap,
  demand,
  type HeapLayout,
  NEXT_FREE,
  PREV_LINK,
} from '@shmalloc/heap-base';

/**
 * The smallest algorithm that a boundary-tag heap can have: a stack of free blocks, searched from the top.
 */
export class StackHeap extends BoundaryTagHeap {
  static readonly algorithm = 'stack';
  static readonly layout: HeapLayout = {
    algorithm: 'stack',
    code: 'STCK',
    version: 1,
    stateWords: BOUNDARY_TAG_STATE_WORDS + 1,
  };

  /** For tests that break things on purpose. */
  get words(): Int32Array {
    return this.i32;
  }

  get headerWord(): Word {
    return this.header;
  }

  constructor(memory: SharedMemory, header: Word) {
    super(memory, header);
  }

  static create(options: HeapOptions = {}): StackHeap {
    return createHeap(StackHeap, options);
  }

  static attach(handle: Handle, options: AttachOptions = {}): StackHeap {
    return attachHeap(StackHeap, handle, options);
  }

  protected override clear(): void {
    this.i32[this.state] = 0;
  }

  protected override take(size: number): Word {
    return this.takeAligned(size, 4);
  }

  protected override takeTight(): Word {
    return 0;
  }

  protected override takeAligned(size: number, align: number): Word {
    let block = this.i32[this.state];
    while (block !== 0 && this.freeSize(block) - (-(block + 1) & (align - 1)) < size) {
      block = this.i32[block + NEXT_FREE];
    }
    if (block !== 0) this.remove(block);
    return block;
  }

  protected override insert(block: Word): void {
    const { i32 } = this;
    const top = i32[this.state];
    i32[block + NEXT_FREE] = top;
    i32[block + PREV_LINK] = 0;
    if (top !== 0) i32[top + PREV_LINK] = block;
    i32[this.state] = block;
  }

  protected override remove(block: Word): void {
    const { i32 } = this;
    const next = i32[block + NEXT_FREE];
    const prev = i32[block + PREV_LINK];
    i32[prev !== 0 ? prev + NEXT_FREE : this.state] = next;
    if (next !== 0) i32[next + PREV_LINK] = prev;
  }

  protected override checkSet(blocks: number, words: number): void {
    let [seen, seenWords] = [0, 0];
    for (let block = this.i32[this.state]; block !== 0; block = this.i32[block + NEXT_FREE]) {
      demand(++seen <= blocks && this.freeSize(block) !== 0, 'the stack holds what is not free');
      seenWords += this.freeSize(block);
    }
    demand(seen === blocks && seenWords === words, `the stack holds ${seen} of ${blocks} free blocks`);
  }
}
