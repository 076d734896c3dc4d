/**
 * Whole frames of 4 KiB out of the free blocks of a buddy heap: a run is cut out of a block of the next power
 * of two, and what is left over is merged again.
 */

import type { SharedMemory, Word } from '@shmalloc/allocator-api';
import { Field } from '@shmalloc/heap-base';
import { ASKED, OrderLists } from './orders.ts';
import { FRAME, INSIDE, MOST_ORDER, PAGE_ORDER, PAGE_WORDS, type Pool } from './pool.ts';

const { clz32 } = Math;

/**
 * Free blocks by order that frames can be cut out of.
 * @public
 */
export abstract class FrameLists extends OrderLists {
  /** Where the bytes that were asked for are counted. */
  protected readonly asked: Word;
  /** Where the words on the free lists are counted. */
  protected readonly listed: Word;

  /** @internal */
  constructor(memory: SharedMemory, header: Word) {
    super(memory, header);
    this.asked = this.state + ASKED;
    this.listed = header + Field.listed;
  }

  /**
   * Hands out frames in a row; asks the rescue when there are none.
   * @returns the address, 0 when there is no such run
   * @internal
   */
  takeFrames(count: number, align: number): number {
    const block = this.cutFrames(count, align);
    if (block !== 0 || !this.rescued(count * 4096, align)) return (block << 2) >>> 0;
    return (this.cutFrames(count, align) << 2) >>> 0;
  }

  private cutFrames(count: number, align: number): Word {
    const order = Math.max(PAGE_ORDER, 32 - clz32(count * 4096 - 1), 31 - clz32(align));
    if (count > 2 ** (MOST_ORDER - PAGE_ORDER) || order > MOST_ORDER) return 0;
    try {
      this.enter();
      const block = this.take(order);
      if (block !== 0) {
        // What is behind the last frame is not needed.
        const pool = this.poolOf(block);
        const end = block + count * PAGE_WORDS;
        this.useFrames(pool, block, end);
        this.mergeRange(pool, end, block + (1 << (order - 2)));
      }
      this.leave();
      return block;
    } catch (error) {
      return this.damaged('allocPages', error);
    }
  }

  /** Pages that are in no list become frames in use. */
  private useFrames(pool: Pool, from: Word, to: Word): void {
    const { i32 } = this;
    for (let page = from; page < to; page += PAGE_WORDS) pool.setCode(page, FRAME);
    i32[this.listed] -= to - from;
    i32[this.asked] += (to - from) * 4;
    this.touch(pool, from, to - from);
  }

  /**
   * Hands out these frames.
   * @returns whether all of them were free; otherwise nothing has changed
   * @internal
   */
  takeFramesAt(address: number, count: number): boolean {
    const from = Math.floor(address / 4);
    const to = from + count * PAGE_WORDS;
    try {
      this.enter();
      const pool = this.poolOf(from);
      const behind = this.freeUntil(pool, from, to);
      if (behind !== 0) {
        const first = from & -(1 << (this.freeOrderAround(pool, from) - 2));
        for (let block = first; block < behind; ) {
          const order = pool.code(block);
          this.demandFree(block, order);
          this.remove(block, order);
          pool.setCode(block, INSIDE);
          block += 1 << (order - 2);
        }
        this.useFrames(pool, from, to);
        this.mergeRange(pool, first, from);
        this.mergeRange(pool, to, behind);
      }
      this.leave();
      return behind !== 0;
    } catch (error) {
      return this.damaged('allocPagesAt', error) !== 0;
    }
  }

  /** Where the last of the free blocks ends in which these pages lie; 0 when one page lies in none. */
  private freeUntil(pool: Pool, from: Word, to: Word): Word {
    let end = from;
    while (end < to) {
      const order = this.freeOrderAround(pool, end);
      if (order === 0) return 0;
      end = (end & -(1 << (order - 2))) + (1 << (order - 2));
    }
    return end;
  }

  /** The order of the free block of a page or more in which this page lies; 0 when it lies in none. */
  private freeOrderAround(pool: Pool, page: Word): number {
    for (let order = PAGE_ORDER; order <= MOST_ORDER; order++) {
      const block = page & -(1 << (order - 2));
      if (!pool.has(block)) return 0;
      if (pool.code(block) === order) return order;
    }
    return 0;
  }

  /**
   * Takes frames back: a run, or any part of what was handed out as frames.
   * @returns whether all of them were; otherwise nothing has changed
   * @internal
   */
  giveFrames(address: number, count: number): boolean {
    const from = Math.floor(address / 4);
    const to = from + count * PAGE_WORDS;
    try {
      this.enter();
      const { i32 } = this;
      const pool = this.poolOf(from);
      let used = address % 4096 === 0 && pool.has(from) && to <= pool.hi;
      for (let page = from; used && page < to; page += PAGE_WORDS) used = pool.code(page) === FRAME;
      if (used) {
        for (let page = from; page < to; page += PAGE_WORDS) pool.setCode(page, INSIDE);
        i32[this.listed] += to - from;
        i32[this.asked] -= (to - from) * 4;
        this.mergeRange(pool, from, to);
      }
      this.leave();
      return used;
    } catch (error) {
      throw this.corrupted('deallocPages', error);
    }
  }
}
