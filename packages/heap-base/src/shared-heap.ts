/**
 * What a lock-based heap tells of itself, and how other threads come to it.
 *
 * ```
 *   GuardedHeap            lock, views, errors
 *     └ SharedHeap         figures, handles, looking at everything
 *         └ LockedHeap     the contract's calls, for any single-threaded algorithm
 * ```
 */

import {
  type AllocError,
  type BlockVisitor,
  checkInteger,
  checkNullZone,
  type Handle,
  type LiveBlock,
  liveBlocks,
  notShared,
  type SlotHandle,
  type VisitOptions,
  type Word,
} from '@shmalloc/allocator-api';
import { GuardedHeap } from './guarded-heap.ts';
import { Field, headerBytes } from './header.ts';
import type { LockedHeapStats } from './stats.ts';

/**
 * A heap that tells of itself.
 * @public
 */
export abstract class SharedHeap extends GuardedHeap {
  /** Always 0: a heap behind a lock knows no threads. */
  readonly threadId = 0;

  /** Free words that the header's LISTED does not count. */
  protected abstract unlistedWords(): number;
  /** Throws `Corrupted` with the first broken invariant. */
  protected abstract checkAll(): void;
  /**
   * Calls back for each live block, with the bytes that may be used in it, until it returns false. Under the
   * lock.
   */
  protected abstract walkLive(visit: (block: Word, bytes: number) => unknown): void;

  /** The name in handles and figures. */
  protected get algorithm(): string {
    return this.layout.algorithm;
  }

  // ── Figures ──

  private bytesOf(field: number): number {
    return this.i32[this.header + field] * 4;
  }

  /** First word of what is the heap's own: from address 0 on if NULL lies in front of the header. */
  protected stateStart(): Word {
    return this.nullWords > 0 ? 0 : this.header;
  }

  /** Bytes under management. */
  totalBytes(): number {
    this.demandAttached();
    return this.bytesOf(Field.total);
  }

  /** Bytes in blocks that are handed out, headers and rounding included. */
  usedBytes(): number {
    return this.atRest(() => Math.max(0, this.totalBytes() - this.freeBytes()));
  }

  /** Bytes under management that are not handed out. */
  availableBytes(): number {
    return this.atRest(() => this.freeBytes());
  }

  /**
   * Never negative and never more than there is, whatever was read while another thread was in the middle of
   * an operation.
   */
  private freeBytes(): number {
    const free = this.bytesOf(Field.listed) + this.unlistedWords() * 4;
    return Math.max(0, Math.min(free, this.totalBytes()));
  }

  /** Figures about the heap; cheap, and as of one moment. */
  stats(): LockedHeapStats {
    return this.atRest(() => this.figures());
  }

  /** What `stats` tells, read under the lock. */
  protected figures(): LockedHeapStats {
    const { i32, header } = this;
    const count = (field: number): number => i32[header + field] >>> 0;
    const totalBytes = this.totalBytes();
    const availableBytes = this.freeBytes();
    return {
      algorithm: this.algorithm,
      lock: this.lockKind,
      totalBytes,
      usedBytes: Math.max(0, totalBytes - availableBytes),
      availableBytes,
      footprintBytes: this.footprintBytes(),
      pools: count(Field.pools),
      failures: count(Field.failures),
      errors: count(Field.errors),
      threads: [
        { threadId: 0, lockWaits: this.lockWaits, remoteFrees: null, heldBytes: null, failures: null },
      ],
    };
  }

  /** Bytes of the region that were ever touched, the allocator's state included. Creates no garbage. */
  footprintBytes(): number {
    this.demandAttached();
    return this.bytesOf(Field.touched) + headerBytes(this.layout);
  }

  // ── Other threads ──

  /**
   * What to post to another thread, for `attach` there. Structured-cloneable.
   * @throws AllocError `Unsupported` for a heap with `lock: 'none'`
   */
  share(): Handle {
    if (this.lockKind === 'none') throw notShared(this.algorithm);
    return { algorithm: this.algorithm, memory: this.memory.source, start: this.header * 4 };
  }

  /** As `share`: any number of threads can attach. */
  shareSlot(): SlotHandle {
    return { ...this.share(), threadId: 0 };
  }

  /**
   * Nothing to do: a heap behind a lock keeps nothing for a thread. What a thread that has died inside was
   * doing, and the lock that it holds, cannot be taken back.
   */
  reap(threadId: number): void {
    this.demandAttached();
    checkInteger('threadId', threadId);
  }

  /** Nothing to do: nothing is put off. */
  collect(_force = false): void {
    this.demandAttached();
  }

  // ── Looking ──

  /**
   * Calls back for each live block, under the lock: the visitor must not call the heap. O(blocks).
   * @param visitor - returns false to see no more
   * @param options - a `threadId` other than 0 has no blocks
   * @throws AllocError `Corrupted` where the blocks do not lead on to a next one
   */
  visitBlocks(visitor: BlockVisitor, { threadId = 0 }: VisitOptions = {}): void {
    if (checkInteger('threadId', threadId) !== 0) return;
    this.locked(() => this.walkLive((block, bytes) => visitor((block << 2) >>> 0, bytes, 0, 0)));
  }

  /** The live blocks, largest first. Under the lock; O(blocks · log blocks). */
  leaks(): LiveBlock[] {
    return liveBlocks(this);
  }

  /** @throws AllocError `Corrupted` when something was written through NULL */
  private demandNullZone(): void {
    const error = checkNullZone(this.i32, this.nullWords);
    if (error !== null) throw error;
  }

  /**
   * Walks everything under the lock.
   * @throws AllocError `Corrupted` with the first broken invariant, or when something was written through
   *   NULL
   */
  validate(): void {
    try {
      this.enter();
      this.checkAll();
      this.demandNullZone();
      this.leave();
    } catch (error) {
      throw this.corrupted('validate', error);
    }
  }

  /**
   * Whether every invariant holds: `validate` as a question.
   * @returns null, or what is broken first
   */
  check(): string | null {
    try {
      this.validate();
      return null;
    } catch (error) {
      return (error as AllocError).message;
    }
  }
}
