/**
 * The pools of a boundary-tag heap: which memory there is, where it ends, and which tail is the top.
 * `block.ts` has the picture.
 *
 * ```
 *  state (words)
 *   0  FIRST_POOL   the pool list
 *   1  TOP          first word of the top
 *   2  TOP_END      where the top's pool ends
 *   3  TOP_MARK     up to where the top was ever handed out
 *   4  the algorithm's own
 * ```
 */

import { AllocError, alignUp, type SharedMemory, type Word } from '@shmalloc/allocator-api';
import {
  brokenHeap,
  demand,
  FIRST_BLOCK,
  FREE,
  GRANULE,
  NEXT_POOL,
  POOL_END,
  PREV_FREE,
  SIZE,
  sealOf,
} from './block.ts';
import { Field, headerBytes } from './header.ts';
import { LockedHeap } from './locked-heap.ts';

/** Offsets in the state, in words. */
const FIRST_POOL = 0;
export const TOP = 1;
export const TOP_END = 2;
export const TOP_MARK = 3;

/** Words of the smallest pool: its head, one block, its end. */
const SMALLEST = FIRST_BLOCK + GRANULE + 1;

/**
 * Words of state that every boundary-tag heap has, ahead of its algorithm's.
 * @public
 */
export const BOUNDARY_TAG_STATE_WORDS = 4;

/**
 * What {@link PoolHeap.walk} calls for each block.
 * @param address - of the payload
 * @param bytes - of the payload
 * @param used - whether it is handed out
 * @public
 */
export type WalkVisitor = (address: number, bytes: number, used: boolean) => void;

/**
 * A heap over any number of pools.
 * @public
 */
export abstract class PoolHeap extends LockedHeap {
  /** Where the state's words lie in the region: one load and no sum on the way to each. */
  protected readonly pools: Word;
  protected readonly top: Word;
  protected readonly topEnd: Word;
  protected readonly topMark: Word;
  protected readonly listed: Word;
  /** First word of the algorithm's own state. */
  protected readonly state: Word;
  /** Blocks lie in `[lowest, highest)`: this thread's cache, renewed when pools change. */
  protected lowest = 0;
  protected highest = 0;

  /** @internal */
  constructor(memory: SharedMemory, header: Word) {
    super(memory, header);
    const state = header + Field.own;
    this.pools = state + FIRST_POOL;
    this.top = state + TOP;
    this.topEnd = state + TOP_END;
    this.topMark = state + TOP_MARK;
    this.listed = header + Field.listed;
    this.state = state + BOUNDARY_TAG_STATE_WORDS;
  }

  /** Takes a free block out of the algorithm's set. Its links are still as they were when it entered. */
  protected abstract remove(block: Word, size: number): void;
  /** Makes the algorithm's set of free blocks empty. */
  protected abstract clear(): void;
  /**
   * Throws unless the set holds exactly `blocks` free blocks of `words` words together and is in order. May
   * use {@link PoolHeap.freeSize} to demand that a member is a free block.
   */
  protected abstract checkSet(blocks: number, words: number): void;
  /** Makes a stretch free that is in no set, its header written: merges it with its free neighbours. */
  protected abstract coalesce(block: Word, size: number): void;

  /** Size in words of a free block; 0 for any other. */
  protected freeSize(block: Word): number {
    const header = this.i32[block];
    return (header & FREE) !== 0 ? header & SIZE : 0;
  }

  /** Size in words of any block; 0 for what ends a pool's blocks. */
  protected blockSize(block: Word): number {
    return this.i32[block] & SIZE;
  }

  protected override unlistedWords(): number {
    return this.topSize();
  }

  /** Words of the top. */
  protected topSize(): number {
    const { i32 } = this;
    return i32[this.topEnd] - i32[this.top];
  }

  protected override format(): void {
    this.i32.fill(0, this.pools, this.state);
    this.clear();
  }

  protected override poolsChanged(): void {
    const { i32 } = this;
    let lowest = 0x3fffffff;
    let highest = 0;
    for (const pool of this.#list()) {
      lowest = Math.min(lowest, pool + FIRST_BLOCK);
      highest = Math.max(highest, i32[pool + POOL_END] + 1);
    }
    this.lowest = lowest;
    this.highest = highest;
  }

  protected override checkPool(from: Word, to: Word): AllocError | null {
    const [first, end] = poolIn(from, to);
    if (end - first >= SMALLEST) return null;
    const range = `[${from * 4}, ${to * 4}) is too small for a pool of at least ${SMALLEST * 4} bytes`;
    return new AllocError('RegionTooSmall', range);
  }

  protected override addPool(from: Word, to: Word): AllocError | null {
    const { i32, header } = this;
    const [first, end] = poolIn(from, to);
    let before = 0; // the pool that ends where this one starts
    let after = 0; //  the pool that starts where this one ends
    const pools = this.#list();
    this.#demandTop(pools);
    for (const pool of pools) {
      const poolEnd = i32[pool + POOL_END] + 1;
      if (pool < end && poolEnd > first) {
        const range = `[${from * 4}, ${to * 4}) overlaps the pool [${pool * 4}, ${poolEnd * 4})`;
        return new AllocError('MemoryOverlap', range);
      }
      if (poolEnd === first) before = pool;
      if (pool === end) after = pool;
    }

    // The new words run from the end of the pool before (or a new pool's first block) to the first block of
    // the pool behind (or a new end).
    const block = before !== 0 ? i32[before + POOL_END] : first + FIRST_BLOCK;
    const last = after !== 0 ? after + FIRST_BLOCK : end - 1;
    const oldEnd = i32[this.topEnd];
    const oldMark = i32[this.topMark];
    this.#closeTop();
    if (after !== 0) this.#unlinkPool(after);
    if (before === 0) this.#linkPool(first);
    i32[(before !== 0 ? before : first) + POOL_END] = after !== 0 ? i32[after + POOL_END] : last;
    if (after === 0) i32[last] = 0;
    // What lay here before may hold headers of an earlier heap; debug promises to know every wrong free.
    if (this.debug) i32.fill(0, block + 1, last);
    i32[block] = (last - block) | (before !== 0 ? i32[block] & PREV_FREE : 0);
    i32[header + Field.total] += last - block;
    this.coalesce(block, last - block);

    // The larger of two tails is the top: the former top, or the new words, which may have prolonged it.
    if (after !== 0 && block === oldEnd) {
      // The top's pool goes on into the pool behind, whose words count as touched: so do those of the former
      // top now.
      const newEnd = i32[before + POOL_END];
      i32[header + Field.touched] += last - oldMark;
      this.#openTop(newEnd, newEnd);
    } else if (after !== 0) {
      i32[header + Field.touched] += last - block;
      this.#openTop(oldEnd, oldMark);
    } else if (block === oldEnd) {
      this.#openTop(last, oldMark);
    } else if (this.#tailSize(last) > this.#tailSize(oldEnd)) {
      i32[header + Field.touched] += oldEnd - oldMark;
      this.#openTop(last, block);
    } else {
      i32[header + Field.touched] += last - block;
      this.#openTop(oldEnd, oldMark);
    }
    return null;
  }

  /** Words of the free block at the end of a pool. */
  #tailSize(end: Word): number {
    const { i32 } = this;
    if (end === 0 || (i32[end] & PREV_FREE) === 0) return 0;
    const size = this.freeBlock(i32[end - 1]);
    demand(i32[end - 1] + size === end, `the free block before word ${end} does not end there`);
    return size;
  }

  /**
   * All pools, in the order of the list. Bounded: a list that damage has made endless covers more than the
   * memory has before long.
   * @throws AllocError `Corrupted` where no pool can lie, or when their number is not that which was added
   */
  #list(): Word[] {
    const { i32, header } = this;
    const counted = i32[header + Field.pools];
    const state = header + headerBytes(this.layout) / 4;
    const pools: Word[] = [];
    let covered = 0;
    for (let pool = i32[this.pools]; pool !== 0; pool = i32[pool + NEXT_POOL]) {
      const end = i32[pool + POOL_END];
      const ordered = pool % GRANULE === 0 && end % GRANULE === GRANULE - 1 && end > pool + FIRST_BLOCK;
      const placed = pool > 0 && end < i32.length && (pool >= state || end < header);
      demand(ordered && placed, `the pool list holds word ${pool}, where no pool lies`);
      covered += end + 1 - pool;
      demand(pools.length < counted, 'the pool list holds more pools than were added');
      demand(covered <= i32.length, 'the pool list goes round in circles');
      pools.push(pool);
    }
    demand(pools.length === counted, 'the pool list holds fewer pools than were added');
    return pools;
  }

  /** Demands that the top is the tail of one of these pools, or that there is none. */
  #demandTop(pools: readonly Word[]): void {
    const { i32 } = this;
    const top = i32[this.top];
    const end = i32[this.topEnd];
    if (top === 0 && end === 0) return;
    const pool = pools.find((each) => i32[each + POOL_END] === end) ?? 0;
    const tail = pool !== 0 && top >= pool + FIRST_BLOCK && top <= end && top % GRANULE === GRANULE - 1;
    demand(tail && (i32[top] & SIZE) === 0, 'the top lies in no pool');
  }

  /**
   * The size in words of what has to be a free block: its footer names it, which words of a program, or of
   * nothing, do not.
   * @throws AllocError `Corrupted` when it is none
   */
  protected freeBlock(block: Word): number {
    const header = this.i32[block];
    const size = header & SIZE;
    if ((header & FREE) === 0 || this.i32[block + size - 1] !== block) this.notFree(block);
    return size;
  }

  /** @throws AllocError `Corrupted` */
  protected notFree(block: Word): never {
    throw brokenHeap(`word ${block}, which should be a free block of the set, is none`);
  }

  /** @throws AllocError `Corrupted` */
  protected wrongLink(block: Word): never {
    throw brokenHeap(`the links of the free block at word ${block} lead nowhere: it was written to`);
  }

  /**
   * Makes the free block at the end of a pool the top.
   * @param mark - up to where it counts as touched
   */
  #openTop(end: Word, mark: Word): void {
    const { i32 } = this;
    const size = this.#tailSize(end);
    const top = end - size;
    if (size !== 0) this.remove(top, size);
    i32[this.listed] -= size;
    i32[top] = 0;
    i32[this.top] = top;
    i32[this.topEnd] = end;
    i32[this.topMark] = mark;
  }

  /** Makes the top an ordinary free block at the end of its pool. */
  #closeTop(): void {
    const { i32 } = this;
    const top = i32[this.top];
    const end = i32[this.topEnd];
    i32[this.top] = 0;
    if (top === end) return;
    i32[end] = 0;
    i32[top] = end - top;
    this.coalesce(top, end - top);
  }

  #linkPool(pool: Word): void {
    const { i32, header } = this;
    i32[pool + NEXT_POOL] = i32[this.pools];
    i32[this.pools] = pool;
    i32[header + Field.pools]++;
  }

  #unlinkPool(pool: Word): void {
    const { i32, header } = this;
    let link = this.pools;
    while (i32[link] !== pool) link = i32[link] + NEXT_POOL;
    i32[link] = i32[pool + NEXT_POOL];
    i32[header + Field.pools]--;
  }

  // ── Looking ──

  /**
   * Calls `visit` for every block, pool by pool, in the order of addresses, under the lock (so `visit` may
   * not use the heap). The top, when there is any, is visited as a free block.
   * @throws AllocError `Corrupted` where the blocks do not lead on to a next one
   */
  walk(visit: WalkVisitor): void {
    this.locked(() => {
      const { i32 } = this;
      for (const pool of this.#list()) {
        const end = i32[pool + POOL_END];
        let block = pool + FIRST_BLOCK;
        for (let size = i32[block] & SIZE; size !== 0; size = i32[block] & SIZE) {
          demand(size > 0 && block + size <= end, `the block at word ${block} has a size of ${size} words`);
          visit((block + 1) * 4, (size - 1) * 4, (i32[block] & FREE) === 0);
          block += size;
        }
        if (block < end) visit((block + 1) * 4, (this.topSize() - 1) * 4, false);
      }
    });
  }

  protected override walkLive(visit: (block: Word, bytes: number) => unknown): void {
    for (const pool of this.#list()) {
      const { i32 } = this;
      const end = i32[pool + POOL_END];
      let block = pool + FIRST_BLOCK;
      for (let size = i32[block] & SIZE; size !== 0; size = i32[block] & SIZE) {
        demand(size > 0 && block + size <= end, `the block at word ${block} has a size of ${size} words`);
        const seal = this.debug ? 1 : 0;
        if ((i32[block] & FREE) === 0 && visit(block + 1, (size - 1 - seal) * 4) === false) return;
        block += size;
      }
    }
  }

  protected override checkAll(): void {
    const { i32, header } = this;
    const found = { blocks: 0, free: 0, used: 0, top: 0 };
    for (const pool of this.#list()) this.#checkPool(pool, found);
    demand(found.top === this.topSize(), 'the top lies in no pool');
    const { used, free } = found;
    demand(free === i32[this.listed], `${free} words are free, counted are ${i32[this.listed]}`);
    const total = used + free + found.top;
    demand(
      total === i32[header + Field.total],
      `pools hold ${total} words, counted are ${this.totalBytes() / 4}`,
    );
    demand(i32[this.topMark] <= i32[this.topEnd], 'the top was handed out beyond its end');
    this.checkSet(found.blocks, free);
  }

  /** Checks the blocks of one pool and adds them up. */
  #checkPool(pool: Word, found: { blocks: number; free: number; used: number; top: number }): void {
    const { i32 } = this;
    const poolEnd = i32[pool + POOL_END];
    const hasTop = i32[this.topEnd] === poolEnd;
    const end = hasTop ? i32[this.top] : poolEnd;
    const at = (block: Word): string => `block ${(block + 1) * 4} of the pool at ${pool * 4}`;
    let block = pool + FIRST_BLOCK;
    let prevFree = 0;
    while (block < end) {
      const size = i32[block] & SIZE;
      const free = (i32[block] & FREE) !== 0;
      demand(size > 0 && block + size <= end, `${at(block)} has a size of ${size} words`);
      demand((i32[block] & PREV_FREE) === prevFree, `${at(block)}: P differs from the block before`);
      if (free) {
        demand(prevFree === 0, `${at(block)} is free beside a free block`);
        demand(i32[block + size - 1] === block, `${at(block)}: the footer names ${i32[block + size - 1]}`);
        found.blocks++;
        found.free += size;
      } else {
        const sealed = !this.debug || i32[block + size - 1] === sealOf(block, size);
        demand(sealed, `${at(block)}: written past its end`);
        found.used += size;
      }
      prevFree = free ? PREV_FREE : 0;
      block += size;
    }
    demand(block === end && i32[end] === prevFree, `the pool at ${pool * 4} does not end where it should`);
    demand(!hasTop || prevFree === 0, `${at(block)}: a free block lies before the top`);
    if (hasTop) found.top += poolEnd - end;
  }
}

/**
 * Where a pool begins and ends within a range: at granules, and never at word 0, which ends the pool list.
 */
function poolIn(from: Word, to: Word): [first: Word, end: Word] {
  return [alignUp(Math.max(from, 1), GRANULE), to & ~(GRANULE - 1)];
}
