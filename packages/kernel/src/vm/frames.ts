/**
 * The frames of a virtual-memory account: a count with a limit, and pages to take one from when it is
 * reached.
 *
 * A frame is no place: a page lies at its address whether it has one or not. What the limit bounds is how
 * many pages hold contents at once.
 */

import {
  BUSY,
  CLOCK,
  EVICTED,
  FREEABLE,
  FREEINGS,
  HINT_PAGE,
  HINT_WORD,
  NONE_AT,
  PAGES,
  PEAK,
  RESERVED,
  STATE_MASK,
  tickOf,
  ticksBetween,
  toTick,
  USED,
} from './page-table.ts';

/** How many bytes the pages of this account have. */
export const PAGE_BYTES = 4096;

/**
 * Frames of one account, in one thread.
 * @internal
 */
export class Frames {
  /** The table, `words[0]` being its first word. */
  readonly words: Int32Array<SharedArrayBuffer>;
  /** The pages, `bytes[0]` being the first byte of page 0. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** How many pages. */
  readonly pages: number;
  /** How many may be resident at once. */
  readonly limit: number;

  constructor(words: Int32Array<SharedArrayBuffer>, bytes: Uint8Array<SharedArrayBuffer>, limit: number) {
    this.words = words;
    this.bytes = bytes;
    this.pages = words.length - PAGES;
    this.limit = limit;
  }

  /**
   * Takes a frame: one that no thread has, else that of the page that may be taken for the longest time. The
   * caller holds the page that it is for BUSY.
   *
   * Lock-free: it looks again only when another CPU has given up a page or a frame meanwhile.
   * @returns whether there was one; if not, there was a moment during the call in which every frame was held
   *   by a page that must keep it
   */
  take(): boolean {
    const { words, limit } = this;
    for (;;) {
      // Before the look at the pages: pairs with the add at the end of madvise(FREE). If that has not changed
      // after the look, no page that the look has passed became FREEABLE behind its back.
      const freeings = Atomics.load(words, FREEINGS);
      if (this.takeUnused()) return true;
      // Where a look at this count of freeings found nothing, another one will not either.
      const none = (freeings + 1) | 0;
      if (Atomics.load(words, NONE_AT) !== none) {
        if (this.evict()) return true;
        Atomics.store(words, NONE_AT, none);
      }
      if (Atomics.load(words, USED) >= limit && Atomics.load(words, FREEINGS) === freeings) return false;
    }
  }

  /** Gives back the frame of a page that holds zeros again and is no longer BUSY. */
  giveBack(): void {
    // Release: pairs with the exchange in takeUnused. After the page's state was stored, so that USED never
    // says less than pages have.
    Atomics.sub(this.words, USED, 1);
  }

  /** Writes zeros over a page that the caller holds BUSY. */
  wipe(page: number): void {
    this.bytes.fill(0, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
  }

  private takeUnused(): boolean {
    const { words, limit } = this;
    for (let used = Atomics.load(words, USED); used < limit; ) {
      // One by one, and never beyond the limit: an add that is taken back would let another CPU see too many.
      const seen = Atomics.compareExchange(words, USED, used, used + 1);
      if (seen === used) {
        this.raisePeak(used + 1);
        return true;
      }
      used = seen;
    }
    return false;
  }

  private raisePeak(used: number): void {
    const { words } = this;
    for (let peak = Atomics.load(words, PEAK); peak < used; ) {
      const seen = Atomics.compareExchange(words, PEAK, peak, used);
      if (seen === peak) return;
      peak = seen;
    }
  }

  /** Takes the frame of the oldest page that may be taken; USED stays as it is. */
  private evict(): boolean {
    const { words } = this;
    for (let page = this.oldest(); page !== -1; page = this.oldest()) {
      const word = Atomics.load(words, PAGES + page);
      // Against a touch that wants the page back, and against other CPUs that want its frame: one wins. A
      // page that was freed again meanwhile has another tick, so it is not mistaken for the old one.
      if ((word & STATE_MASK) !== FREEABLE) continue;
      if (Atomics.compareExchange(words, PAGES + page, word, BUSY) !== word) continue;
      this.wipe(page);
      // Release: pairs with the exchange of the touch that commits the page again, which finds the zeros.
      Atomics.store(words, PAGES + page, RESERVED);
      // In any order with other CPUs: a mix of two hints starts too late for some pages, and the look through
      // all then finds them.
      Atomics.store(words, HINT_WORD, word);
      Atomics.store(words, HINT_PAGE, page + 1);
      Atomics.add(words, EVICTED, 1);
      return true;
    }
    return false;
  }

  /**
   * The page that may be taken for the longest time, or −1. Pages that one madvise(FREE) gave up are found in
   * a row, each where the last one was; the next older tick costs a look at every page.
   *
   * The looks are plain loads, 10 to 20 times as fast as atomic ones. That is harmless: what they find is
   * taken by a compare-exchange, or not.
   */
  private oldest(): number {
    const { words, pages } = this;
    const sought = Atomics.load(words, HINT_WORD);
    // Damaged hints must not name a page that cannot be taken: it would be tried again and again.
    const isHint = (sought & STATE_MASK) === FREEABLE;
    for (let page = isHint ? Math.max(0, Atomics.load(words, HINT_PAGE)) : pages; page < pages; page++) {
      if (words[PAGES + page] === sought) return page;
    }
    const now = toTick(Atomics.load(words, CLOCK));
    let oldest = -1;
    let most = -1;
    for (let page = 0; page < pages; page++) {
      const word = words[PAGES + page];
      if ((word & STATE_MASK) !== FREEABLE) continue;
      const age = ticksBetween(tickOf(word), now);
      if (age <= most) continue;
      most = age;
      oldest = page;
    }
    return oldest;
  }
}
