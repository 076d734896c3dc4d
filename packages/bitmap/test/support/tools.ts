/**
 * What several tests use: random numbers that can be repeated, crossings that can be interrupted or are
 * broken.
 */

import { AllocError, type AllocErrorCode } from '@shmalloc/allocator-api';
import type { Crossings } from '@shmalloc/atomic-cell';
import type { ExecutionContext } from 'ava';

export const PAGE = 4096;

/**
 * Words of a header: how often a claim was put back, and where the maps begin. Part of the layout, which all
 * threads must agree on.
 */
export const RETREATS = 16;
export const MAPS = 32;

/** Demands an AllocError of this code; with `shown`, that its message names it. */
export function refused(t: ExecutionContext, code: AllocErrorCode, call: () => unknown, shown = ''): void {
  const error = t.throws(call, { instanceOf: AllocError });
  t.is(error?.code, code, error?.message);
  t.true(error?.message.includes(shown), `${error?.message} does not name ${shown}`);
}

/**
 * Crossings that tell of each operation before it is done: so that something else can happen there, or
 * nothing any more.
 */
export class Interrupted implements Crossings {
  readonly kind: 'wasm' | 'js';
  /** Called with the number of the operation, from 0. */
  before: (nth: number) => void = () => {};
  operations = 0;
  readonly #inner: Crossings;

  constructor(inner: Crossings) {
    this.#inner = inner;
    this.kind = inner.kind;
  }

  #next(): Crossings {
    this.before(this.operations++);
    return this.#inner;
  }

  load(place: number): number {
    return this.#next().load(place);
  }
  store(place: number, value: number): void {
    this.#next().store(place, value);
  }
  claim(place: number, from: number, to: number): boolean {
    return this.#next().claim(place, from, to);
  }
  setBits(place: number, bits: number): number {
    return this.#next().setBits(place, bits);
  }
  clearBits(place: number, bits: number): number {
    return this.#next().clearBits(place, bits);
  }
  mark(place: number): void {
    this.#next().mark(place);
  }
  unmark(place: number): void {
    this.#next().unmark(place);
  }
  push(place: number, block: number): void {
    this.#next().push(place, block);
  }
  pushUnlessMarked(place: number, block: number): boolean {
    return this.#next().pushUnlessMarked(place, block);
  }
  takeAll(place: number): number {
    return this.#next().takeAll(place);
  }
  takeAllMarked(place: number): number {
    return this.#next().takeAllMarked(place);
  }
  claimRun(place: number, words: number, count: number): number {
    return this.#next().claimRun(place, words, count);
  }
  /** Word by word, as the original does it, so that each word is an operation. */
  claimRunAt(place: number, first: number, count: number): boolean {
    for (let bit = first; bit < first + count; bit = (bit | 31) + 1) {
      const part = Math.min(first + count, (bit | 31) + 1) - bit;
      if (this.#next().claimRunAt(place, bit, part)) continue;
      if (bit > first) this.releaseRun(place, first, bit - first);
      return false;
    }
    return true;
  }
  releaseRun(place: number, first: number, count: number): void {
    for (let bit = first; bit < first + count; bit = (bit | 31) + 1)
      this.#next().releaseRun(place, bit, Math.min(first + count, (bit | 31) + 1) - bit);
  }
}

/**
 * Crossings with a fault: bits are cleared by a load and a store, between which others may do what they like.
 */
export class Torn extends Interrupted {
  readonly #words: Int32Array;

  constructor(inner: Crossings, words: Int32Array) {
    super(inner);
    this.#words = words;
  }

  override clearBits(place: number, bits: number): number {
    const old = this.#words[place];
    for (let pause = 0; pause < 50; pause++) Atomics.load(this.#words, place);
    this.#words[place] = old & ~bits;
    return old;
  }
}

export { randomOf, seedOf } from '../../../alloc-test/dist-test/support/threads.js';
