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
import { threadOf } from '../huge/huge-block.ts';
import { SMALL_SIZE_MAX } from '../layout/bins.ts';
import { Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import { blockAt, livePage } from '../layout/lookup.ts';
import { Page } from '../layout/page.ts';
import { isGuest } from '../page/guests.ts';
import type { Tld } from '../thread/thread-view.ts';
import type { CoreThread } from './core-thread.ts';
import { Family } from './family.ts';
import type { MiHeapCore } from './mimalloc-core.ts';

/** The object behind a record, in the thread that made it. */
export class CoreHeap extends Family implements MiHeapCore {
  readonly tld: Tld;
  readonly thread: CoreThread;
  readonly record: Word;
  readonly tag: number;
  readonly arena: number;
  private readonly direct: Word;
  /** Up to here the fast path serves; −1 when the heap has ended. */
  private small: number;
  /** How often the region had been made again. */
  private readonly era: number;

  constructor(thread: CoreThread, record: Word) {
    super();
    const { tld } = thread;
    const { i32 } = tld;
    this.tld = tld;
    this.thread = thread;
    this.record = record;
    this.tag = i32[record + Heap.tag];
    this.arena = i32[record + Heap.arena];
    this.direct = record + Heap.direct;
    this.small = SMALL_SIZE_MAX;
    this.era = i32[tld.header + Field.generation];
  }

  /** The record, as long as it is this heap's. */
  get heap(): Word {
    const { tld } = this;
    if (tld.closed) tld.refresh();
    if (this.small < 0 || this.era !== tld.i32[tld.header + Field.generation]) {
      throw new AllocError('InvalidParam', 'this heap has been deleted');
    }
    return this.record;
  }

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

  free(address: Address | ArrayBufferView): void {
    this.thread.free(address);
  }

  tryFree(address: Address | ArrayBufferView): AllocError | null {
    return this.thread.tryFree(address);
  }

  contains(address: Address): boolean {
    const { tld, heap } = this;
    const page = livePage(tld, checkInteger('address', address));
    if (page === 0 || tld.i32[page + Page.xheap] !== heap || threadOf(tld, page) !== tld.threadId)
      return false;
    return !isGuest(tld, page, blockAt(tld, page, address >>> 2));
  }

  collect(force = false): void {
    collectHeap(this.tld, this.heap, force);
    this.tld.tellLostLists();
  }

  delete(): void {
    if (this.end()) deleteHeap(this.tld, this.record);
  }

  destroy(): void {
    if (this.end()) destroyHeap(this.tld, this.record);
  }

  [Symbol.dispose](): void {
    this.delete();
  }

  /**
   * Closes this object.
   * @returns whether there is a heap behind it to be ended
   */
  end(): boolean {
    const { tld } = this;
    const live = this.small >= 0 && !tld.closed && this.era === tld.i32[tld.header + Field.generation];
    this.small = -1;
    this.thread.forgetHeap(this);
    return live;
  }
}
