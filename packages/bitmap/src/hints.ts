/**
 * The hints over a map of free units: which of its words have units, in two summaries.
 *
 * ```
 *   top     a bit for each word of hints that is not 0
 *   hints   a bit for each word of free that is not 0
 *   free    a bit for each unit
 * ```
 *
 * Taker:    word becomes 0 · take the hint away · look at the word again   (all three atomic)
 * Giver:    word gets bits · look at the hint, or set it at once
 * In the one order of all atomic operations either the giver's bits come before the taker's second look, or
 * the taker's hint was taken away before the giver looks: one of the two sets it.
 */

import { maskOf, trailingZeros } from '@shmalloc/allocator-api';
import type { Crossings } from '@shmalloc/atomic-cell';
import type { Geometry } from './header.ts';

/** The hints, as one thread sees them. */
export class Hints {
  private readonly geometry: Geometry;
  private readonly words: Int32Array<SharedArrayBuffer>;
  private readonly crossings: Crossings;
  private readonly free: number;
  private readonly hints: number;
  private readonly top: number;
  private readonly leafWords: number;

  constructor(words: Int32Array<SharedArrayBuffer>, geometry: Geometry, crossings: Crossings) {
    this.words = words;
    this.geometry = geometry;
    this.crossings = crossings;
    this.free = geometry.free;
    this.hints = geometry.hints;
    this.top = geometry.top;
    this.leafWords = geometry.words;
  }

  /** A word of `free` is empty: takes its hint away, unless it has got units meanwhile. */
  retire(at: number): void {
    const { crossings } = this;
    const hint = this.hints + (at >>> 5);
    if (crossings.clearBits(hint, 1 << at) === 1 << (at & 31)) {
      const place = this.top + (at >>> 10);
      crossings.clearBits(place, 1 << (at >>> 5));
      if (crossings.load(hint) !== 0) crossings.setBits(place, 1 << (at >>> 5));
    }
    // A thread that dies before this look hides what came to the word in between, at most 32 units, until
    // something is given back there or a search looks at all words.
    if (crossings.load(this.free + at) !== 0) this.announce(at);
  }

  /** A word of `free` has units. */
  announce(at: number): void {
    this.announceWord(at >>> 5, 1 << at);
  }

  announceRun(from: number, to: number): void {
    for (let at = from; at <= to; at = (at | 31) + 1) {
      const mask = maskOf(at & 31, to + 1 - at);
      // Atomic, and after the bits were set: pairs with the clearBits in `retire`.
      if ((this.crossings.load(this.hints + (at >>> 5)) & mask) !== mask) this.announceWord(at >>> 5, mask);
    }
  }

  private announceWord(hint: number, bits: number): void {
    const place = this.top + (hint >>> 5);
    const old = this.crossings.setBits(this.hints + hint, bits);
    if (old === 0 || (this.words[place] & (1 << hint)) === 0) this.crossings.setBits(place, 1 << hint);
  }

  /**
   * The first word from `from` on whose hint says that it has units; −1 when there is none. A bit of a
   * summary behind the last word, or the last hint, is damage: it leads nowhere, and no word comes after it.
   */
  nextWord(from: number): number {
    const { words, hints } = this;
    let hint = from >>> 5;
    let bits = words[hints + hint] & (-1 << from);
    while (bits === 0) {
      hint = this.nextHint(hint + 1);
      if (hint < 0) return -1;
      bits = words[hints + hint];
    }
    const at = hint * 32 + trailingZeros(bits);
    return at < this.leafWords ? at : -1;
  }

  private nextHint(from: number): number {
    const { words, top } = this;
    const { topWords } = this.geometry;
    let at = from >>> 5;
    if (at >= topWords) return -1;
    let bits = words[top + at] & (-1 << from);
    while (bits === 0) {
      if (++at === topWords) return -1;
      bits = words[top + at];
    }
    const hint = at * 32 + trailingZeros(bits);
    return hint < this.geometry.hintWords ? hint : -1;
  }
}
