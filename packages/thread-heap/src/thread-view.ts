/**
 * What one thread sees of a region: views that are made again when memory has come, and errors that are told.
 */

import { AllocError, type ErrorHook, type SharedMemory, type Word } from '@shmalloc/allocator-api';
import type { Crossings } from '@shmalloc/atomic-cell';

/** Views of a thread that has detached: every read is `undefined`, which no fast path takes for a block. */
const NO_WORDS: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(0));
const NO_BYTES: Uint8Array<SharedArrayBuffer> = new Uint8Array(NO_WORDS.buffer);

/**
 * The part of a thread's knowledge that all algorithms have.
 * @public
 */
export abstract class ThreadView {
  /** The region. */
  readonly memory: SharedMemory;
  /** @internal */
  i32: Int32Array<SharedArrayBuffer>;
  /** @internal */
  u8: Uint8Array<SharedArrayBuffer>;
  /**
   * The operations that cross threads.
   * @internal
   */
  readonly crossings: Crossings;
  /**
   * Where the region counts errors.
   * @internal
   */
  readonly errors: Word;
  /**
   * Where wrong calls go. It is called when the heap is consistent, so it may use it.
   * @internal
   */
  onError: ErrorHook;

  /** @internal */
  constructor(memory: SharedMemory, crossings: Crossings, errors: Word) {
    this.memory = memory;
    this.i32 = memory.i32;
    this.u8 = memory.u8;
    this.crossings = crossings;
    this.errors = errors;
    this.onError = (error) => console.error(`${error.name} ${error.code}: ${error.message}`);
  }

  /**
   * The algorithm, in messages.
   * @internal
   */
  abstract get algorithm(): string;

  /**
   * Counts a wrong call and tells the hook.
   * @internal
   */
  report(error: AllocError): void {
    // The hook that heard of the error before this one may have detached the thread.
    if (!this.closed) Atomics.add(this.i32, this.errors, 1);
    this.onError(error);
  }

  /**
   * Makes the views reach memory that has come since this thread looked last.
   * @throws AllocError `InvalidParam` when this thread has detached
   * @internal
   */
  refresh(): void {
    if (this.closed) throw new AllocError('InvalidParam', `this ${this.algorithm} heap is detached`);
    this.lookAgain();
    // Not assigned unless it must be: a field that was assigned once is a constant to V8, and a pair is 2 ns
    // quicker.
    if (this.i32 === this.memory.i32) return;
    this.i32 = this.memory.i32;
    this.u8 = this.memory.u8;
  }

  /**
   * Asks the engine how long the memory is.
   * @internal
   */
  protected lookAgain(): void {
    this.memory.refresh();
  }

  /**
   * The thread has detached: every call is refused from now on.
   * @internal
   */
  close(): void {
    this.i32 = NO_WORDS;
    this.u8 = NO_BYTES;
  }

  /**
   * Whether the thread has detached.
   * @internal
   */
  get closed(): boolean {
    return this.i32 === NO_WORDS;
  }
}
