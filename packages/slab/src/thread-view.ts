/**
 * What one thread knows of the region: the views, where things lie, which CPU it is. Everything that counts
 * is in the region itself; this object can be made again at any time. The functions of this package take it
 * first.
 *
 * **Views.** Other threads add memory, and what a list, the page map or another thread's free leads to can
 * lie beyond the views of this one. So a view is taken after the point at which memory may have come, and not
 * before: `enter` and `heed` see to it that the views reach all that was there when the lock, or a list, was
 * taken. An old view stays right for the bytes that it covers, and so for this thread's own pages.
 *
 * **Errors.** What is found in the middle of an operation is noted, and told to the hook when the operation
 * is over: the hook may use the heap.
 */

import {
  type AllocError,
  broken,
  type ErrorHook,
  type LockKind,
  type SharedMemory,
  takeNullWrite,
  type Word,
} from '@shmalloc/allocator-api';
import { crossingsFor } from '@shmalloc/atomic-cell';
import { slotOf, ThreadView } from '@shmalloc/thread-heap';
import { Counter, Cpu, canHold } from './cpu.ts';
import { Field } from './header.ts';
import { PageLock, Taken } from './page-lock.ts';
import { type Plan, readLock } from './plan.ts';

/**
 * Looks at a length that is not yet what it must be. One is enough; a word that was written over costs as
 * many.
 */
const MOST_TURNS = 64;

/** What no epoch is: it goes up from 1. */
const NO_EPOCH = -1;

/**
 * One thread's view of a region.
 * @public
 */
export abstract class SlabCore extends ThreadView {
  /** This thread among those attached; never 0, and never reused. For `Slab.reap`. */
  readonly threadId: number;
  /** The number of this thread's CPU, 0, 1, …: free again for others when it has detached. */
  readonly cpuId: number;
  /** @internal */
  readonly header: Word;
  /**
   * Where everything lies.
   * @internal
   */
  readonly plan: Plan;
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
   * The table in which `malloc` finds a page by class: CURRENT of the record; in debug mode one without
   * pages, so that it takes the slow path.
   * @internal
   */
  readonly direct: Word;
  /** @internal */
  readonly debug: boolean;
  /** @internal */
  readonly lockKind: LockKind;
  /** @internal */
  epoch: number;
  /**
   * What was found wrong and not told yet.
   * @internal
   */
  noted: AllocError[] | null;
  private readonly pageLock: PageLock;

  /** @internal */
  constructor(memory: SharedMemory, plan: Plan, cpu: Word) {
    const { i32 } = memory;
    const { header } = plan;
    super(memory, crossingsFor(memory), header + Field.errors);
    this.header = header;
    this.plan = plan;
    this.root = plan.root;
    this.pageShift = plan.pageShift;
    this.chunkShift = plan.chunkShift;
    this.smallMax = 2 << plan.pageShift;
    this.empty = header + Field.empty;
    this.cpu = cpu;
    this.threadId = i32[cpu + Cpu.name];
    this.cpuId = slotOf(this.threadId);
    this.debug = i32[header + Field.debug] === 1;
    this.direct = this.debug ? header + Field.noPages : cpu + Cpu.current;
    this.lockKind = readLock(memory, header);
    this.pageLock = new PageLock(memory, header + Field.lock, this.lockKind, this.threadId, (name) =>
      canHold(i32, plan, name),
    );
    // None: these views may be older than the epoch is now, so the first look is taken after both.
    this.epoch = NO_EPOCH;
    this.noted = null;
  }

  /**
   * Says where wrong calls go, in this thread. The default prints them.
   * @param hook - called when the heap is consistent and the lock open, so it may use the heap
   */
  registerError(hook: ErrorHook): void {
    this.onError = hook;
  }

  /**
   * Keeps an error for the end of the operation.
   * @internal
   */
  note(error: AllocError): void {
    if (this.noted === null) this.noted = [error];
    else this.noted.push(error);
  }

  /**
   * Keeps it that something in the region cannot have been written by a heap.
   * @internal
   */
  noteDamage(what: string): void {
    this.note(broken('slab', what));
  }

  /**
   * Keeps the error of a wrong call. A program that makes one may have written through NULL as well.
   * @internal
   */
  noteWrong(error: AllocError): void {
    this.inspectNull();
    this.note(error);
  }

  /**
   * Reports what was noted. At the end of every operation off the fast paths.
   * @internal
   */
  tell(): void {
    while (this.noted !== null) {
      const [error, ...rest] = this.noted;
      // Before the hook: it may use the heap, and may throw.
      this.noted = rest.length === 0 ? null : rest;
      this.report(error);
    }
  }

  /**
   * Looks for a write through NULL, and notes it.
   * @internal
   */
  inspectNull(): void {
    const error = takeNullWrite(this.i32, this.i32[this.header + Field.nullWords]);
    if (error !== null) this.note(error);
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
   * @returns false when the lock's word was damaged, so that what it guards may be in any state
   * @internal
   */
  take(): boolean {
    this.count(Counter.locks);
    const taken = this.pageLock.lock();
    if (taken === Taken.waited) this.count(Counter.lockWaits);
    if (taken === Taken.damaged) this.noteDamage('the word of the page list’s lock named no thread');
    if (taken === Taken.damaged) this.lookAround();
    else this.heed();
    return taken !== Taken.damaged;
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
   * Makes the views reach memory that has come since this thread looked last, if some has. After everything
   * by which a thread gets what others had.
   * @internal
   */
  heed(): void {
    if (this.i32[this.header + Field.epoch] !== this.epoch) this.lookAround();
  }

  /** @internal */
  lookAround(): void {
    // Taken down before looking: what comes meanwhile is looked at the next time.
    const epoch = this.i32[this.header + Field.epoch];
    this.refresh();
    this.epoch = epoch;
  }

  /** @internal */
  get algorithm(): string {
    return 'slab';
  }

  /** @internal */
  protected override lookAgain(): void {
    super.lookAgain();
    if (this.memory.i32.length < this.i32[this.header + Field.reach]) this.catchUp();
  }

  /**
   * Looks again until the engine tells the length that the memory has. V8 lets a thread know by an interrupt
   * that another one has made a shared `WebAssembly.Memory` grow, and code looks for interrupts when it turns
   * back in a loop: until then `memory.buffer` may be the old one. With a bound, since the word may have been
   * written over.
   */
  private catchUp(): void {
    const { i32, header, memory } = this;
    for (let turn = 0; turn < MOST_TURNS && memory.i32.length < i32[header + Field.reach]; turn++) {
      memory.refresh();
    }
  }
}
