/**
 * The textbook free list: one list of free blocks in the order of their addresses, searched by first, best or
 * worst fit (Knuth, TAOCP 1, §2.5).
 *
 * ```
 *  state    ┌─ policy
 *           ├─ head ──┐
 *           │         ▼
 *  pool   ──┼──[free]────[used][used]──[free]────[used]──[free]────────[sentinel]
 *           │     └─────────next───────▶└──────next──────▶└─next─▶ 0
 *           └─ free blocks
 * ```
 *
 * Invariant: the list holds every free block once, and its addresses rise. Whatever a program has written
 * over a link, a walk ends: each step demands a free block at a higher address than the last.
 *
 * A block that enters the list looks for its place in two ways at once: along the list from the head, and
 * along memory to the next free block behind it. One of them is short: while blocks in use are many the list
 * is short, and with many free blocks the next is near (by Knuth's fifty-percent rule there are about two
 * blocks in use for a free one).
 */

import {
  AllocError,
  type AttachOptions,
  checkChoice,
  type Handle,
  type HeapAlgorithm,
  type HeapOptions,
  type SharedMemory,
  type Word,
} from '@shmalloc/allocator-api';
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

/**
 * Which free block a request takes: the first that is large enough, the smallest that is, or the largest.
 * @public
 */
export type Policy = 'first' | 'best' | 'worst';

/** The position is what the state records. */
const POLICIES: readonly Policy[] = ['first', 'best', 'worst'];

/** The name of each policy's heap in handles, in figures and on the command line. */
const nameOf = (policy: Policy): string => `basic-${policy}`;

/**
 * Where the region comes from, what stands around each operation, and which block a request takes.
 * @public
 */
export interface BasicOptions extends HeapOptions {
  /** Default `'first'`. */
  policy?: Policy | undefined;
}

/** Offsets in the state, in words. */
const POLICY = 0;
const HEAD = 1;
const STATE_WORDS = 2;

/**
 * A first-, best- or worst-fit heap in shared memory. Time is linear in the number of free blocks.
 *
 * @example
 * ```ts
 * const heap = Basic.create({ bytes: 1 << 20, policy: 'best' });
 * const block = heap.malloc(100);
 * heap.free(block);
 * ```
 * @public
 */
export class Basic extends BoundaryTagHeap {
  /** The name of a heap with the default policy; see {@link BasicFirst} and its likes. */
  static readonly algorithm: string = nameOf('first');
  /** @internal */
  static readonly layout: HeapLayout = {
    algorithm: 'basic',
    code: 'BASC',
    version: 1,
    stateWords: BOUNDARY_TAG_STATE_WORDS + STATE_WORDS,
  };

  readonly #head: Word;

  /** @internal */
  constructor(memory: SharedMemory, header: Word) {
    super(memory, header);
    this.#head = this.state + HEAD;
  }

  /**
   * Makes a heap.
   * @param options - the region, the lock and the policy
   * @throws TypeError, RangeError or AllocError, naming the option
   */
  static create(options: BasicOptions = {}): Basic {
    const policy = POLICIES.indexOf(checkChoice('policy', options.policy ?? 'first', POLICIES));
    const heap = createHeap(Basic, options, ['policy']);
    heap.i32[heap.state + POLICY] = policy;
    return heap;
  }

  /**
   * Attaches to a heap that another thread has made.
   * @param handle - what its `share()` returned
   * @param options - has to say `lock: 'outside'` for a heap that was made with it
   * @throws TypeError or AllocError `InvalidParam` when no basic heap of this version lies there, or one with
   *   another lock
   */
  static attach(handle: Handle, options: AttachOptions = {}): Basic {
    const policy = POLICIES.find((each) => handle?.algorithm === nameOf(each));
    const heap = attachHeap(
      Basic,
      policy === undefined ? handle : { ...handle, algorithm: Basic.layout.algorithm },
      options,
    );
    if (policy !== undefined && heap.policy !== policy)
      throw new AllocError(
        'InvalidParam',
        `handle names ${nameOf(policy)}, and there lies ${nameOf(heap.policy)}`,
      );
    return heap;
  }

  /** @internal */
  protected override get algorithm(): string {
    return nameOf(this.policy);
  }

  /** Which free block a request takes. */
  get policy(): Policy {
    return POLICIES[this.i32[this.state + POLICY]];
  }

  protected override clear(): void {
    this.i32[this.#head] = 0;
  }

  protected override take(size: number): Word {
    return this.takeAligned(size, 4);
  }

  /** `take` passes nothing over. */
  protected override takeTight(): Word {
    return 0;
  }

  protected override takeAligned(size: number, align: number): Word {
    const block = this.#find(size, align);
    if (block === 0) return 0;
    this.freeBlock(block);
    this.remove(block);
    return block;
  }

  /** Every policy finds a block in which the request fits behind its gap; they differ in which. */
  #find(size: number, align: number): Word {
    switch (this.i32[this.state + POLICY]) {
      case 0:
        return this.#firstFit(size, align);
      case 1:
        return this.#bestFit(size, align);
      default:
        return this.#worstFit(size, align);
    }
  }

  #firstFit(size: number, align: number): Word {
    const { i32 } = this;
    let block = i32[this.#head];
    while (block !== 0 && this.#size(block) - gapOf(block, align) < size) block = this.#next(block);
    return block;
  }

  #bestFit(size: number, align: number): Word {
    const { i32 } = this;
    let best = 0;
    let bestSize = 2 ** 30;
    for (let block = i32[this.#head]; block !== 0; block = this.#next(block)) {
      const blockSize = this.#size(block);
      if (blockSize >= bestSize || blockSize - gapOf(block, align) < size) continue;
      best = block;
      bestSize = blockSize;
      if (blockSize === size) break; // nothing fits better
    }
    return best;
  }

  #worstFit(size: number, align: number): Word {
    const { i32 } = this;
    let worst = 0;
    let worstSize = 0;
    for (let block = i32[this.#head]; block !== 0; block = this.#next(block)) {
      const blockSize = this.#size(block);
      if (blockSize <= worstSize || blockSize - gapOf(block, align) < size) continue;
      worst = block;
      worstSize = blockSize;
    }
    // The top is a candidate like any other.
    const topFits = this.topSize() - gapOf(i32[this.top], align) >= size;
    return topFits && this.topSize() > worstSize ? 0 : worst;
  }

  /** The block behind this one in the list, or 0. Addresses rise, so that every walk ends. */
  #next(block: Word): Word {
    const next = this.i32[block + NEXT_FREE];
    if (next !== 0 && !(next > block)) this.wrongLink(block);
    return next;
  }

  /** The size of a block of the list. What lies outside the memory is no free block. */
  #size(block: Word): number {
    const size = this.freeSize(block);
    if (size === 0) this.notFree(block);
    return size;
  }

  protected override insert(block: Word, size: number): void {
    const { i32 } = this;
    const before = this.#placeOf(block, block + size);
    const next = before === 0 ? i32[this.#head] : i32[before + NEXT_FREE];
    // What the two say of each other, before this one comes between them.
    if (before !== 0 && (before >= block || this.freeSize(before) === 0)) this.wrongLink(before);
    if (next !== 0 && (!(next > block) || i32[next + PREV_LINK] !== before)) this.wrongLink(next);
    this.#join(before, block);
    this.#join(block, next);
  }

  /** The last free block before this one, or 0; `behind` is the next block in memory. */
  #placeOf(block: Word, behind: Word): Word {
    const { i32 } = this;
    let before = 0;
    let next = behind;
    for (;;) {
      // One step along the list …
      const follower = before === 0 ? i32[this.#head] : i32[before + NEXT_FREE];
      if (follower === 0 || follower > block) return before;
      if (!(follower > before)) this.wrongLink(before);
      before = follower;
      // … and one along memory. Where a pool's blocks end (the size is 0) this side stays, and the list
      // decides.
      if (this.freeSize(next) !== 0) return i32[next + PREV_LINK];
      next += this.blockSize(next);
    }
  }

  protected override remove(block: Word): void {
    const { i32 } = this;
    const before = i32[block + PREV_LINK];
    const next = i32[block + NEXT_FREE];
    const link = before === 0 ? this.#head : before + NEXT_FREE;
    if (i32[link] !== block || (next !== 0 && i32[next + PREV_LINK] !== block)) this.wrongLink(block);
    this.#join(before, next);
  }

  /** Makes two neighbours in the list know each other; 0 on the left is the head, on the right the end. */
  #join(left: Word, right: Word): void {
    const { i32 } = this;
    i32[left === 0 ? this.#head : left + NEXT_FREE] = right;
    if (right !== 0) i32[right + PREV_LINK] = left;
  }

  protected override checkSet(blocks: number, words: number): void {
    const { i32 } = this;
    let seen = 0;
    let seenWords = 0;
    let prev = 0;
    demand(this.policy !== undefined, 'the policy is none');
    for (let block = i32[this.#head]; block !== 0; block = i32[block + NEXT_FREE]) {
      const size = this.freeSize(block);
      demand(size !== 0, `the list holds word ${block}, which is no free block`);
      demand(block > prev, `the list holds word ${block} behind word ${prev}`);
      demand(i32[block + PREV_LINK] === prev, `the links differ at word ${block}`);
      demand(++seen <= blocks, `the list holds more than the ${blocks} free blocks`);
      seenWords += size;
      prev = block;
    }
    demand(seen === blocks && seenWords === words, `the list holds ${seen} of ${blocks} free blocks`);
  }
}

function algorithmOf(policy: Policy): HeapAlgorithm<Basic> {
  return {
    algorithm: nameOf(policy),
    create: (options: HeapOptions = {}) => Basic.create({ ...options, policy }),
    attach: (handle, options) => Basic.attach(handle, options),
  };
}

/**
 * {@link Basic} with each policy, as an algorithm of its own.
 * @public
 */
export const BasicFirst: HeapAlgorithm<Basic> = algorithmOf('first');
/** @public */
export const BasicBest: HeapAlgorithm<Basic> = algorithmOf('best');
/** @public */
export const BasicWorst: HeapAlgorithm<Basic> = algorithmOf('worst');

/** Words in front of the first payload in a block that is a multiple of `align` words. */
function gapOf(block: Word, align: number): number {
  return -(block + 1) & (align - 1);
}
