/**
 * What one thread knows of the region: the views, where things lie, which CPU it is. Everything that counts is in the region itself; this
 * object can be made anew at any time. The functions of this package take it first.
 */

import { AllocError, type SharedMemory } from '@shmalloc/allocator-api';
import { type Crossings, crossingsFor } from '@shmalloc/atomic-cell';
import { Counter, Cpu, slotOf } from './cpu.ts';
import type { Word } from './geometry.ts';
import { Field } from './header.ts';
import { LOCK_KINDS, type LockKind, PageLock } from './page-lock.ts';

/** Views of a thread that has detached: every read is `undefined`, which no fast path takes for a block. */
const NO_WORDS: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(0));
const NO_BYTES: Uint8Array<SharedArrayBuffer> = new Uint8Array(NO_WORDS.buffer);

/**
 * One thread's view of a region.
 * @public
 */
export abstract class SlabCore {
  /** The region. */
  readonly memory: SharedMemory;
  /** Who this thread is among those attached; never 0, and never reused. For {@link Slab.reap}. */
  readonly threadId: number;
  /** The number of this thread's CPU, 0, 1, …: free again for others when it has detached. */
  readonly cpuId: number;
  /** @internal */
  i32: Int32Array<SharedArrayBuffer>;
  /** @internal */
  u8: Uint8Array<SharedArrayBuffer>;
  /** @internal */
  readonly header: Word;
  /** @internal */
  readonly root: Word;
  /** @internal */
  readonly pageShift: number;
  /** @internal */
  readonly chunkShift: number;
  /**
   * Bytes of the largest block that shares a page: half of one.
   * @internal
   */
  readonly smallMax: number;
  /** @internal */
  readonly empty: Word;
  /**
   * This CPU's record.
   * @internal
   */
  readonly cpu: Word;
  /**
   * The table in which `malloc` finds a page by class: CURRENT of the record; in debug mode one without pages, so that it takes the slow path.
   * @internal
   */
  readonly direct: Word;
  /** @internal */
  readonly debug: boolean;
  /** @internal */
  readonly crossings: Crossings;
  /** @internal */
  readonly lockKind: LockKind;
  /** @internal */
  epoch: number;
  private readonly pageLock: PageLock;
  private onError: (error: AllocError) => void;

  /** @internal */
  constructor(memory: SharedMemory, header: Word, cpu: Word, pageShift: number, chunkShift: number) {
    const { i32 } = memory;
    this.memory = memory;
    this.i32 = i32;
    this.u8 = memory.u8;
    this.header = header;
    this.root = i32[header + Field.root];
    this.pageShift = pageShift;
    this.chunkShift = chunkShift;
    this.smallMax = 2 << pageShift;
    this.empty = header + Field.empty;
    this.cpu = cpu;
    this.threadId = i32[cpu + Cpu.name];
    this.cpuId = slotOf(this.threadId);
    this.debug = i32[header + Field.debug] === 1;
    this.direct = this.debug ? header + Field.noPages : cpu + Cpu.current;
    this.crossings = crossingsFor(memory);
    this.lockKind = LOCK_KINDS[i32[header + Field.lockKind]];
    this.pageLock = new PageLock(memory, header + Field.lock, this.lockKind, this.threadId);
    this.epoch = i32[header + Field.epoch];
    this.onError = (error) => console.error(`${error.name} ${error.code}: ${error.message}`);
  }

  /**
   * Says where wrong calls go, in this thread. The default prints them.
   * @param hook - called when the heap is consistent and the lock open, so it may use the heap
   */
  registerError(hook: (error: AllocError) => void): void {
    this.onError = hook;
  }

  /**
   * Counts a wrong call and tells the hook.
   * @internal
   */
  report(error: AllocError): void {
    Atomics.add(this.i32, this.header + Field.errors, 1);
    this.onError(error);
  }

  /**
   * Counts something of this CPU.
   * @internal
   */
  count(counter: number): void {
    this.i32[this.cpu + Cpu.counters + counter]++;
  }

  /**
   * Takes the page list's lock, and sees to it that this thread's views reach all that the list names.
   * @internal
   */
  enter(): void {
    this.count(Counter.locks);
    if (this.pageLock.lock()) this.count(Counter.lockWaits);
    if (this.i32[this.header + Field.epoch] !== this.epoch) this.lookAround();
  }

  /** @internal */
  leave(): void {
    this.pageLock.unlock();
  }

  /**
   * Takes the lock from a dead thread that holds it.
   * @internal
   */
  takeOver(name: number): boolean {
    return this.pageLock.takeOver(name);
  }

  /**
   * Hears of memory that has come since this thread looked last.
   * @internal
   */
  lookAround(): void {
    // Taken down before looking: what comes meanwhile is looked at the next time.
    const epoch = this.i32[this.header + Field.epoch];
    this.refresh();
    this.epoch = epoch;
  }

  /**
   * Makes the views reach memory that has come since this thread looked last.
   * @throws AllocError `InvalidParam` when this thread has detached
   * @internal
   */
  refresh(): void {
    if (this.i32 === NO_WORDS) throw new AllocError('InvalidParam', 'this slab heap is detached');
    this.memory.refresh();
    // Not assigned unless it must be: a field that was assigned once is a constant to V8.
    if (this.i32 === this.memory.i32) return;
    this.i32 = this.memory.i32;
    this.u8 = this.memory.u8;
  }

  /** @internal */
  close(): void {
    this.i32 = NO_WORDS;
    this.u8 = NO_BYTES;
  }

  /**
   * Whether `detach` has been called.
   * @internal
   */
  get closed(): boolean {
    return this.i32 === NO_WORDS;
  }
}
