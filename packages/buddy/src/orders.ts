/**
 * The buddy system (Knowlton 1965; Knuth, TAOCP 1, §2.5): free blocks by order, split and merged.
 *
 * A block of order k has 2^k bytes and lies at a multiple of 2^k. Its buddy is the other half of the block of
 * order k + 1: the same address with bit k flipped. When both are free they are one.
 *
 * ```
 *  state   (words)
 *   0    ┌────────────────────┐
 *        │ first pool         │
 *   1    │ map                │  bit k: list k has a block
 *   2    │ asked              │  bytes that were asked for, of all blocks in use
 *   3    │ frames             │  whole pages in pools
 *   4    │ free frames        │  those of them that lie in free blocks of a page and more
 *   5    │ unused             │
 *   8    ├────────────────────┤            a free block   (words)
 *        │ heads × 32         │──────▶     ┌──────────────────┐
 *  40    └────────────────────┘         0  │ next, or 0       │
 *                                       1  │ previous, or 0   │
 *                                          └──────────────────┘
 *
 *  taking 32 bytes where only list 7 has a block:
 *
 *   order 7   │████████████████████████████████│
 *   order 6   │████████████████│ free ──▶ list 6 │
 *   order 5   │████████│ free   ──▶ list 5       │
 *             │ taken  │
 * ```
 *
 * Invariants: bit k of the map is set if and only if list k has a block; the blocks of list k are free and of
 * order k; no two buddies are free; a free block smaller than a page lies on a page that was touched, a
 * larger one has touched its first page (its links).
 *
 * What is read from the region is checked before anything is written: the first block of a list by its tag, a
 * link by the link back.
 */

import { AllocError, SharedMemory, trailingZeros, type Word } from '@shmalloc/allocator-api';
import { brokenHeap, Field, LockedHeap } from '@shmalloc/heap-base';
import {
  CUT,
  FREE_TAG,
  INSIDE,
  layOutPool,
  listPools,
  MOST_ORDER,
  NEXT_POOL,
  PAGE_ORDER,
  PAGE_WORDS,
  POOL_END,
  Pool,
  SMALLEST_POOL,
} from './pool.ts';

/** Offsets in the state, in words. */
export const FIRST_POOL = 0;
export const MAP = 1;
export const ASKED = 2;
export const FRAMES = 3;
export const FREE_FRAMES = 4;
export const HEADS = 8;
export const STATE_WORDS: number = HEADS + MOST_ORDER + 1;

/** Links of a free block. */
const NEXT = 0;
const PREV = 1;

const { clz32 } = Math;

/** Words of a page's row of tags, and of its place in `asked`. */
const ROW_WORDS = 64;
const ASKED_WORDS = 1;

/** Where no block lies. */
const NO_POOL: Pool = new Pool(SharedMemory.from(new SharedArrayBuffer(8)), 0, {
  lo: 0x3fffffff,
  hi: 0,
  pages: 0,
  codes: 0,
  touched: 0,
  asked: 0,
  rows: 0,
});

/**
 * Free blocks by order, over any number of pools.
 * @public
 */
export abstract class OrderLists extends LockedHeap {
  /** Where the state's words lie in the region. */
  protected readonly state: Word;
  private readonly map: Word;
  private readonly heads: Word;
  private readonly freeFrames: Word;
  private readonly touched: Word;
  /**
   * The pools by address, as this thread knows them.
   * @internal
   */
  protected pools: Pool[] = [];
  /** The pool that was used last. */
  private pool: Pool = NO_POOL;

  /** @internal */
  constructor(memory: SharedMemory, header: Word) {
    super(memory, header);
    this.state = header + Field.own;
    this.map = this.state + MAP;
    this.heads = this.state + HEADS;
    this.freeFrames = this.state + FREE_FRAMES;
    this.touched = header + Field.touched;
  }

  // ── Pools ──

  protected override format(): void {
    this.i32.fill(0, this.state, this.state + STATE_WORDS);
  }

  protected override poolsChanged(): void {
    const { i32, memory } = this;
    const pools: Pool[] = [];
    for (const from of this.listPools()) {
      const layout = layOutPool(from, i32[from + POOL_END]);
      if (layout !== null) pools.push(new Pool(memory, from, layout));
    }
    pools.sort((a, b) => a.lo - b.lo);
    this.pools = pools;
    this.pool = pools[0] ?? NO_POOL;
  }

  /** The first words of all pools. */
  private listPools(): Word[] {
    const { i32, header, state } = this;
    return listPools(i32, state + FIRST_POOL, i32[header + Field.pools], [header, state + STATE_WORDS]);
  }

  /**
   * The pool in which a block can lie at this word; one that has no word when there is none.
   * @internal
   */
  protected poolOf(word: Word): Pool {
    const { pool } = this;
    return pool.has(word) ? pool : this.findPool(word);
  }

  /** By halves: logarithmic in the number of pools. */
  private findPool(word: Word): Pool {
    const { pools } = this;
    let low = 0;
    let high = pools.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (pools[middle].hi <= word) low = middle + 1;
      else high = middle;
    }
    const pool = pools[low];
    if (pool === undefined || !pool.has(word)) return NO_POOL;
    this.pool = pool;
    return pool;
  }

  protected override checkPool(first: Word, end: Word): AllocError | null {
    const [from, to] = poolIn(first, end);
    if (to > from && layOutPool(from, to) !== null) return null;
    const range = `[${first * 4}, ${end * 4}) is too small for a pool: ${SMALLEST_POOL} bytes always suffice`;
    return new AllocError('RegionTooSmall', range);
  }

  protected override addPool(first: Word, end: Word): AllocError | null {
    const { i32, header, state, memory } = this;
    const [from, to] = poolIn(first, end);
    for (const pool of this.listPools()) {
      if (pool >= to || i32[pool + POOL_END] <= from) continue;
      const range = `[${first * 4}, ${end * 4}) overlaps the pool [${pool * 4}, ${i32[pool + POOL_END] * 4})`;
      return new AllocError('MemoryOverlap', range);
    }
    const layout = layOutPool(from, to);
    if (layout === null) return this.checkPool(first, end);
    const { lo, hi, asked } = layout;
    i32.fill(0, from, asked);
    i32[from + POOL_END] = hi;
    i32[from + NEXT_POOL] = i32[state + FIRST_POOL];
    i32[state + FIRST_POOL] = from;
    i32[header + Field.pools]++;
    i32[header + Field.total] += hi - lo;
    i32[header + Field.listed] += hi - lo;
    i32[this.touched] += asked - from;
    i32[state + FRAMES] += Math.max(0, Math.floor(hi / PAGE_WORDS) - Math.ceil(lo / PAGE_WORDS));
    const pool = new Pool(memory, from, layout);
    // The largest blocks that fit, from the end: so the lists begin with low addresses.
    for (let behind = hi; behind > lo; ) {
      const order = Math.min(trailingZeros(behind), 31 - clz32(behind - lo)) + 2;
      behind -= 1 << (order - 2);
      if (order < PAGE_ORDER && pool.code(behind) === INSIDE) this.cutUp(pool, behind);
      this.insert(pool, behind, order);
    }
    return null;
  }

  protected override unlistedWords(): number {
    return 0;
  }

  // ── Lists ──

  /** Puts a free block into its list, and says so in its tag. */
  private insert(pool: Pool, block: Word, order: number): void {
    const { i32 } = this;
    const head = this.heads + order;
    const next = i32[head];
    if (next !== 0 && i32[next + PREV] !== 0) this.wrongLink(next);
    if (order < PAGE_ORDER) pool.setTag(block, FREE_TAG + order);
    else {
      pool.setCode(block, order);
      i32[this.freeFrames] += 1 << (order - PAGE_ORDER);
      this.touch(pool, block, 2);
    }
    i32[block + NEXT] = next;
    i32[block + PREV] = 0;
    i32[head] = block;
    if (next !== 0) i32[next + PREV] = block;
    else i32[this.map] |= 1 << order;
  }

  /**
   * Takes a free block out of its list; its tag is the caller's to change.
   * @internal
   */
  protected remove(block: Word, order: number): void {
    const { i32 } = this;
    const next = i32[block + NEXT];
    const prev = i32[block + PREV];
    const link = prev !== 0 ? prev + NEXT : this.heads + order;
    if (i32[link] !== block || (next !== 0 && i32[next + PREV] !== block)) this.wrongLink(block);
    if (order >= PAGE_ORDER) i32[this.freeFrames] -= 1 << (order - PAGE_ORDER);
    if (next !== 0) i32[next + PREV] = prev;
    i32[link] = next;
    if (next === 0 && prev === 0) i32[this.map] &= ~(1 << order);
  }

  /**
   * Demands a free block of this order, before it is taken.
   * @throws AllocError `Corrupted`
   * @internal
   */
  protected demandFree(block: Word, order: number): void {
    const pool = this.poolOf(block);
    const placed = (block & ((1 << (order - 2)) - 1)) === 0 && pool.has(block);
    if (!placed || (order < PAGE_ORDER && pool.code(block) !== CUT) || !this.isFree(pool, block, order))
      throw brokenHeap(`word ${block}, which should be a free block of order ${order}, is none`);
  }

  /** @throws AllocError `Corrupted` */
  private wrongLink(block: Word): never {
    throw brokenHeap(`the links of the free block ${block * 4} lead nowhere: it was written to`);
  }

  /**
   * @throws AllocError `Corrupted`
   * @internal
   */
  protected wrongTag(block: Word): never {
    throw brokenHeap(`the tag of the block ${block * 4} is that of no block`);
  }

  /**
   * The first block of a list, without taking it; 0 when it is empty.
   * @internal
   */
  protected first(order: number): Word {
    return this.i32[this.heads + order];
  }

  /**
   * Takes a block of this order out of the smallest block that there is. Cost: one step for each order
   * between the two.
   * @returns its first word; 0 when nothing is large enough
   * @internal
   */
  protected take(order: number): Word {
    const { i32 } = this;
    const fits = i32[this.map] & (-1 << order);
    if (fits === 0) return 0;
    const found = 31 - clz32(fits & -fits);
    const head = this.heads + found;
    const block = i32[head];
    this.demandFree(block, found);
    const next = i32[block + NEXT];
    if (next !== 0 && i32[next + PREV] !== block) this.wrongLink(block);
    i32[head] = next;
    if (next !== 0) i32[next + PREV] = 0;
    else i32[this.map] &= ~(1 << found);
    if (found >= PAGE_ORDER) i32[this.freeFrames] -= 1 << (found - PAGE_ORDER);
    if (found !== order) this.split(this.poolOf(block), block, found, order);
    return block;
  }

  /**
   * Cuts a block that is in no list down to an order; the halves that are left over become free.
   * @internal
   */
  protected split(pool: Pool, block: Word, from: number, to: number): void {
    for (let order = from; order > to; ) {
      if (order === PAGE_ORDER) this.cutUp(pool, block);
      order--;
      this.insert(pool, block + (1 << (order - 2)), order);
    }
  }

  /**
   * Makes a block free that is in no list: merges it with its buddy as long as that is free. Cost: one step
   * for each order.
   * @internal
   */
  protected merge(pool: Pool, start: Word, from: number): void {
    let block = start;
    let order = from;
    for (; order < PAGE_ORDER; order++) {
      const half = 1 << (order - 2);
      const buddy = block ^ half;
      if (pool.tag(buddy) !== FREE_TAG + order) {
        this.insert(pool, block, order);
        return;
      }
      this.remove(buddy, order);
      // Either may be the front one, whose place the merged block takes.
      pool.setTag(block | half, 0);
      block &= ~half;
      pool.setTag(block, 0);
    }
    for (; order < MOST_ORDER; order++) {
      const half = 1 << (order - 2);
      const buddy = block ^ half;
      if (!pool.has(buddy) || pool.code(buddy) !== order) break;
      if (Math.max(block, buddy) + half > pool.hi) this.wrongTag(buddy);
      this.remove(buddy, order);
      pool.setCode(block | half, INSIDE);
      block &= ~half;
    }
    this.insert(pool, block, order);
  }

  /**
   * Makes pages free that are in no list and whose codes are INSIDE: in the largest blocks that they form.
   * @internal
   */
  protected mergeRange(pool: Pool, from: Word, to: Word): void {
    for (let block = from; block < to; ) {
      const order = Math.min(trailingZeros(block), 31 - clz32(to - block)) + 2;
      this.merge(pool, block, order);
      block += 1 << (order - 2);
    }
  }

  /**
   * Whether a free block of this order starts here.
   * @internal
   */
  protected isFree(pool: Pool, block: Word, order: number): boolean {
    if (order < PAGE_ORDER) return pool.tag(block) === FREE_TAG + order;
    return pool.has(block) && pool.code(block) === order;
  }

  private cutUp(pool: Pool, block: Word): void {
    if (pool.cutUp(block)) this.i32[this.touched] += ROW_WORDS;
    this.touch(pool, block, 1);
  }

  /**
   * These words are written to, or handed out.
   * @internal
   */
  protected touch(pool: Pool, block: Word, words: number): void {
    const fresh = pool.touch(block, words);
    if (fresh !== 0) this.i32[this.touched] += fresh * (PAGE_WORDS + ASKED_WORDS);
  }
}

/**
 * Where a pool begins and ends within a range: at granules, and never at word 0, which ends the list of
 * pools.
 */
function poolIn(from: Word, to: Word): [from: Word, to: Word] {
  return [(Math.max(from, 1) + 3) & ~3, to & ~3];
}
