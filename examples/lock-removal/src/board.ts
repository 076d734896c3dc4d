/**
 * The board: memory beside the heap through which the threads of an experiment talk, and in which they write
 * down what they hold. It outlives each of them, so what a thread held when it was killed can still be freed.
 *
 * ```
 *  word  0   GO            0: wait · 1: begin                              written by the main thread
 *        1   STOP          0: go on · 1: end
 *        2   LISTED        how many addresses are in the list
 *       16 + 16·t          PROGRESS of thread t, malloc and free pairs; a cache line each
 *  ├ LETTERS   64 words    blocks on their way from one thread to another
 *  ├ SLOTS     16 × 1024   what each thread holds: an address, or 0
 *  ├ LIST      131,072     addresses that one thread hands to the next
 * ```
 */

import type { Address } from '@shmalloc/allocator-api';

const GO = 0;
const STOP = 1;
const LISTED = 2;
const PROGRESS = 16;
const LINE = 16;

/** Threads that an experiment can have. */
const THREADS = 16;
/** Blocks that a thread holds at most. */
export const SLOTS = 1024;
const LETTERS = 64;
const LIST = 131_072;

const LETTERS_AT = PROGRESS + THREADS * LINE;
const SLOTS_AT = LETTERS_AT + LETTERS;
const LIST_AT = SLOTS_AT + THREADS * SLOTS;

/** One thread's view of the board. */
export class Board {
  readonly buffer: SharedArrayBuffer;
  /** Blocks on their way. */
  readonly letters: Int32Array<SharedArrayBuffer>;
  private readonly words: Int32Array<SharedArrayBuffer>;
  private readonly list: Uint32Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer((LIST_AT + LIST) * 4)) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer);
    this.letters = new Int32Array(buffer, LETTERS_AT * 4, LETTERS);
    this.list = new Uint32Array(buffer, LIST_AT * 4, LIST);
  }

  // ── The main thread ──

  /** No thread begins before `go`. */
  hold(): void {
    Atomics.store(this.words, STOP, 0);
    Atomics.store(this.words, GO, 0);
  }

  go(): void {
    Atomics.store(this.words, GO, 1);
    Atomics.notify(this.words, GO);
  }

  stop(): void {
    Atomics.store(this.words, STOP, 1);
  }

  /** Pairs that a thread has done, as it last told. */
  progressOf(thread: number): number {
    return Atomics.load(this.words, PROGRESS + thread * LINE);
  }

  /** Takes out everything that threads have written down: what they hold, and what was on its way. */
  takeHeld(threads: readonly number[]): Address[] {
    const held: Address[] = [];
    const take = (words: { [index: number]: number; readonly length: number }): void => {
      for (let index = 0; index < words.length; index++) {
        if (words[index] !== 0) held.push(words[index] >>> 0);
        words[index] = 0;
      }
    };
    for (const thread of threads) take(this.slotsOf(thread));
    take(this.letters);
    return held;
  }

  // ── Any thread ──

  waitForGo(): void {
    // Pairs with the store in `go`.
    while (Atomics.load(this.words, GO) === 0) Atomics.wait(this.words, GO, 0, 100);
  }

  get stopped(): boolean {
    return Atomics.load(this.words, STOP) !== 0;
  }

  tell(thread: number, pairs: number): void {
    Atomics.store(this.words, PROGRESS + thread * LINE, pairs);
  }

  /** What a thread holds. Only this thread writes; others look when it has ended. */
  slotsOf(thread: number): Uint32Array<SharedArrayBuffer> {
    return new Uint32Array(this.buffer, (SLOTS_AT + thread * SLOTS) * 4, SLOTS);
  }

  // ── The list: one thread fills it, then another one empties it ──

  get listed(): number {
    return Atomics.load(this.words, LISTED);
  }

  /** @returns whether there was room */
  add(address: Address): boolean {
    const at = this.listed;
    if (at === LIST) return false;
    this.list[at] = address;
    Atomics.store(this.words, LISTED, at + 1);
    return true;
  }

  takeListed(): Address[] {
    const addresses = [...this.list.subarray(0, this.listed)];
    Atomics.store(this.words, LISTED, 0);
    return addresses;
  }
}
