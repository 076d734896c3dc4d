/**
 * A heap that can be entered: the lock, the views that are current inside, and what happens when something in
 * the region cannot be right.
 *
 * ```
 *   an operation:   enter ── lock, look whether pools have changed ──▶ the algorithm ──▶ leave
 *                      │                                                    │              │
 *                      └── detached: throws           Corrupted, or garbage that throws ───┘
 *                                                                           │
 *                                       the lock is given back, the error hook is told, the operation answers 0
 * ```
 *
 * Progress: with `lock: 'none'` and `'outside'` never waits. With a lock every operation may block while
 * another thread is inside; a thread that dies inside stops all the others (the reason for the lock-free
 * allocator).
 */

import {
  AllocError,
  type ErrorHook,
  LOCK_KINDS,
  type LockKind,
  type SharedMemory,
  takeNullWrite,
  type Word,
} from '@shmalloc/allocator-api';
import { backOff, type Lock } from '@shmalloc/atomic-cell';
import type { HeapClass } from './create.ts';
import { Field, type HeapLayout, lockOf } from './header.ts';

/**
 * What a detached heap looks at: every read is `undefined`, so the comparison in `enter` sends it to
 * `refresh`.
 */
const NO_WORDS: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(0));

/**
 * The bits of the epoch word that count. Without the sign an epoch, whatever damage has made of it, is never
 * {@link NEVER}: a thread cannot be led past its lock.
 */
const EPOCH = 0x7fffffff;
const NEVER = -1;

/**
 * Back-offs of a look at figures that would like the lock: a millisecond or so, far longer than any
 * operation.
 */
const LOOKS = 250;

/**
 * A heap that can be entered.
 * @public
 */
export abstract class GuardedHeap {
  /** The region. */
  readonly memory: SharedMemory;
  /** The region's words as this thread last saw them. */
  protected i32: Int32Array<SharedArrayBuffer>;
  /** First word of the header. */
  protected readonly header: Word;
  /** Whether wrong frees must be detected exactly. */
  protected readonly debug: boolean;
  /** @internal */
  protected readonly layout: HeapLayout;
  /** @internal */
  protected readonly lockKind: LockKind;
  /** How often this thread has found the lock taken. */
  protected lockWaits = 0;
  private lock: Lock | null;
  /** Whether this instance holds the lock. */
  private inside = false;
  /** What a call was told that came from inside. */
  private reentry: AllocError | null = null;
  /** Where the epoch stands. */
  private readonly epochWord: Word;
  /** The epoch that this thread's views and caches belong to; NEVER makes the first operation look. */
  private epoch = NEVER;
  /** The epoch at which an operation may begin at once: without a lock this thread's, with one NEVER. */
  private open = NEVER;
  /** Words that have the pattern of NULL. Never changes, so this copy of it cannot be damaged. */
  protected readonly nullWords: number;
  private onError: ErrorHook = (error) => console.error(`${error.name} ${error.code}: ${error.message}`);

  /** @internal Use `create` or `attach` of the algorithm's class. */
  constructor(memory: SharedMemory, header: Word) {
    const { i32 } = memory;
    this.memory = memory;
    this.i32 = i32;
    this.header = header;
    this.epochWord = header + Field.epoch;
    this.debug = i32[header + Field.debug] === 1;
    this.layout = (this.constructor as unknown as HeapClass<never>).layout;
    this.lockKind = LOCK_KINDS[i32[header + Field.lockKind]];
    this.lock = lockOf(memory, header);
    this.nullWords = i32[header + Field.nullWords];
  }

  /**
   * Forgets what this thread knows of the pools, because they have changed.
   * @throws AllocError `Corrupted`
   */
  protected abstract poolsChanged(): void;

  // ── The lock ──

  /**
   * Takes the lock and sees to it that this thread's views are current. After an error the caller calls
   * `damaged` or `corrupted`.
   */
  protected enter(): void {
    if ((this.i32[this.epochWord] & EPOCH) !== this.open) this.enterSlowly();
  }

  private enterSlowly(): void {
    this.acquire();
    if (!this.isCurrent()) this.refresh();
  }

  /** Takes the lock, and looks at nothing. */
  protected acquire(): void {
    if (this.lock === null) return;
    if (!this.lock.tryLock()) this.waitFor(this.lock);
    this.inside = true;
  }

  private waitFor(lock: Lock): void {
    if (this.inside) {
      const message = `a visitor of this ${this.layout.algorithm} heap called it: it is locked until the walk is over`;
      this.reentry = new AllocError('InvalidParam', message);
      throw this.reentry;
    }
    this.lockWaits++;
    lock.lock();
  }

  /** Gives the lock back. */
  protected leave(): void {
    if (this.lock === null) return;
    this.inside = false;
    this.lock.unlock();
  }

  /** Whether no memory has come since this thread looked last. */
  protected isCurrent(): boolean {
    return (this.i32[this.epochWord] & EPOCH) === this.epoch;
  }

  private refresh(): void {
    this.demandAttached();
    this.memory.refresh();
    this.i32 = this.memory.i32;
    // Only when all is in order: until then every operation looks again, and reports again.
    this.poolsChanged();
    this.epoch = this.i32[this.epochWord] & EPOCH;
    if (this.lock === null) this.open = this.epoch;
  }

  /** @throws AllocError `InvalidParam` when this instance is detached */
  protected demandAttached(): void {
    if (this.i32 !== NO_WORDS) return;
    throw new AllocError('InvalidParam', `this ${this.layout.algorithm} heap is detached`);
  }

  /** Tells the other threads that the pools have changed. */
  protected poolsAreChanged(): void {
    this.i32[this.epochWord]++;
  }

  /**
   * Runs `body` inside. What it throws is thrown when the lock is given back.
   * @internal
   */
  protected locked<T>(body: () => T): T {
    try {
      this.enter();
    } catch (error) {
      throw this.corrupted('walk', error);
    }
    try {
      return body();
    } finally {
      this.leave();
    }
  }

  /**
   * Looks at several words that belong together. Takes the lock for it if it can be had within a millisecond
   * or so: when the thread that holds it has died, or something was written over it, figures are still told,
   * as they are.
   * @internal
   */
  protected atRest<T>(look: () => T): T {
    this.demandAttached();
    const { lock } = this;
    if (lock === null || this.inside) return look();
    let round = 0;
    for (let looks = 0; !this.inside && looks < LOOKS; looks++) {
      this.inside = lock.tryLock();
      if (!this.inside) round = backOff(round);
    }
    try {
      return look();
    } finally {
      if (this.inside) this.leave();
    }
  }

  // ── What cannot be right ──

  /**
   * An operation has met something that the allocator cannot have written: gives the lock back, and tells the
   * error hook.
   * @param operation - its name
   * @param error - what was thrown
   * @returns 0, the operation's answer
   * @throws what was thrown when that was bad input
   */
  protected damaged(operation: string, error: unknown): 0 {
    const found = this.corrupted(operation, error);
    this.count(Field.errors);
    this.onError(found);
    return 0;
  }

  /**
   * The same for an operation that throws.
   * @returns the error to throw
   */
  protected corrupted(operation: string, error: unknown): AllocError {
    // The lock is the walk's, and not this call's to give back.
    if (error === this.reentry) throw error;
    if (this.inside) {
      try {
        this.leave();
      } catch {
        // Something was written over the lock as well; it is free now.
      }
    }
    if (error instanceof AllocError && error.code !== 'Corrupted') throw error; // a detached heap
    if (error instanceof AllocError) return new AllocError('Corrupted', `${operation}: ${error.message}`);
    // Garbage that was taken for an index or a size: a RangeError, a TypeError.
    return new AllocError('Corrupted', `${operation}: what lies in the region led to ${String(error)}`);
  }

  /**
   * Says where errors go that are not thrown, in this thread: wrong frees (`NotAllocated`, `DoubleFree`) and
   * damage (`Corrupted`). The default prints them.
   * @param hook - called outside the lock, so it may use the heap
   */
  registerError(hook: ErrorHook): void {
    this.onError = hook;
  }

  /** Tells the error hook, and counts it. */
  protected tell(error: AllocError): void {
    this.count(Field.errors);
    this.onError(error);
  }

  /** Looks for a write through NULL, and tells the error hook of it once. */
  protected tellNullWrite(): void {
    if (this.i32 === NO_WORDS) return; // the error hook has detached this heap
    const error = takeNullWrite(this.i32, this.nullWords);
    if (error !== null) this.tell(error);
  }

  /**
   * Adds one to a statistic of the header, in or out of the lock. Orders nothing: a statistic publishes
   * nothing.
   */
  protected count(field: number): void {
    this.demandAttached();
    if (this.lock === null) this.i32[this.header + field]++;
    else Atomics.add(this.i32, this.header + field, 1);
  }

  // ── Ending ──

  /**
   * Ends this instance's use of the heap; the blocks stay. Any later call on this instance throws. A write
   * through NULL that was not reported yet goes to the error hook.
   */
  detach(): void {
    if (this.i32 === NO_WORDS) return;
    this.tellNullWrite();
    this.i32 = NO_WORDS;
    this.lock = null;
    this.open = NEVER;
  }

  /** The same as {@link GuardedHeap.detach}. */
  [Symbol.dispose](): void {
    this.detach();
  }
}
