/**
 * The crossings of steps 4 and 5: lists as in step 6, but everything about segments under one lock.
 *
 * ```
 *   push · pushUnlessMarked · takeAll · mark …      as they are: one exchange, no waiting
 *   claim and release of segments, their bits       lock ▶ the same operation ▶ unlock
 * ```
 *
 * A list's head is emptied by a `claim`, too, which is told from the claim of a segment by what it writes:
 * the one leaves 0 or a mark, the other its thread's name.
 */

import type { Address, SharedMemory } from '@shmalloc/allocator-api';
import { backOff, type Crossings, crossingsFor, SpinLock } from '@shmalloc/atomic-cell';
import { LINGER } from './step.ts';

/** What is above this is a thread's name. */
const MARK = 1;

/**
 * A thread's crossings with a lock around segments. A thread that is terminated inside leaves the lock taken.
 */
export class SegmentLock implements Crossings {
  private readonly bare: Crossings;
  private readonly lock: SpinLock;
  private readonly words: Int32Array<SharedArrayBuffer>;

  /**
   * @param memory - the region
   * @param words - the memory of the lock
   * @param place - where in it, in bytes
   */
  constructor(memory: SharedMemory, words: SharedMemory, place: Address) {
    this.bare = crossingsFor(memory);
    this.lock = new SpinLock(words, place);
    this.words = words.i32;
  }

  get kind(): 'wasm' | 'js' {
    return this.bare.kind;
  }

  // ── Segments: under the lock ──

  private locked<T>(operation: () => T): T {
    this.lock.lock();
    try {
      // An experiment may want threads to be inside for longer: it is likelier then to kill one there.
      const linger = this.words[LINGER >> 2];
      if (linger !== 0) backOff(linger);
      return operation();
    } finally {
      this.lock.unlock();
    }
  }

  claim(place: number, from: number, to: number): boolean {
    if (to <= MARK) return this.bare.claim(place, from, to);
    return this.locked(() => this.bare.claim(place, from, to));
  }
  store(place: number, value: number): void {
    this.locked(() => this.bare.store(place, value));
  }
  setBits(place: number, bits: number): number {
    return this.locked(() => this.bare.setBits(place, bits));
  }
  clearBits(place: number, bits: number): number {
    return this.locked(() => this.bare.clearBits(place, bits));
  }
  claimRun(place: number, words: number, count: number): number {
    return this.locked(() => this.bare.claimRun(place, words, count));
  }
  claimRunAt(place: number, first: number, count: number): boolean {
    return this.locked(() => this.bare.claimRunAt(place, first, count));
  }
  releaseRun(place: number, first: number, count: number): void {
    this.locked(() => this.bare.releaseRun(place, first, count));
  }

  // ── Lists: as they are ──

  load(place: number): number {
    return this.bare.load(place);
  }
  push(place: number, block: number): void {
    this.bare.push(place, block);
  }
  pushUnlessMarked(place: number, block: number): boolean {
    return this.bare.pushUnlessMarked(place, block);
  }
  mark(place: number): void {
    this.bare.mark(place);
  }
  unmark(place: number): void {
    this.bare.unmark(place);
  }
  takeAll(place: number): number {
    return this.bare.takeAll(place);
  }
  takeAllMarked(place: number): number {
    return this.bare.takeAllMarked(place);
  }
}
