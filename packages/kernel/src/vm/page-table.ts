/**
 * The page table of a virtual-memory account: a word for each page, and the counts in front of them.
 *
 * ```
 *  word
 *   0  USED        frames that pages hold, or that a CPU has taken for the page it is just committing
 *   1  PEAK        the most that USED has been
 *   2  CLOCK       the last tick; every madvise(FREE) takes one
 *   3  FREEINGS    how many of those have given up pages and are through
 *   4  EVICTED     pages that were taken under pressure
 *   5  DROPPED     pages that madvise(DONTNEED) and release have dropped
 *   6  REFUSED     touches that found no frame
 *   7  HINT_WORD   ┐ the word of the page that was taken last, 0 for none: no page that may be taken has an older
 *   8  HINT_PAGE   ┘ tick, and none with this tick lies before HINT_PAGE
 *   9  NONE_AT     FREEINGS + 1 when a look at all pages found none that may be taken; 0: there was no such look
 *  16  page 0      ┌─────────────────────────────┬─────────┐
 *  17  page 1      │ tick : 29, of FREEABLE only │ state:3 │
 *   ⋮              └─────────────────────────────┴─────────┘
 *
 *                   reserve                 touch (a frame)
 *            NONE ──────────► RESERVED ─────── BUSY ──────► RESIDENT ◄──┐
 *             ▲                │   ▲                          │ │       │ touch
 *             └────────────────┘   └── BUSY ◄──── DONTNEED ───┘ │       │ (no frame is needed)
 *                  release              ▲  (zeros, the frame    │ FREE  │
 *                                       │   goes back)          ▼       │
 *                                       └── pressure ───────── FREEABLE ┘
 * ```
 *
 * Pages of which the account is to know nothing for a while are LENT (`lend`: from NONE), and come back by
 * `reserve` through BUSY, with zeros.
 *
 * BUSY is held by the one CPU that moves the page between resident and not, for no longer than it takes to
 * find a frame or to write 4096 zeros. A thread that holds one waits for nothing, so there is no circle of
 * waiting. All other steps are one compare-exchange.
 *
 * Invariants, while no CPU is inside a call: USED = pages RESIDENT or FREEABLE ≤ frames; a page that is
 * neither, and not LENT, holds zeros. A zeroed table over zeroed pages is a fresh account.
 */

/** Indices of the words in front of the pages. */
export const USED = 0;
export const PEAK = 1;
export const CLOCK = 2;
export const FREEINGS = 3;
export const EVICTED = 4;
export const DROPPED = 5;
export const REFUSED = 6;
export const HINT_WORD = 7;
export const HINT_PAGE = 8;
export const NONE_AT = 9;
/** The word of page 0. */
export const PAGES = 16;

// A page's state, in the low bits of its word.
/** No thread's. */
export const NONE = 0;
/** Another thread's, without a frame: it reads as zeros. */
export const RESERVED = 1;
/** It has a frame, and may be written. */
export const RESIDENT = 2;
/** It has a frame that may be taken at any time. */
export const FREEABLE = 3;
/** A CPU is about to give it a frame or to take it. */
export const BUSY = 4;
/** No thread's in this account, and it may hold anything: the thread that reserves it gets zeros first. */
export const LENT = 5;

export const STATE_MASK = 7;
const TICK_SHIFT = 3;
const TICK_MASK: number = 2 ** 29 - 1;

/** The word of a page that may be taken since this tick. */
export function freeableSince(tick: number): number {
  return (tick << TICK_SHIFT) | FREEABLE;
}

/** Since when a page may be taken. */
export function tickOf(word: number): number {
  return word >>> TICK_SHIFT;
}

/** The tick that a count of the clock stands for. */
export function toTick(count: number): number {
  return count & TICK_MASK;
}

/**
 * Ticks between two, round the wrap of the clock. A page that was given up 2^29 ticks ago looks young: it is
 * taken later than others, no more.
 */
export function ticksBetween(earlier: number, later: number): number {
  return (later - earlier) & TICK_MASK;
}
