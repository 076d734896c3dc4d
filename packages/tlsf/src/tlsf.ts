/**
 * Two-level segregated fit (Masmano, Ripoll, Crespo, Real: "TLSF: a new dynamic memory allocator for
 * real-time systems", ECRTS 2004).
 *
 * Free blocks are kept in lists by size; a bitmap says which lists have any. Finding one that fits is two bit
 * searches, whatever the heap holds: there is no loop in this file but those of `clear` and `checkSet`.
 *
 * ```
 *  state   (words)
 *   0    ┌────────────────────────────┐
 *        │ first-level bitmap         │  bit f: some list of first level f has a block
 *   1    ├────────────────────────────┤
 *        │ second-level bitmaps × 24  │  bit s of word f: list (f, s) has a block
 *  25    ├────────────────────────────┤
 *        │ heads × 768                │  first block of list (f, s), or 0
 *  793   └────────────────────────────┘
 * ```
 *
 * Invariants: bit f is set if and only if word f is not 0; bit s of word f if and only if the head of (f, s)
 * is not 0; every block of list (f, s) is free and `mapFloor` of its size is (f, s).
 */

import type { AttachOptions, Handle, HeapOptions, SharedMemory, Word } from '@shmalloc/allocator-api';
import {
  attachHeap,
  BOUNDARY_TAG_STATE_WORDS,
  BoundaryTagHeap,
  createHeap,
  demand,
  type HeapLayout,
  NEXT_FREE,
  PREV_LINK,
} from '@shmalloc/heap-base';
import {
  EXACT_SIZES,
  FIRST_COUNT,
  LIST_COUNT,
  mapCeil,
  mapFloor,
  SECOND_BITS,
  SECOND_COUNT,
} from './mapping.ts';

const floor: typeof mapFloor = mapFloor;
const ceil: typeof mapCeil = mapCeil;

const { clz32 } = Math;

const SECOND_MAPS = 1;
const HEADS: number = SECOND_MAPS + FIRST_COUNT;
const STATE_WORDS: number = HEADS + LIST_COUNT;

/**
 * A TLSF heap in shared memory: `malloc` and `free` in constant time.
 *
 * @example
 * ```ts
 * const heap = Tlsf.create({ bytes: 1 << 20 });
 * const block = heap.malloc(100);
 * worker.postMessage(heap.share()); // there: Tlsf.attach(handle).free(block)
 * ```
 * @public
 */
export class Tlsf extends BoundaryTagHeap {
  /** The name in handles and on the command line. */
  static readonly algorithm = 'tlsf';
  /** @internal */
  static readonly layout: HeapLayout = {
    algorithm: Tlsf.algorithm,
    code: 'TLSF',
    version: 1,
    stateWords: BOUNDARY_TAG_STATE_WORDS + STATE_WORDS,
  };

  private readonly secondMaps: Word;
  private readonly heads: Word;

  /** @internal */
  constructor(memory: SharedMemory, header: Word) {
    super(memory, header);
    this.secondMaps = this.state + SECOND_MAPS;
    this.heads = this.state + HEADS;
  }

  /**
   * Makes a heap.
   * @param options - the region and the lock
   * @throws TypeError, RangeError or AllocError, naming the option
   */
  static create(options: HeapOptions = {}): Tlsf {
    return createHeap(Tlsf, options);
  }

  /**
   * Attaches to a heap that another thread has made.
   * @param handle - what its `share()` returned
   * @param options - has to say `lock: 'outside'` for a heap that was made with it
   * @throws TypeError or AllocError `InvalidParam` when no TLSF heap of this version lies there, or one with
   *   another lock
   */
  static attach(handle: Handle, options: AttachOptions = {}): Tlsf {
    return attachHeap(Tlsf, handle, options);
  }

  protected override clear(): void {
    this.i32.fill(0, this.state, this.state + STATE_WORDS);
  }

  /** Good fit: the first block of the first non-empty list in which all are large enough. */
  protected override take(size: number): Word {
    const { i32, secondMaps } = this;
    const list = size < EXACT_SIZES ? size >>> 2 : ceil(size);
    let first = list >>> SECOND_BITS;
    if (first >= FIRST_COUNT) return 0;
    let seconds = i32[secondMaps + first] & (-1 << list);
    if (seconds === 0) {
      const firsts = i32[this.state] & (-2 << first);
      if (firsts === 0) return 0;
      first = 31 - clz32(firsts & -firsts);
      seconds = i32[secondMaps + first];
    }
    const head = this.heads + (first << SECOND_BITS) + 31 - clz32(seconds & -seconds);
    const block = i32[head];
    if (this.freeBlock(block) < size) this.notFree(block);
    const next = i32[block + NEXT_FREE];
    if (next !== 0 && i32[next + PREV_LINK] !== block) this.wrongLink(block);
    i32[head] = next;
    if (next !== 0) i32[next + PREV_LINK] = 0;
    else this.clearBits(head - this.heads);
    return block;
  }

  /**
   * No list promises a fit, but the first block of the list that holds sizes around this one may still be
   * large enough. One look, which lets a request take what is left of a nearly full heap.
   */
  protected override takeTight(size: number): Word {
    const block = this.i32[this.heads + floor(size)];
    if (block === 0) return 0;
    const found = this.freeBlock(block);
    if (found < size) return 0;
    this.remove(block, found);
    return block;
  }

  protected override takeAligned(size: number, align: number): Word {
    // Payloads lie at multiples of 4 words, so the gap in front is at most `align − 4`.
    return this.take(size + align - 4);
  }

  protected override insert(block: Word, size: number): void {
    const { i32 } = this;
    const list = floor(size);
    const head = this.heads + list;
    const next = i32[head];
    if (next !== 0 && (i32[next + PREV_LINK] !== 0 || this.freeSize(next) === 0)) this.wrongLink(next);
    i32[block + NEXT_FREE] = next;
    i32[block + PREV_LINK] = 0;
    i32[head] = block;
    if (next !== 0) i32[next + PREV_LINK] = block;
    else this.setBits(list);
  }

  protected override remove(block: Word, size: number): void {
    const { i32 } = this;
    const next = i32[block + NEXT_FREE];
    const prev = i32[block + PREV_LINK];
    if (next !== 0 && i32[next + PREV_LINK] !== block) this.wrongLink(block);
    const list = prev !== 0 ? 0 : floor(size);
    const link = prev !== 0 ? prev + NEXT_FREE : this.heads + list;
    if (i32[link] !== block) this.wrongLink(block);
    if (next !== 0) i32[next + PREV_LINK] = prev;
    i32[link] = next;
    if (next === 0 && prev === 0) this.clearBits(list);
  }

  /** A list has got its first block. */
  private setBits(list: number): void {
    const { i32 } = this;
    i32[this.secondMaps + (list >>> SECOND_BITS)] |= 1 << list;
    i32[this.state] |= 1 << (list >>> SECOND_BITS);
  }

  /** A list has lost its last block. */
  private clearBits(list: number): void {
    const { i32 } = this;
    const map = this.secondMaps + (list >>> SECOND_BITS);
    if ((i32[map] &= ~(1 << list)) === 0) i32[this.state] &= ~(1 << (list >>> SECOND_BITS));
  }

  protected override checkSet(blocks: number, words: number): void {
    const { i32 } = this;
    let seen = 0;
    let seenWords = 0;
    for (let list = 0; list < LIST_COUNT; list++) {
      const first = list >>> SECOND_BITS;
      const head = i32[this.heads + list];
      const bit = (i32[this.secondMaps + first] >>> (list % SECOND_COUNT)) & 1;
      demand(bit === (head === 0 ? 0 : 1), `the bitmap and the head of list ${list} differ`);
      let prev = 0;
      for (let block = head; block !== 0; block = i32[block + NEXT_FREE]) {
        const size = this.freeSize(block);
        demand(size !== 0, `list ${list} holds word ${block}, which is no free block`);
        demand(mapFloor(size) === list, `a block of ${size} words stands in list ${list}`);
        demand(i32[block + PREV_LINK] === prev, `the links of list ${list} differ at word ${block}`);
        demand(++seen <= blocks, `the lists hold more than the ${blocks} free blocks`);
        seenWords += size;
        prev = block;
      }
    }
    for (let first = 0; first < FIRST_COUNT; first++) {
      const bit = (i32[this.state] >>> first) & 1;
      demand(
        bit === (i32[this.secondMaps + first] === 0 ? 0 : 1),
        `the bitmaps of first level ${first} differ`,
      );
    }
    demand(seen === blocks && seenWords === words, `the lists hold ${seen} of ${blocks} free blocks`);
  }
}
