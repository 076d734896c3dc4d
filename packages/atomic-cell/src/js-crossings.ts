/**
 * The operations that cross threads, with JavaScript's `Atomics`: for a region in a `SharedArrayBuffer`, and
 * where WebAssembly is forbidden. What each does and promises stands in `crossings.ts`; `wasm/crossings.ts`
 * is the same in WebAssembly, line by line.
 *
 * `compareExchange` answers what it found and refreshes no variable of ours: each loop here goes on with the
 * answer.
 */

import { maskOf, type SharedMemory, trailingZeros } from '@shmalloc/allocator-api';
import type { Crossings } from './crossings.ts';

/** The crossings of one thread, over any memory that threads share. */
export class JsCrossings implements Crossings {
  readonly kind = 'js';
  readonly #memory: SharedMemory;

  constructor(memory: SharedMemory) {
    this.#memory = memory;
  }

  /** A view that has this word. Views are replaced when memory grows, here or in another thread. */
  #cover(word: number): Int32Array<SharedArrayBuffer> {
    const { i32 } = this.#memory;
    return word < i32.length ? i32 : this.#grown(word);
  }

  #grown(word: number): Int32Array<SharedArrayBuffer> {
    this.#memory.refresh();
    const { i32, byteLength } = this.#memory;
    if (!(word < i32.length)) throw new RangeError(`word ${word} leaves the memory of ${byteLength} bytes`);
    return i32;
  }

  // ── Words ──

  load(place: number): number {
    return Atomics.load(this.#cover(place), place);
  }

  store(place: number, value: number): void {
    Atomics.store(this.#cover(place), place, value);
  }

  claim(place: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#cover(place), place, from, to) === from;
  }

  setBits(place: number, bits: number): number {
    return Atomics.or(this.#cover(place), place, bits);
  }

  clearBits(place: number, bits: number): number {
    return Atomics.and(this.#cover(place), place, ~bits);
  }

  // ── Lists ──

  push(place: number, block: number): void {
    const words = this.#cover(Math.max(place, block));
    let head = words[place];
    while (true) {
      // Plain: no other thread looks at the block before the exchange has published it.
      words[block] = head;
      // Release: pairs with the exchange in takeAll.
      const found = Atomics.compareExchange(words, place, head, block);
      if (found === head) return;
      head = found;
    }
  }

  pushUnlessMarked(place: number, block: number): boolean {
    const words = this.#cover(Math.max(place, block));
    let head = words[place];
    while (true) {
      if ((head & 1) !== 0) {
        // Acquire: pairs with the `or` that set the mark. Of several threads that saw it, one finds it in the
        // answer.
        head = Atomics.and(words, place, ~1);
        if ((head & 1) !== 0) return false;
      }
      words[block] = head;
      // Release: pairs with the `and` in takeAllMarked. Fails when the mark has come, or gone and come, since
      // the look.
      const found = Atomics.compareExchange(words, place, head, block);
      if (found === head) return true;
      head = found;
    }
  }

  mark(place: number): void {
    this.setBits(place, 1);
  }

  unmark(place: number): void {
    this.clearBits(place, 1);
  }

  takeAll(place: number): number {
    const words = this.#cover(place);
    // Acquire: pairs with the exchange of each push since the last take.
    return words[place] === 0 ? 0 : Atomics.exchange(words, place, 0);
  }

  takeAllMarked(place: number): number {
    const words = this.#cover(place);
    // Acquire: pairs with the exchange of each push since the last take. What stays is bit 0.
    return (words[place] & ~1) === 0 ? 0 : Atomics.and(words, place, 1) & ~1;
  }

  // ── Bitmaps ──

  claimRun(place: number, words: number, count: number): number {
    const all = this.#cover(place + words - 1);
    const end = words << 5;
    let first = 0;
    for (let bit = 0; bit < end; ) {
      const rest = all[place + (bit >>> 5)] >>> (bit & 31);
      if ((rest & 1) === 0) {
        bit = rest === 0 ? (bit | 31) + 1 : bit + trailingZeros(rest);
        first = bit;
        continue;
      }
      // The shift has brought zeros in from above: ones beyond the word's end are not counted.
      bit += ~rest === 0 ? 32 : trailingZeros(~rest);
      if (bit - first < count) continue;
      if (this.claimRunAt(place, first, count)) return first;
      bit = first; // a bit was lost: look at the same place again
    }
    return -1;
  }

  claimRunAt(place: number, first: number, count: number): boolean {
    const end = first + count;
    const words = this.#cover(place + ((end - 1) >> 5));
    for (let bit = first; bit < end; bit = (bit | 31) + 1) {
      const mask = maskOf(bit & 31, end - bit);
      const word = place + (bit >>> 5);
      let bits = words[word];
      while (true) {
        if ((bits & mask) !== mask) {
          this.releaseRun(place, first, bit - first);
          return false;
        }
        // Acquire: pairs with the `or` in releaseRun. All bits of a word go at once, so no part of it is ever
        // given back.
        const found = Atomics.compareExchange(words, word, bits, bits & ~mask);
        if (found === bits) break;
        bits = found;
      }
    }
    return true;
  }

  releaseRun(place: number, first: number, count: number): void {
    const end = first + count;
    const words = this.#cover(place + ((end - 1) >> 5)); // of none from bit 0 on: the word before
    for (let bit = first; bit < end; bit = (bit | 31) + 1) {
      // Release: pairs with the exchange in claimRunAt.
      Atomics.or(words, place + (bit >>> 5), maskOf(bit & 31, end - bit));
    }
  }
}
