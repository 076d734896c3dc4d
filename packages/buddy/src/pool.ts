/**
 * One pool: a stretch of memory, and the tags that say of each of its blocks how large it is and whether it
 * is free.
 *
 * Tags lie in a table at the pool's start and not beside the blocks. So a block of 2^k bytes is the user's to
 * the last byte and lies at a multiple of 2^k, and a program that writes past a block harms another block but
 * not the allocator.
 *
 * ```
 *  p      ┌───────────────────────────────────┐
 *         │ next pool, or 0                   │
 *  p+1    │ end: first word behind the blocks │
 *  p+2    │ unused                            │
 *  p+4    ├───────────────────────────────────┤
 *         │ codes     1 byte a page           │  what the page is (below)
 *         ├───────────────────────────────────┤
 *         │ touched   1 bit a page            │  whether it was ever written to
 *         ├───────────────────────────────────┤
 *         │ asked     1 word a page           │  of a large block's first page: the bytes that were asked for
 *         ├───────────────────────────────────┤
 *         │ rows      256 bytes a page        │  one byte for each 16 bytes of a page that is cut up
 *  lo     ├───────────────────────────────────┤  a multiple of 16 bytes
 *         │ blocks                            │
 *  hi     └───────────────────────────────────┘
 *
 *  a page of 4 KiB     code        its blocks
 *    0 INSIDE          0           belongs to the large block that starts on an earlier page, or to no block
 *    1 CUT             1           small blocks, told apart by its row
 *    2 FRAME           2           handed out as a whole frame
 *    FREE of order k   k           a free block of 2^k bytes starts here          12 ≤ k ≤ 31
 *    USED of order k   32 + k      the same, handed out
 *    bit 6, LINED: the row has been cleared once; before, it holds what lay there
 *
 *  a granule of 16 bytes, in the row of a page that is cut up
 *    0 … 127           inside a block. The first two after the start of a block of 32 bytes and more hold its slack, 7 bits each
 *    128 + k           a free block of order k starts here                        4 ≤ k ≤ 11
 *    192 + k           the same, handed out                                       5 ≤ k ≤ 11
 *    224 + slack       a block of 16 bytes that is handed out; slack 0 … 16
 * ```
 *
 * The **slack** of a block is what was not asked for. It makes the waste of rounding up a figure that is
 * known at every moment.
 *
 * Rows are touched when a page is first cut up, so a pool that serves large blocks costs 5 bytes a page (0.13
 * %), one of small blocks 261 (6.4 %).
 */

import { countBits, type SharedMemory, type Word } from '@shmalloc/allocator-api';
import { demand } from '@shmalloc/heap-base';

/**
 * log2 of the bytes of the smallest block, of a page, and of the largest block that 32-bit addresses leave
 * room for.
 */
export const LEAST_ORDER = 4;
export const PAGE_ORDER = 12;
export const MOST_ORDER = 31;

/** Words of a page, and shifts from a word to its page and to its granule. */
export const PAGE_WORDS = 1024;
const PAGE_SHIFT = 10;
const GRANULE_SHIFT = 2;
/** Granules, and so bytes of its row, of a page. */
const ROW = 256;

/** Codes of pages. */
export const INSIDE = 0;
export const CUT = 1;
export const FRAME = 2;
export const USED = 32;
const LINED = 64;
const CODE = 63;

/** Tags of granules. */
export const FREE_TAG = 128;
export const USED_TAG = 192;
export const TINY_TAG = 224;

/** Offsets in a pool's head, in words. */
export const NEXT_POOL = 0;
export const POOL_END = 1;
const TABLES = 4;

/**
 * Where a pool's parts lie.
 * @public
 */
export interface PoolLayout {
  /** First word of the blocks, and the word behind them. */
  readonly lo: Word;
  readonly hi: Word;
  /** Pages that have tags. */
  readonly pages: number;
  /** The first words of the tables. */
  readonly codes: Word;
  readonly touched: Word;
  readonly asked: Word;
  readonly rows: Word;
}

/**
 * A pool in `[from, end)`, both multiples of 4 words; null when it is too small for its tables and one block.
 */
export function layOutPool(from: Word, end: Word): PoolLayout | null {
  const last = (end - 1) >>> PAGE_SHIFT;
  const codes = from + TABLES;
  /**
   * Tables for so many pages. They need not have tags themselves, so fewer pages suffice than the pool has.
   */
  const tables = (pages: number): PoolLayout => {
    const touched = codes + Math.ceil(pages / 4);
    const asked = touched + Math.ceil(pages / 32);
    const rows = asked + pages;
    const lo = (rows + (pages * ROW) / 4 + 3) & ~3;
    return { lo, hi: end, pages, codes, touched, asked, rows };
  };
  const all = last - (from >>> PAGE_SHIFT) + 1;
  // 261.125 bytes of tables a page. The estimate is at most a few pages short.
  let pages = Math.max(1, Math.floor((all * 4096) / (4096 + 262)) - 1);
  while ((tables(pages).lo >>> PAGE_SHIFT) + pages <= last) pages++;
  const layout = tables(pages);
  return layout.lo < end ? layout : null;
}

/** Bytes of the smallest pool: a head, tables for the two pages on which it may lie, and a block. */
export const SMALLEST_POOL: number = 16 + 4 + 4 + 2 * 4 + 2 * ROW + 32;

/**
 * The first words of all pools, in the order of the list. Bounded: a list that damage has made endless covers
 * more than the memory has before long.
 * @param i32 - a view of the whole memory
 * @param first - the word that names the first pool
 * @param counted - how many were added
 * @param own - first word of the heap's own state, and the word behind it: no pool lies there
 * @throws AllocError `Corrupted` where no pool can lie, or when their number is not that which was added
 */
export function listPools(
  i32: Int32Array,
  first: Word,
  counted: number,
  own: readonly [from: Word, end: Word],
): Word[] {
  const found: Word[] = [];
  let covered = 0;
  for (let pool = i32[first]; pool !== 0; pool = i32[pool + NEXT_POOL]) {
    const end = i32[pool + POOL_END];
    const ordered = pool % 4 === 0 && end % 4 === 0 && end > pool + TABLES;
    const placed = pool > 0 && end <= i32.length && (pool >= own[1] || end <= own[0]);
    demand(ordered && placed, `the list of pools holds word ${pool}, where no pool lies`);
    covered += end - pool;
    demand(found.length < counted, `the list of pools is longer than the ${counted} that were added`);
    demand(covered <= i32.length, 'the list of pools is longer than the memory: it goes round in circles');
    found.push(pool);
  }
  demand(found.length === counted, `${found.length} pools are listed, ${counted} were added`);
  return found;
}

/**
 * The tags of one pool, as one thread sees them. Nothing here looks whether a block lies in the pool: `has`
 * does.
 * @public
 */
export class Pool {
  /** First word of the blocks, and the word behind them. */
  readonly lo: Word;
  readonly hi: Word;
  /** First word of the pool's head. */
  readonly from: Word;
  private readonly codes: Uint8Array<SharedArrayBuffer>;
  private readonly rows: Uint8Array<SharedArrayBuffer>;
  private readonly touchedMap: Int32Array<SharedArrayBuffer>;
  private readonly askedFor: Int32Array<SharedArrayBuffer>;
  private readonly firstPage: number;
  private readonly firstGranule: number;

  constructor(memory: SharedMemory, from: Word, layout: PoolLayout) {
    const { lo, hi, pages, codes, touched, asked, rows } = layout;
    this.from = from;
    this.lo = lo;
    this.hi = hi;
    this.firstPage = lo >>> PAGE_SHIFT;
    this.firstGranule = this.firstPage * ROW;
    // Views of their own: indices into them are small integers in the upper half of 4 GiB too.
    this.codes = memory.view('u8', codes * 4, pages);
    this.touchedMap = memory.view('i32', touched * 4, Math.ceil(pages / 32));
    this.askedFor = memory.view('i32', asked * 4, pages);
    this.rows = memory.view('u8', rows * 4, pages * ROW);
  }

  /** Whether blocks can lie at this word. */
  has(word: Word): boolean {
    return word >= this.lo && word < this.hi;
  }

  // ── Pages ──

  /** What a page is. */
  code(word: Word): number {
    return this.codes[(word >>> PAGE_SHIFT) - this.firstPage] & CODE;
  }

  setCode(word: Word, code: number): void {
    const page = (word >>> PAGE_SHIFT) - this.firstPage;
    this.codes[page] = (this.codes[page] & LINED) | code;
  }

  /** A page is to hold small blocks. @returns whether its row was touched for the first time */
  cutUp(word: Word): boolean {
    const page = (word >>> PAGE_SHIFT) - this.firstPage;
    const fresh = (this.codes[page] & LINED) === 0;
    // From then on a row without blocks has no byte above 127: each tag is taken away when its block merges.
    if (fresh) this.rows.fill(0, page * ROW, (page + 1) * ROW);
    this.codes[page] = LINED | CUT;
    return fresh;
  }

  /** Whether a page's row is in order. */
  isLined(word: Word): boolean {
    return (this.codes[(word >>> PAGE_SHIFT) - this.firstPage] & LINED) !== 0;
  }

  /** What was asked for of the large block that starts here, in bytes. */
  asked(word: Word): number {
    return this.askedFor[(word >>> PAGE_SHIFT) - this.firstPage] >>> 0;
  }

  setAsked(word: Word, bytes: number): void {
    this.askedFor[(word >>> PAGE_SHIFT) - this.firstPage] = bytes;
  }

  /**
   * The pages of `[word, word + words)` are written to. Cost: a word for each 32 pages.
   * @returns how many were not until now
   */
  touch(word: Word, words: number): number {
    const { touchedMap } = this;
    const end = ((word + words - 1) >>> PAGE_SHIFT) - this.firstPage + 1;
    let fresh = 0;
    for (let page = (word >>> PAGE_SHIFT) - this.firstPage; page < end; page = (page | 31) + 1) {
      const count = Math.min(end - page, 32 - (page & 31));
      const missing = ~touchedMap[page >>> 5] & ((count < 32 ? (1 << count) - 1 : -1) << page);
      if (missing === 0) continue;
      touchedMap[page >>> 5] |= missing;
      fresh += countBits(missing);
    }
    return fresh;
  }

  isTouched(word: Word): boolean {
    const page = (word >>> PAGE_SHIFT) - this.firstPage;
    return (this.touchedMap[page >>> 5] & (1 << page)) !== 0;
  }

  // ── Granules of pages that are cut up ──

  tag(word: Word): number {
    return this.rows[(word >>> GRANULE_SHIFT) - this.firstGranule];
  }

  setTag(word: Word, tag: number): void {
    this.rows[(word >>> GRANULE_SHIFT) - this.firstGranule] = tag;
  }

  /** Marks a small block as handed out, `slack` of its bytes not asked for. */
  use(word: Word, order: number, slack: number): void {
    const granule = (word >>> GRANULE_SHIFT) - this.firstGranule;
    if (order === LEAST_ORDER) {
      this.rows[granule] = TINY_TAG + slack;
      return;
    }
    this.rows[granule] = USED_TAG + order;
    this.rows[granule + 1] = slack & 127;
    // Only blocks of 256 bytes and more, and so of 16 granules, can have a slack above 127 (of 256 in debug,
    // where a seal needs room).
    if (order > 7) this.rows[granule + 2] = slack >>> 7;
  }

  /** What `use` was told of the block with this tag. */
  slack(word: Word, tag: number): number {
    if (tag >= TINY_TAG) return tag - TINY_TAG;
    const granule = (word >>> GRANULE_SHIFT) - this.firstGranule;
    const low = this.rows[granule + 1];
    return tag > USED_TAG + 7 ? low + (this.rows[granule + 2] << 7) : low;
  }
}
