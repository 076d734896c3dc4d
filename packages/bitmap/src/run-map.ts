/**
 * Runs of units claimed and given back by any number of threads at once, without a lock. `header.ts` has the
 * picture.
 *
 * A unit goes round through three states, each a bit of its own map:
 *
 * ```
 *            claim: clear `free`,  then set `used`
 *       ┌────────────────────────────────────────────┐
 *     free                                          used        absent ──addMemory──▶ free
 *       └────────────────────────────────────────────┘
 *            return: clear `used`, then set `free`
 * ```
 *
 * - **Clearing a bit is taking it**: of several threads that clear one, exactly one finds it set. So a page
 *   is claimed once, and returned once: a second return finds its bit of `used` clear and has changed
 *   nothing.
 * - **A run is taken whole or not at all**, word by word upwards; a thread that meets a bit that is gone puts
 *   back what it had. Going upwards, of two threads that meet one goes on. While a claim is put back, a
 *   search may miss those units for a moment: a search that found nothing looks again when RETREATS has gone
 *   up meanwhile.
 * - **Between two states a unit is in no map.** A thread that dies there takes with it the units of that one
 *   call, and no thread waits for it: there is nothing here that a thread holds. {@link RunMap.repair} finds
 *   such units again: those in no map.
 * - **Hints may be wrong and are never trusted for a no.** A bit of `hints` that is set over an empty word
 *   costs a look. A bit that is missing over a word with units (a thread died between taking the hint away
 *   and looking again) hides them from the quick search only: before a search says no, it looks at all words
 *   of `free`.
 *
 * Progress: lock-free. One that has to look again has lost a unit to a thread that went on.
 */

import {
  type AllocError,
  countBits,
  maskOf,
  type SharedMemory,
  trailingZeros,
} from '@shmalloc/allocator-api';
import type { Crossings } from '@shmalloc/atomic-cell';
import { brokenUnit, countHidden, findBroken } from './broken.ts';
import { ATTACHED_AT, type Geometry, RETREATS_AT } from './header.ts';
import { Hints } from './hints.ts';
import { findAligned, findLong, findShort, kindOf } from './search.ts';

/** The golden ratio's fraction: its multiples spread threads over the map evenly, however many come. */
const SPREAD = 0.6180339887498949;

/**
 * The maps of one allocator, as one thread sees them. Units are named by their bits: 0 … BITS − 1.
 * @public
 */
export class RunMap {
  readonly geometry: Geometry;
  private readonly words: Int32Array<SharedArrayBuffer>;
  private readonly crossings: Crossings;
  private readonly free: number;
  private readonly used: number;
  private readonly absent: number;
  private readonly hints: Hints;
  private readonly leafWords: number;
  private readonly retreats: number;
  /**
   * The words where this thread's next searches begin, of one unit and of runs: threads keep out of each
   * other's cache lines.
   */
  private cursor: number;
  private runCursor: number;

  constructor(memory: SharedMemory, geometry: Geometry, crossings: Crossings) {
    // The maps were there before any memory that is added: this view never has to be renewed.
    this.words = memory.i32;
    this.geometry = geometry;
    this.crossings = crossings;
    this.free = geometry.free;
    this.used = geometry.used;
    this.absent = geometry.absent;
    this.hints = new Hints(this.words, geometry, crossings);
    this.leafWords = geometry.words;
    this.retreats = geometry.header + RETREATS_AT;
    const attached = this.add(geometry.header + ATTACHED_AT) >>> 0;
    this.cursor = Math.floor(((attached * SPREAD) % 1) * geometry.words);
    this.runCursor = this.cursor;
  }

  /** Adds 1 to a word of the header. @returns what it was */
  private add(place: number): number {
    while (true) {
      const value = this.crossings.load(place);
      if (this.crossings.claim(place, value, (value + 1) | 0)) return value;
    }
  }

  // ── Taking ──

  /** Takes one unit. @returns its bit, −1 when there is none */
  takeOne(): number {
    while (true) {
      const before = this.crossings.load(this.retreats);
      const bit = this.takeHinted();
      if (bit >= 0) return bit;
      // Lock-free: this is done again only because another thread gave a run back, and that one had lost to a
      // third.
      if (this.crossings.load(this.retreats) === before) return -1;
    }
  }

  /** By the hints, from the cursor and then from the start; at last by the words themselves. */
  private takeHinted(): number {
    let from = this.cursor;
    while (true) {
      const at = this.hints.nextWord(from);
      if (at < 0) {
        if (from === 0) return this.takeUnhinted();
        from = 0;
      } else if (this.words[this.free + at] === 0) {
        this.hints.retire(at);
        from = at;
      } else {
        const bit = this.takeFrom(at);
        if (bit >= 0) return bit;
      }
    }
  }

  /** The hints know of nothing. Nothing there is left only if the words agree. */
  private takeUnhinted(): number {
    const { words, free, leafWords } = this;
    for (let at = 0; at < leafWords; at++) {
      while (words[free + at] !== 0) {
        const bit = this.takeFrom(at);
        if (bit < 0) continue;
        if (words[free + at] !== 0) this.hints.announce(at);
        return bit;
      }
    }
    return -1;
  }

  /**
   * Takes the lowest unit of a word that looks as if it had one.
   * @returns its bit, −1 when another thread was quicker
   */
  private takeFrom(at: number): number {
    const word = this.words[this.free + at];
    const bit = word & -word;
    // Acquire: pairs with the setBits in `give` that made it free. One that finds the bit set is the one that
    // has taken it.
    const old = this.crossings.clearBits(this.free + at, bit);
    if ((old & bit) === 0) return -1;
    const unit = at * 32 + trailingZeros(bit);
    if (!this.isFreeAlone(at, bit) || unit >= this.geometry.bits) throw this.damaged(at, bit);
    // A thread that dies before the next line takes one unit with it.
    this.crossings.setBits(this.used + at, bit);
    if (old === bit) this.hints.retire(at);
    this.cursor = at;
    return unit;
  }

  /**
   * Whether units that this thread has just claimed, and are in no map, really are in none. Plain loads: the
   * exchange that has claimed them pairs with the one that freed them, after they had left their map.
   */
  private isFreeAlone(at: number, mask: number): boolean {
    return ((this.words[this.used + at] | this.words[this.absent + at]) & mask) === 0;
  }

  /**
   * The error of units that were claimed and cannot have been free. They stay claimed, so that no call gets
   * them.
   */
  private damaged(at: number, mask: number): AllocError {
    const { words, geometry } = this;
    const wrong = (words[this.used + at] | words[this.absent + at]) & mask;
    const unit = at * 32 + trailingZeros(wrong === 0 ? mask : wrong) + geometry.base;
    const states = ['free'];
    if ((words[this.used + at] & mask) !== 0) states.push('used');
    if ((words[this.absent + at] & mask) !== 0) states.push('absent');
    return brokenUnit(unit, states.length === 1 ? 'free and behind the last' : states.join(' and '));
  }

  /**
   * Takes neighbouring units.
   * @param align - a power of two that the first one is a multiple of, counted in units
   * @returns the first bit, −1 when there is no such run
   */
  takeRun(count: number, align: number): number {
    while (true) {
      const before = this.crossings.load(this.retreats);
      for (let first = this.search(count, align); first >= 0; first = this.search(count, align)) {
        if (!this.takeAt(first, count)) continue;
        this.runCursor = first >>> 5;
        return first;
      }
      if (this.crossings.load(this.retreats) === before) return -1;
    }
  }

  /** Takes these units. @returns whether all of them were free; otherwise nothing has changed */
  takeAt(first: number, count: number): boolean {
    const { words, free } = this;
    // Acquire: pairs with the releaseRun, or setBits, in `give`. All or nothing.
    if (!this.crossings.claimRunAt(free, first, count)) {
      // Within a word nothing was taken and so nothing put back.
      if ((first & 31) + count > 32) this.retreat(first >>> 5, (first + count - 1) >>> 5);
      return false;
    }
    if (first + count > this.geometry.bits) throw this.damaged(this.leafWords - 1, -1 << this.geometry.bits);
    for (let bit = first; bit < first + count; bit = (bit | 31) + 1) {
      const mask = maskOf(bit & 31, first + count - bit);
      if (!this.isFreeAlone(bit >>> 5, mask)) throw this.damaged(bit >>> 5, mask);
    }
    // A thread that dies before the next line is through takes these units with it.
    this.crossings.releaseRun(this.used, first, count);
    const last = (first + count - 1) >>> 5;
    for (let at = first >>> 5; at <= last; at++) if (words[free + at] === 0) this.hints.retire(at);
    return true;
  }

  /**
   * A claim has put back what it had in the words `[from, to]`. Another thread may have found one of them
   * empty and taken its hint away.
   */
  private retreat(from: number, to: number): void {
    // The look is plain: what this thread has put back itself it sees.
    for (let at = from; at <= to; at++) if (this.words[this.free + at] !== 0) this.hints.announceRun(at, at);
    this.add(this.retreats);
  }

  /**
   * Where a run may be: from the cursor to the end, up to the cursor, and where hints were used once more
   * without.
   */
  private search(count: number, align: number): number {
    const { words, free, leafWords } = this;
    const from = this.runCursor;
    const first = this.searchFrom(from, leafWords, count, align);
    if (first >= 0) return first;
    // A run that starts before the cursor may reach beyond it.
    const again = this.searchFrom(0, Math.min(leafWords, from + (count >>> 5) + 2), count, align);
    if (again >= 0 || kindOf(count, align) !== 'short') return again;
    return findShort(words, free, 0, 0, leafWords, count, align, this.geometry.base);
  }

  private searchFrom(from: number, end: number, count: number, align: number): number {
    const { words, free } = this;
    const { base, hints } = this.geometry;
    const kind = kindOf(count, align);
    if (kind === 'short') return findShort(words, free, hints, from, end, count, align, base);
    if (kind === 'long') return findLong(words, free, from, end, count, align, base);
    return findAligned(words, free, from, end, count, align, base);
  }

  // ── Giving back ──

  /** Gives units back. @returns whether all of them were handed out; otherwise nothing has changed */
  give(first: number, count: number): boolean {
    const { words, used } = this;
    if (count === 1) return this.giveOne(first);
    // A look first: a wrong return then takes no bit away, not even for a moment, unless it races with a
    // right one.
    for (let bit = first; bit < first + count; bit = (bit | 31) + 1) {
      const mask = maskOf(bit & 31, first + count - bit);
      if ((words[used + (bit >>> 5)] & mask) !== mask) return false;
    }
    // Of two returns of one unit one finds it gone, and puts back what it had taken until then.
    if (!this.crossings.claimRunAt(used, first, count)) return false;
    for (let bit = first; bit < first + count; bit = (bit | 31) + 1) {
      const mask = maskOf(bit & 31, first + count - bit);
      if ((words[this.free + (bit >>> 5)] & mask) !== 0) throw this.returned(bit >>> 5, mask);
    }
    // Release: pairs with the claim that gets them next. A thread that dies before it is through takes these
    // units with it.
    this.crossings.releaseRun(this.free, first, count);
    this.hints.announceRun(first >>> 5, (first + count - 1) >>> 5);
    return true;
  }

  private giveOne(first: number): boolean {
    const at = first >>> 5;
    const bit = 1 << first;
    if ((this.crossings.clearBits(this.used + at, bit) & bit) === 0) return false;
    // Release: pairs with the clearBits in `takeFrom`. A thread that dies before this line takes one unit
    // with it.
    const old = this.crossings.setBits(this.free + at, bit);
    if ((old & bit) !== 0) throw this.returned(at, bit);
    // The look at the hint is plain: it only mends what a dead thread has left. One that finds the word empty
    // is bound to announce it.
    if (old === 0 || (this.words[this.geometry.hints + (at >>> 5)] & (1 << at)) === 0)
      this.hints.announce(at);
    this.cursor = at;
    return true;
  }

  /** The error of units that were handed out, and free as well. They are not handed out any more. */
  private returned(at: number, mask: number): AllocError {
    const { words, geometry } = this;
    const both = words[this.free + at] & mask;
    return brokenUnit(at * 32 + trailingZeros(both === 0 ? mask : both) + geometry.base, 'free and used');
  }

  /** Makes absent units free. @returns whether all of them were absent; otherwise nothing has changed */
  manage(first: number, count: number): boolean {
    if (!this.crossings.claimRunAt(this.geometry.absent, first, count)) return false;
    this.crossings.releaseRun(this.free, first, count);
    this.hints.announceRun(first >>> 5, (first + count - 1) >>> 5);
    return true;
  }

  // ── Looking ──

  /** Whether a unit is handed out. */
  isUsed(bit: number): boolean {
    return (this.crossings.load(this.used + (bit >>> 5)) & (1 << bit)) !== 0;
  }

  /** How many units are free. As of one moment only when no other thread is at work; so are the next two. */
  countFree(): number {
    return this.count(this.free);
  }

  /** How many units are handed out. */
  countUsed(): number {
    return this.count(this.used);
  }

  /** How many units there are. */
  countManaged(): number {
    return this.geometry.bits - this.count(this.geometry.absent);
  }

  private count(map: number): number {
    const { words, leafWords } = this;
    let count = 0;
    for (let at = 0; at < leafWords; at++) count += countBits(words[map + at]);
    return count;
  }

  /** How often a run was claimed in part and put back. */
  countRetreats(): number {
    return this.crossings.load(this.retreats) >>> 0;
  }

  /** How many words with free units their hint, or its own in `top`, does not tell of. */
  countHidden(): number {
    return countHidden(this.words, this.geometry);
  }

  /** See `findBroken`. */
  broken(quiet: boolean): { bit: number; states: string } | null {
    return findBroken(this.words, this.geometry, quiet);
  }

  // ── For one thread alone ──

  /** Makes all units absent. No other thread may be at work. */
  clear(): void {
    const { words } = this;
    const { free, absent, end, bits } = this.geometry;
    words.fill(0, free, end);
    words.fill(-1, absent, absent + Math.floor(bits / 32));
    if (bits % 32 !== 0) words[absent + Math.floor(bits / 32)] = maskOf(0, bits % 32);
  }

  /**
   * Makes free what is in no map, and the hints again. No other thread may be at work.
   * @returns how many units came back
   */
  repair(): number {
    const { words, leafWords, geometry } = this;
    let found = 0;
    for (let at = 0; at < leafWords; at++) {
      const known = words[geometry.free + at] | words[geometry.used + at] | words[geometry.absent + at];
      const lost = ~known & maskOf(0, geometry.bits - at * 32);
      words[geometry.free + at] |= lost;
      found += countBits(lost);
    }
    words.fill(0, geometry.hints, geometry.end);
    for (let at = 0; at < leafWords; at++) if (words[geometry.free + at] !== 0) this.hints.announce(at);
    return found;
  }
}
