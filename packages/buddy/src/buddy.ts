/**
 * A binary buddy heap: what a request becomes, and what a block's tag tells when it comes back. `orders.ts`
 * splits and merges, `pool.ts` has the picture of the tags.
 */

import {
  type AttachOptions,
  checkHook,
  type Handle,
  type HeapOptions,
  type Word,
} from '@shmalloc/allocator-api';
import {
  attachHeap,
  createHeap,
  demand,
  type HeapLayout,
  type LockedHeapStats,
  type WalkVisitor,
} from '@shmalloc/heap-base';
import { FrameLists } from './frame-lists.ts';
import { FrameAllocator } from './frames.ts';
import { FRAMES, FREE_FRAMES, STATE_WORDS } from './orders.ts';
import {
  CUT,
  FREE_TAG,
  INSIDE,
  LEAST_ORDER,
  MOST_ORDER,
  PAGE_ORDER,
  PAGE_WORDS,
  type Pool,
  SMALLEST_POOL,
  TINY_TAG,
  USED,
  USED_TAG,
} from './pool.ts';
import { checkPools, walkPool } from './validate.ts';

/**
 * Finds memory for a heap that has none left: adds some with `heap.addMemory`.
 * @param heap - the heap; it is not locked
 * @param size - bytes of the request that found nothing
 * @param align - bytes; 0 when no alignment was asked for
 * @returns whether memory was added; the request is then tried once more
 * @public
 */
export type Rescue = (heap: Buddy, size: number, align: number) => boolean;

/**
 * Where the region comes from, what stands around each operation, and one that is asked for more memory.
 * @public
 */
export interface BuddyOptions extends HeapOptions {
  /** Asked, in this thread, when a request finds nothing. Default: no thread. */
  rescue?: Rescue | undefined;
}

/**
 * What {@link Buddy.stats} tells.
 * @public
 */
export interface BuddyStats extends LockedHeapStats {
  /** Bytes that were asked for, of all blocks in use. */
  readonly requestedBytes: number;
  /** Bytes of the blocks in use beyond that: what rounding up to powers of two costs at this moment. */
  readonly wastedBytes: number;
  /** Whole pages in the pools. */
  readonly frames: number;
  /** Whole pages of which nothing is in use. */
  readonly freeFrames: number;
}

const { clz32 } = Math;

/**
 * Makes the seals of neighbouring blocks differ in every bit (the 32-bit golden ratio, as in Fibonacci
 * hashing).
 */
const SEAL_FACTOR = 0x9e3779b1;

/**
 * A binary buddy heap in shared memory: `malloc` and `free` in at most one step for each order, blocks
 * aligned to their size.
 *
 * @example
 * ```ts
 * const heap = Buddy.create({ bytes: 1 << 20 });
 * const block = heap.malloc(1000); // 1024 bytes at a multiple of 1024
 * worker.postMessage(heap.share()); // there: Buddy.attach(handle).free(block)
 * ```
 * @public
 */
export class Buddy extends FrameLists {
  /** The name in handles and on the command line. */
  static readonly algorithm = 'buddy';
  /** @internal */
  static readonly layout: HeapLayout = {
    algorithm: Buddy.algorithm,
    code: 'BUDD',
    version: 1,
    stateWords: STATE_WORDS,
    smallestPool: SMALLEST_POOL,
  };

  private rescue: Rescue | null = null;
  /** Whether it is being asked: what it asks for itself is not rescued. */
  private rescuing = false;

  /**
   * Makes a heap.
   * @param options - the region, the lock, the rescue
   * @throws TypeError, RangeError or AllocError, naming the option
   */
  static create(options: BuddyOptions = {}): Buddy {
    const { rescue } = options;
    if (rescue !== undefined) checkHook('rescue', rescue);
    const heap = createHeap(Buddy, options, ['rescue']);
    if (rescue !== undefined) heap.registerRescue(rescue);
    return heap;
  }

  /**
   * Attaches to a heap that another thread has made.
   * @param handle - what its `share()` returned
   * @param options - has to say `lock: 'outside'` for a heap that was made with it
   * @throws TypeError or AllocError `InvalidParam` when no buddy heap of this version lies there, or one with
   *   another lock
   */
  static attach(handle: Handle, options: AttachOptions = {}): Buddy {
    return attachHeap(Buddy, handle, options);
  }

  /**
   * How large a pool must be so that a block of this size fits into it wherever the pool lies: what a rescue
   * adds at least.
   * @param size - bytes, at most 2^30
   * @returns bytes: somewhat more than twice the block, since a block lies at a multiple of its size, and the
   *   tables
   */
  static poolBytesFor(size: number): number {
    const block = size <= 4096 ? 4096 : 2 ** (32 - clz32(size - 1));
    const pages = (2 * block) / 4096 + 2;
    return 2 * block + Math.ceil(pages * 262 * 1.07) + SMALLEST_POOL;
  }

  /**
   * Says one that is asked for memory when a request of this thread finds nothing: once for each request,
   * outside the lock, and not for requests that the rescue itself makes.
   * @param rescue - null for no thread
   */
  registerRescue(rescue: Rescue | null): void {
    this.rescue = rescue === null ? null : checkHook('rescue', rescue);
  }

  protected override rescued(size: number, align: number): boolean {
    if (this.rescue === null || this.rescuing) return false;
    this.rescuing = true;
    try {
      return this.rescue(this, size, align);
    } finally {
      this.rescuing = false;
    }
  }

  // ── Handing out ──

  /** The order of the block for a request; above 31 when there is none. */
  private orderFor(bytes: number): number {
    // In debug a seal of 4 bytes stands behind the words that were asked for.
    const size = this.debug ? bytes + (-bytes & 3) + 4 : bytes;
    return size <= 16 ? LEAST_ORDER : 32 - clz32(size - 1);
  }

  protected override allocate(bytes: number): Word {
    const order = this.orderFor(bytes);
    if (order > MOST_ORDER) return 0;
    const block = this.take(order);
    if (block === 0) return 0;
    this.handOut(this.poolOf(block), block, order, bytes);
    return block;
  }

  protected override allocateAligned(bytes: number, align: number): Word {
    const order = this.orderFor(bytes);
    const wider = Math.max(order, 31 - clz32(align));
    if (wider > MOST_ORDER) return 0;
    // Blocks lie at multiples of their size: a block of the alignment's order will do, and what is behind the
    // request is given back. The first block of the right size may happen to be aligned as well; one look.
    let block = this.first(order);
    if (block !== 0 && (block & ((align >>> 2) - 1)) === 0) {
      this.demandFree(block, order);
      this.remove(block, order);
    } else {
      block = this.take(wider);
      if (block === 0) return 0;
      this.split(this.poolOf(block), block, wider, order);
    }
    this.handOut(this.poolOf(block), block, order, bytes);
    return block;
  }

  /** A block that is in no list becomes one in use. */
  private handOut(pool: Pool, block: Word, order: number, bytes: number): void {
    const { i32 } = this;
    const words = 1 << (order - 2);
    i32[this.listed] -= words;
    i32[this.asked] += bytes;
    if (order < PAGE_ORDER) {
      pool.use(block, order, words * 4 - bytes);
    } else {
      pool.setCode(block, USED + order);
      pool.setAsked(block, bytes);
      this.touch(pool, block, words);
    }
    if (this.debug) i32[block + Math.ceil(bytes / 4)] = sealOf(block, bytes);
  }

  // ── Taking back ──

  /**
   * The order of the block in use that starts here; 0 when there is none, or in debug when it was written
   * past its end.
   */
  private liveOrder(pool: Pool, block: Word): number {
    if ((block & 3) !== 0 || !pool.has(block)) return 0;
    const code = pool.code(block);
    let order = 0;
    if (code === CUT) {
      const tag = pool.tag(block);
      if (tag >= USED_TAG) order = tag >= TINY_TAG ? LEAST_ORDER : tag - USED_TAG;
      if (tag > USED_TAG && (order < LEAST_ORDER || order >= PAGE_ORDER)) this.wrongTag(block);
    } else if (code > USED && (block & (PAGE_WORDS - 1)) === 0) {
      order = code - USED;
      if (order < PAGE_ORDER) this.wrongTag(block);
    }
    // A block lies at a multiple of its size, and in its pool.
    if (order !== 0 && ((block & ((1 << (order - 2)) - 1)) !== 0 || block + (1 << (order - 2)) > pool.hi))
      this.wrongTag(block);
    return this.debug && order !== 0 && !this.isSealed(pool, block, order) ? 0 : order;
  }

  private isSealed(pool: Pool, block: Word, order: number): boolean {
    const bytes = this.askedOf(pool, block, order);
    return this.i32[block + Math.ceil(bytes / 4)] === sealOf(block, bytes);
  }

  /** The bytes that were asked for of a block in use. */
  private askedOf(pool: Pool, block: Word, order: number): number {
    return order < PAGE_ORDER ? (1 << order) - pool.slack(block, pool.tag(block)) : pool.asked(block);
  }

  protected override release(block: Word): boolean {
    const pool = this.poolOf(block);
    const order = this.liveOrder(pool, block);
    if (order === 0) return false;
    this.forget(pool, block, order);
    this.merge(pool, block, order);
    return true;
  }

  protected override isFreeBlock(block: Word): boolean {
    const pool = this.poolOf(block);
    if ((block & 3) !== 0 || !pool.has(block)) return false;
    if (pool.code(block) === CUT) return pool.tag(block) >= FREE_TAG && pool.tag(block) < USED_TAG;
    return (block & (PAGE_WORDS - 1)) === 0 && pool.code(block) >= PAGE_ORDER && pool.code(block) < USED;
  }

  /** A block is no longer in use. */
  private forget(pool: Pool, block: Word, order: number): void {
    const { i32 } = this;
    i32[this.asked] -= this.askedOf(pool, block, order);
    i32[this.listed] += 1 << (order - 2);
  }

  // ── Resizing in place ──

  protected override resize(block: Word, bytes: number): boolean {
    const pool = this.poolOf(block);
    const old = this.liveOrder(pool, block);
    const order = this.orderFor(bytes);
    if (order > MOST_ORDER) return false;
    if (order > old) {
      for (let each = old; each < order; each++) {
        // It can only grow upwards, and only over buddies that are free and whole.
        const half = 1 << (each - 2);
        if ((block & half) !== 0 || !this.isFree(pool, block + half, each)) return false;
      }
    }
    this.forget(pool, block, old);
    if (order < old) this.split(pool, block, old, order);
    else this.absorb(pool, block, old, order);
    this.handOut(pool, block, order, bytes);
    return true;
  }

  /** A block takes in the free buddies behind it. */
  private absorb(pool: Pool, block: Word, from: number, to: number): void {
    if (from < PAGE_ORDER && to >= PAGE_ORDER) pool.setTag(block, 0);
    for (let order = from; order < to; order++) {
      const buddy = block + (1 << (order - 2));
      this.remove(buddy, order);
      if (order < PAGE_ORDER) pool.setTag(buddy, 0);
      else pool.setCode(buddy, INSIDE);
    }
  }

  protected override usable(block: Word): number {
    const pool = this.poolOf(block);
    const order = this.liveOrder(pool, block);
    if (order === 0) return -1;
    return this.debug ? Math.ceil(this.askedOf(pool, block, order) / 4) * 4 : (1 << order) >>> 0;
  }

  /**
   * The same heap as an allocator of whole pages of 4 KiB: frames and blocks come out of the same pools.
   */
  frames(): FrameAllocator {
    return new FrameAllocator(this);
  }

  // ── Looking ──

  /** Figures about the heap; cheap, and as of one moment. */
  override stats(): BuddyStats {
    return this.atRest(() => this.figures());
  }

  protected override figures(): BuddyStats {
    const figures = super.figures();
    const requestedBytes = this.i32[this.asked] >>> 0;
    return {
      ...figures,
      requestedBytes,
      wastedBytes: figures.usedBytes - requestedBytes,
      frames: this.i32[this.state + FRAMES],
      freeFrames: this.i32[this.state + FREE_FRAMES],
    };
  }

  /**
   * Calls `visit` for every block, pool by pool, in the order of addresses, under the lock (so `visit` may
   * not use the heap).
   * @throws AllocError `Corrupted` where the tags do not lead on to a next block
   */
  walk(visit: WalkVisitor): void {
    this.locked(() => {
      for (const pool of this.pools)
        walkPool(pool, ({ block, order, used }) => visit(block * 4, 2 ** order, used));
    });
  }

  protected override walkLive(visit: (block: Word, bytes: number) => unknown): void {
    let more = true;
    for (const pool of this.pools)
      walkPool(pool, ({ block, order, used, frame, asked }) => {
        const bytes = this.debug ? Math.ceil(asked / 4) * 4 : 2 ** order;
        if (more && used && !frame) more = visit(block, bytes) !== false;
      });
  }

  protected override checkAll(): void {
    checkPools(this.i32, this.header, this.pools);
    if (!this.debug) return;
    for (const pool of this.pools) {
      walkPool(pool, ({ block, order, used, frame }) => {
        const sealed = !used || frame || this.isSealed(pool, block, order);
        demand(sealed, `block ${block * 4} was written past its end`);
      });
    }
  }
}

/** What stands behind the words of a block in use under `debug`; never 0. */
function sealOf(block: Word, bytes: number): number {
  return Math.imul(block ^ (bytes << 8), SEAL_FACTOR) | 1;
}
