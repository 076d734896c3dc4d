/**
 * What a thread does with the heap as a whole: shares it, leaves it, looks at it.
 */

import {
  type BlockVisitor,
  type Handle,
  type LiveBlock,
  liveBlocks,
  notShared,
  type SlotHandle,
  type ValidateOptions,
  type VisitOptions,
} from '@shmalloc/allocator-api';
import { abandonAll, collectAll, reapCpu } from './abandon.ts';
import { Cpu, claimRecord } from './cpu.ts';
import { ALGORITHM_NAME } from './header.ts';
import { footprintBytes, type SlabStats, statsOf, totalBytes, usedBytes } from './stats.ts';
import { SlabCore } from './thread-view.ts';
import { validateHeap } from './validate.ts';
import { visitLive } from './visit.ts';

/**
 * One thread's access to a region: all but blocks.
 * @public
 */
export abstract class SlabThread extends SlabCore {
  /** Bytes under management. O(1). */
  totalBytes(): number {
    this.refresh();
    return totalBytes(this);
  }

  /**
   * Bytes in blocks that are handed out, of all CPUs, rounding included. O(pages + blocks freed by other CPUs
   * and not taken over yet).
   */
  usedBytes(): number {
    return usedBytes(this);
  }

  /** Bytes that are in no block; they may be in pages of another size, or another CPU's. O(pages). */
  availableBytes(): number {
    return this.totalBytes() - this.usedBytes();
  }

  // ── Sharing, collecting, ending ──

  /**
   * What another thread attaches with. It can be posted to workers.
   * @throws AllocError `Unsupported` when this heap was made with `lock: 'none'`
   */
  share(): Handle {
    if (this.lockKind === 'none') throw notShared(ALGORITHM_NAME);
    return { algorithm: ALGORITHM_NAME, memory: this.memory.source, start: this.header * 4 };
  }

  /**
   * Reserves a record for a thread that is to come: the one that attaches with this handle has the `threadId`
   * that it names. So it can be reaped however early it ends. Lock-free; O(slots).
   * @returns what one thread attaches with, once
   * @throws AllocError as `share`, and `TooManyThreads` when `threads` are attached or expected
   */
  shareSlot(): SlotHandle {
    this.refresh();
    return { ...this.share(), threadId: this.i32[claimRecord(this.memory, this.plan) + Cpu.name] };
  }

  /**
   * Gathers what other CPUs have freed into this one's pages. O(pages).
   * @param force - gives back all empty pages, too: those that were kept, and those of CPUs that have gone
   */
  collect(force = false): void {
    collectAll(this, force);
    this.tell();
  }

  /**
   * This thread is done. Pages with blocks in use are left to the CPUs that need one of their size. Calling
   * it twice does nothing. A write through NULL is reported. O(pages).
   */
  detach(): void {
    if (this.closed) return;
    this.inspectNull();
    this.tell();
    abandonAll(this);
    this.close();
    this.tell();
  }

  /** Detaches. */
  [Symbol.dispose](): void {
    this.detach();
  }

  /**
   * Gives back what a thread has that has died (`worker.terminate()`), and opens the page list's lock if it
   * died holding it. To be called when the worker's `exit` event has come. A block that the dead thread had
   * in hand inside `malloc` or `free` is lost: one at most. O(pages + the dead thread's free blocks). Nothing
   * happens when there is no thread of this name: it has detached, was reaped, is just being reaped by
   * another thread, or never was. So the exit handler of every worker may call it.
   * @param threadId - the dead thread's `threadId`
   * @throws TypeError or RangeError for what is no integer, AllocError `InvalidParam` for this thread's own
   */
  reap(threadId: number): void {
    reapCpu(this, threadId);
    this.tell();
  }

  // ── Looking at everything ──

  /**
   * Calls back for each live block of all CPUs, or of one. What other CPUs do meanwhile may be missed.
   * O(pages + blocks).
   * @param visitor - returns false to see no more; it must not call the heap
   * @param options - one thread's
   */
  visitBlocks(visitor: BlockVisitor, options: VisitOptions = {}): void {
    visitLive(this, visitor, options);
  }

  /** The live blocks, largest first. O(pages + blocks · log blocks). */
  leaks(): LiveBlock[] {
    return liveBlocks(this);
  }

  /** Figures about the region and all CPUs. O(pages). */
  stats(): SlabStats {
    return statsOf(this);
  }

  /** Bytes of the region that were ever used, the allocator's own state included. O(1), no garbage. */
  footprintBytes(): number {
    if (this.closed) this.refresh();
    return footprintBytes(this);
  }

  /**
   * Walks the page list, this CPU's pages and those without a CPU completely, and others' as far as they can
   * be looked at while they are at work. Reports only what it has seen unchanged twice. Holds the page list's
   * lock meanwhile. O(pages + free blocks).
   * @param options - `quiet: true` says that no other thread is using the heap: then everything is checked
   * @throws AllocError `Corrupted` with the first broken invariant
   */
  validate(options: ValidateOptions = {}): void {
    validateHeap(this, options.quiet === true);
  }
}
