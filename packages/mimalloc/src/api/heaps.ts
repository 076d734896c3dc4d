/**
 * First-class heaps: parts of a program that want their blocks apart from the rest, to free them all at once,
 * to count them, or to have them in memory of their own.
 *
 * ```
 *   a thread ─▶ backing heap ─▶ heap ─▶ keeper of arena 1 ─▶ heap in arena 1 ─▶ …        NEXT
 *                  ▲  BACKING │            ▲     BACKING │
 *                  └──────────┘            └─────────────┘
 * ```
 *
 * A heap has queues of pages like a thread's own, so a page holds blocks of one heap only, and of threads
 * that have gone (`guests.ts`). When it is deleted, its pages go to the heap that BACKING names: the thread's
 * own, or, in an exclusive arena, a heap in which no thread allocates (the arena's *keeper*), since the
 * thread's own must not have memory of the arena.
 */

import { type Address, AllocError, checkInteger, type Word } from '@shmalloc/allocator-api';
import { mallocGeneric } from '../alloc/malloc.ts';
import { collectHeap } from '../foreign/collect.ts';
import { deleteHeap, destroyHeap } from '../heaps/heap-delete.ts';
import { claimHeap, type HeapPlan } from '../heaps/heap-records.ts';
import { threadOf } from '../huge/huge-block.ts';
import { SMALL_SIZE_MAX } from '../layout/bins.ts';
import { Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import { blockAt, livePage } from '../layout/lookup.ts';
import { Page } from '../layout/page.ts';
import { isGuest } from '../page/guests.ts';
import { keeperOf } from '../region/walk.ts';
import { arenasOf } from '../segment/bounds.ts';
import type { Tld } from '../thread/tld.ts';
import { MallocFamily } from './family.ts';
import type { MiMallocCore } from './mi-malloc.ts';

/** The largest tag. */
const TAG_MAX = 255;

/**
 * What a heap is made with.
 * @public
 */
export interface MiHeapOptions {
  /** A number of the program's choice, 0 … 255, that inspection and `visitBlocks` show. Default 0. */
  tag?: number | undefined;
  /**
   * An exclusive arena, as `addArena` has returned it: the heap takes memory from there and from nowhere
   * else. Default: the heap's common memory.
   */
  arena?: number | undefined;
}

/** Fills in what was not said. */
export function heapPlan(tld: Tld, { tag = 0, arena = 0 }: MiHeapOptions): HeapPlan {
  if (checkInteger('tag', tag) > TAG_MAX) {
    throw new AllocError('InvalidParam', `tag must lie between 0 and ${TAG_MAX}, got ${tag}`);
  }
  if (checkInteger('arena', arena) > arenasOf(tld)) {
    throw new AllocError('InvalidParam', `arena must be what addArena returned, got ${arena}`);
  }
  return { tag, arena };
}

/**
 * Claims a record for a heap, and one for its arena's keeper if need be.
 * @returns 0 when there is no memory
 */
export function makeHeap(tld: Tld, plan: HeapPlan): Word {
  const { arena } = plan;
  const keeper = keeperOf(tld, arena) || claimHeap(tld, { tag: 0, arena }, 0);
  return keeper && claimHeap(tld, plan, keeper);
}

/**
 * A heap of a thread. It belongs to the thread that made it: no other thread allocates from it. Blocks may be
 * freed by any thread, with any `free`. When it is no longer wanted, `delete` lets its blocks live on, and
 * `destroy` frees them all.
 *
 * After `init`, a heap that was made before is gone like all blocks, for every thread.
 * @public
 */
export class MiHeapCore extends MallocFamily {
  /** @internal */
  readonly tld: MiMallocCore;
  /** @internal */
  readonly record: Word;
  /** What `heapNew` was given. */
  readonly tag: number;
  /** What `heapNew` was given; 0 for the common memory. */
  readonly arena: number;
  private readonly direct: Word;
  /** Up to here the fast path serves; −1 when the heap has ended. */
  private small: number;
  /** How often the region had been made again. */
  private readonly era: number;

  /** @internal */
  constructor(tld: MiMallocCore, record: Word) {
    super();
    const { i32 } = tld;
    this.tld = tld;
    this.record = record;
    this.tag = i32[record + Heap.tag];
    this.arena = i32[record + Heap.arena];
    this.direct = record + Heap.direct;
    this.small = SMALL_SIZE_MAX;
    this.era = i32[tld.header + Field.generation];
  }

  /**
   * The record, as long as it is this heap's.
   * @internal
   */
  get heap(): Word {
    const { tld } = this;
    if (tld.closed) tld.refresh();
    if (this.small < 0 || this.era !== tld.i32[tld.header + Field.generation]) {
      throw new AllocError('InvalidParam', 'this heap has been deleted');
    }
    return this.record;
  }

  /** As {@link MallocFamily.malloc}, from this heap. */
  malloc(size: number): Address {
    const { i32 } = this.tld;
    if (typeof size === 'number' && size >>> 0 === size && size <= this.small) {
      const page = i32[this.direct + ((size + 7) >>> 3)];
      const block = i32[page + Page.free];
      if (block > 0) {
        i32[page + Page.free] = i32[block];
        i32[page + Page.used]++;
        return (block << 2) >>> 0;
      }
    }
    return (mallocGeneric(this.tld, this.heap, checkInteger('size', size), 0) << 2) >>> 0;
  }

  /** As {@link MallocFamily.free}: any block, not only one of this heap. */
  free(address: Address | ArrayBufferView): void {
    this.tld.free(address);
  }

  /** As {@link MallocFamily.tryFree}: any block, not only one of this heap. */
  tryFree(address: Address | ArrayBufferView): AllocError | null {
    return this.tld.tryFree(address);
  }

  /**
   * Whether a block is from this heap. O(1).
   * @param address - a live block; for the address of a block that is free the answer is that of its page
   */
  contains(address: Address): boolean {
    const { tld, heap } = this;
    const page = livePage(tld, checkInteger('address', address));
    if (page === 0 || tld.i32[page + Page.xheap] !== heap || threadOf(tld, page) !== tld.threadId)
      return false;
    return !isGuest(tld, page, blockAt(tld, page, address >>> 2));
  }

  /**
   * Gathers what was freed, and gives empty pages back.
   * @param force - also what would be kept for a while, and memory without waiting for its time
   */
  collect(force = false): void {
    collectHeap(this.tld, this.heap, force);
    this.tld.tellLostLists();
  }

  /**
   * Ends the heap. Its blocks live on; they are freed like any others. Calling it twice does nothing.
   * O(pages), and O(segments) with a huge block.
   */
  delete(): void {
    if (this.end()) deleteHeap(this.tld, this.record);
  }

  /**
   * Ends the heap and frees all its blocks, wherever they are used. Calling it twice, or after `delete`, does
   * nothing. O(pages), and O(segments) with a huge block.
   *
   * No other thread may be freeing one of the blocks at that moment; frees that have returned are no harm. (A
   * huge block that another thread is freeing nevertheless is freed by one of the two; a free that comes
   * second is reported.)
   */
  destroy(): void {
    if (this.end()) destroyHeap(this.tld, this.record);
  }

  /** Deletes the heap. */
  [Symbol.dispose](): void {
    this.delete();
  }

  /**
   * Closes this object.
   * @returns whether there is a heap behind it to be ended
   * @internal
   */
  end(): boolean {
    const { tld } = this;
    const live = this.small >= 0 && !tld.closed && this.era === tld.i32[tld.header + Field.generation];
    this.small = -1;
    tld.forgetHeap(this);
    return live;
  }
}
