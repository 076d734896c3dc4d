/**
 * Handing out, taking back and resizing blocks with boundary tags (`block.ts` has the picture). What is left
 * to the algorithm is one question: in which structure are the free blocks kept, and which of them does a
 * request take?
 *
 * Everything here is constant time; only the algorithm's search is its own. What is read from the region is
 * checked where it is read anyway, before anything is written: a free block by its footer, a link by the link
 * back, the top by its place.
 */

import type { SharedMemory, Word } from '@shmalloc/allocator-api';
import { brokenHeap, FREE, GRANULE, PREV_FREE, SIZE, sealOf } from './block.ts';
import { Field } from './header.ts';
import { PoolHeap } from './pools.ts';

/**
 * A heap of blocks with boundary tags.
 * @public
 */
export abstract class BoundaryTagHeap extends PoolHeap {
  /**
   * What a request is padded with before it is rounded down to granules: its header, in debug its seal, and
   * rounding.
   */
  private readonly padding: number;

  /** @internal */
  constructor(memory: SharedMemory, header: Word) {
    super(memory, header);
    this.padding = GRANULE * 4 - 1 + (this.debug ? 8 : 4);
  }

  // ── What an algorithm gives: the set of free blocks ──

  /**
   * Takes a free block of at least `size` words out of the set, after {@link PoolHeap.freeBlock}; 0 when it
   * has none, and then the request is cut from the top.
   */
  protected abstract take(size: number): Word;
  /** The same when the top cannot meet the request either: a block that `take` passed over, or 0. */
  protected abstract takeTight(size: number): Word;
  /** Takes a free block in which `size` words fit behind a payload at a multiple of `align` words, or 0. */
  protected abstract takeAligned(size: number, align: number): Word;
  /** Puts a block into the set. Whatever lies behind it in memory is in order. */
  protected abstract insert(block: Word, size: number): void;
  // ── Handing out ──

  /** Words of the block for a request of `bytes`. */
  private wordsFor(bytes: number): number {
    return ((bytes + this.padding) >>> 4) << 2;
  }

  protected override allocate(bytes: number): Word {
    const size = this.wordsFor(bytes);
    const block = this.take(size);
    return block === 0 ? this.cutTop(size) : this.cut(block, size);
  }

  /** Hands out the first `size` words of a free block that was taken; what remains goes back into the set. */
  private cut(block: Word, size: number): Word {
    const { i32 } = this;
    const whole = i32[block] & SIZE;
    const behind = block + whole;
    if (whole === size) {
      i32[behind] &= ~PREV_FREE;
    } else {
      // The block behind has a free neighbour as before: its P stays set.
      const rest = block + size;
      i32[rest] = (whole - size) | FREE;
      i32[behind - 1] = rest;
      this.insert(rest, whole - size);
    }
    i32[block] = size;
    i32[this.listed] -= size;
    if (this.debug) this.seal(block, size);
    return block + 1;
  }

  /** Hands out the first `size` words of the top. */
  private cutTop(size: number): Word {
    const { i32 } = this;
    const block = i32[this.top];
    const end = block + size;
    if (end > i32[this.topEnd]) {
      const tight = this.takeTight(size);
      return tight === 0 ? 0 : this.cut(tight, size);
    }
    this.demandTop(block, end);
    i32[this.top] = end;
    i32[end] = 0;
    if (end > i32[this.topMark]) this.mark(end);
    i32[block] = size;
    if (this.debug) this.seal(block, size);
    return block + 1;
  }

  /** Demands that the top begins here and may rise to `end`, which is not beyond TOP_END. */
  private demandTop(top: Word, end: Word): void {
    if (top < this.lowest || end >= this.highest || (top & 3) !== 3 || this.i32[top] !== 0)
      throw brokenHeap(`word ${top} is not where the top can begin`);
  }

  /** The top has risen to where it never was: what lies below counts as touched. */
  private mark(top: Word): void {
    const { i32 } = this;
    i32[this.header + Field.touched] += top - i32[this.topMark];
    i32[this.topMark] = top;
  }

  protected override allocateAligned(bytes: number, align: number): Word {
    const { i32 } = this;
    const size = this.wordsFor(bytes);
    const found = this.takeAligned(size, align >>> 2);
    const hole = found !== 0 ? found : i32[this.top];
    // What lies in front of the payload stays free. It is a whole number of granules, so it is never too
    // small to be a block.
    const gap = -(hole + 1) & ((align >>> 2) - 1);
    const block = hole + gap;
    if (found !== 0) {
      this.freeRest(block + size, (i32[hole] & SIZE) - gap - size);
      i32[this.listed] -= size;
    } else {
      if (block + size > i32[this.topEnd]) return 0;
      this.demandTop(hole, block + size);
      this.raiseTop(block + size);
      i32[this.listed] += gap;
    }
    const payload = this.handOut(block, size, gap === 0 ? 0 : PREV_FREE);
    if (gap !== 0) {
      i32[hole] = gap | FREE;
      i32[block - 1] = hole;
      this.insert(hole, gap);
    }
    return payload;
  }

  /**
   * Puts what is left behind a block into the set; when nothing is, the block behind has lost its free
   * neighbour.
   */
  private freeRest(rest: Word, size: number): void {
    const { i32 } = this;
    if (size === 0) {
      i32[rest] &= ~PREV_FREE;
      return;
    }
    i32[rest] = size | FREE;
    i32[rest + size - 1] = rest;
    i32[rest + size] |= PREV_FREE;
    this.insert(rest, size);
  }

  private raiseTop(top: Word): void {
    const { i32 } = this;
    i32[this.top] = top;
    i32[top] = 0;
    if (top > i32[this.topMark]) this.mark(top);
  }

  /** Writes the header of a block in use and returns its payload. */
  private handOut(block: Word, size: number, flags: number): Word {
    const { i32 } = this;
    i32[block] = size | flags;
    if (this.debug) this.seal(block, size);
    return block + 1;
  }

  private seal(block: Word, size: number): void {
    this.i32[block + size - 1] = sealOf(block, size);
  }

  // ── Taking back ──

  protected override release(payload: Word): boolean {
    const block = payload - 1;
    const size = this.liveSize(block);
    if (size === 0) return false;
    this.coalesce(block, size);
    return true;
  }

  protected override isFreeBlock(payload: Word): boolean {
    const block = payload - 1;
    return block >= this.lowest && (block & 3) === 3 && this.freeSize(block) !== 0;
  }

  protected override coalesce(block: Word, size: number): void {
    const { i32 } = this;
    const next = block + size;
    let start = block;
    let whole = size;
    if (i32[block] & PREV_FREE) {
      start = i32[block - 1];
      const prevSize = this.freeSize(start);
      if (prevSize === 0 || start + prevSize !== block) this.notFree(start);
      this.remove(start, prevSize);
      i32[block] = 0; // this header is inside a free stretch now and must not look like one in use
      whole += prevSize;
    }
    if (next === i32[this.top]) {
      i32[start] = 0;
      i32[this.top] = start;
      if (whole !== size) i32[this.listed] -= whole - size;
      return;
    }
    const nextHeader = i32[next];
    if (nextHeader & FREE) {
      const nextSize = this.freeBlock(next);
      this.remove(next, nextSize);
      whole += nextSize;
    }
    const behind = start + whole;
    i32[start] = whole | FREE;
    i32[behind - 1] = start;
    i32[behind] |= PREV_FREE;
    i32[this.listed] += size;
    this.insert(start, whole);
  }

  // ── Resizing in place ──

  protected override resize(payload: Word, bytes: number): boolean {
    const { i32 } = this;
    const block = payload - 1;
    const size = this.wordsFor(bytes);
    const old = i32[block] & SIZE;
    if (size === old) return true;
    const next = block + old;
    if (size > old && next === i32[this.top]) {
      if (block + size > i32[this.topEnd]) return false;
      this.demandTop(next, block + size);
      this.raiseTop(block + size);
    } else if (size > old) {
      const nextSize = (i32[next] & FREE) === 0 ? 0 : this.freeBlock(next);
      if (old + nextSize < size) return false;
      this.remove(next, nextSize);
      this.freeRest(block + size, old + nextSize - size);
      i32[this.listed] -= size - old;
    }
    this.handOut(block, size, i32[block] & PREV_FREE);
    if (size < old) {
      i32[block + size] = old - size;
      this.coalesce(block + size, old - size);
    }
    return true;
  }

  protected override usable(payload: Word): number {
    const size = this.liveSize(payload - 1);
    return size === 0 ? -1 : (size - 1) * 4 - (this.debug ? 4 : 0);
  }

  /**
   * The size in words of a block in use; 0 when the word cannot be the header of one. Cheap, so not exact:
   * words that the program wrote into a block may look like a header. In debug the seal decides.
   */
  private liveSize(block: Word): number {
    const { i32 } = this;
    if (block < this.lowest || (block & 3) !== 3) return 0;
    const size = i32[block] & ~PREV_FREE; // odd for a free block, 0 for what ends a pool's blocks
    const next = block + size;
    if (size & FREE || next <= block || next >= this.highest || i32[next] & PREV_FREE) return 0;
    return this.debug && i32[next - 1] !== sealOf(block, size) ? 0 : size;
  }
}
