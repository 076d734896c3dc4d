/**
 * Object caches (Bonwick: "The Slab Allocator: An Object-Caching Kernel Memory Allocator", USENIX Summer
 * 1994): pages of one kind of object, which are constructed once and stay constructed while they are free.
 *
 * ```
 *   a page of a cache
 *   ├ object ┬ link ┼ object ┬ link ┼ object ┬ link ┤ …       STRIDE = size + 8, rounded up to the alignment
 *            └──────────────────────▶                         the link lies behind: a free object's state is its own
 * ```
 *
 * The pages are those of `page.ts`, with a class for each cache: every CPU has its own, a foreign free is one
 * exchange, and they are orphaned, adopted and given back as all others are.
 */

import {
  type Address,
  AllocError,
  checkAlign,
  checkInteger,
  type SharedMemory,
  type Word,
} from '@shmalloc/allocator-api';
import { collectAll, sweepClass } from './abandon.ts';
import { dropPage } from './blocks.ts';
import { cacheShape, makeRecord, readRecord, strideBytes } from './cache-record.ts';
import { Counter, Cpu } from './cpu.ts';
import { handOut } from './debug.ts';
import { freeSmall, notAllocated } from './free.ts';
import { livePage, payloadOf } from './lookup.ts';
import { attend, countFailure, takeBlock } from './malloc.ts';
import { LARGE, Page } from './page.ts';
import { pageAt } from './page-map.ts';
import { listedPages } from './queue.ts';
import type { Shape } from './shape.ts';
import type { SlabCore } from './thread-view.ts';

/**
 * Constructs an object.
 * @param address - where it lies; its bytes are anything
 * @param memory - the region
 * @public
 */
export type Constructor = (address: Address, memory: SharedMemory) => void;

/**
 * What kind of object a cache has.
 * @public
 */
export interface CacheOptions {
  /** Bytes of an object; with its link it is at most half a page. */
  readonly size: number;
  /** Bytes, a power of two up to 4096. Default 8. */
  readonly align?: number | undefined;
  /**
   * Runs once for each object when a page of them is made, before any is handed out; after that an object is
   * to be freed as it was constructed. It must not allocate from this cache. Default: none, and then a new
   * object's bytes are anything.
   */
  readonly ctor?: Constructor | undefined;
}

/**
 * What to post to another thread, for `openCache` there.
 * @public
 */
export interface CacheHandle {
  /** Which of the heap's caches. */
  readonly cache: number;
}

/**
 * One thread's access to an object cache. Made by `createCache` and `openCache`.
 * @public
 */
export class ObjectCache {
  /** Bytes of an object. */
  readonly size: number;
  /** Bytes. */
  readonly align: number;
  /** @internal */
  readonly slab: SlabCore;
  /** @internal */
  readonly number: number;
  /** @internal */
  readonly shape: Shape;
  /**
   * Where this CPU's CURRENT page of the cache stands.
   * @internal
   */
  readonly current: Word;
  /** @internal */
  readonly construct: ((node: Word) => void) | null;
  /**
   * Whether its constructor is running.
   * @internal
   */
  busy: boolean;

  /** @internal */
  constructor(slab: SlabCore, number: number, ctor: Constructor | null) {
    const { size, align } = readRecord(slab, number);
    const shape = cacheShape(slab, number);
    this.size = size;
    this.align = align;
    this.slab = slab;
    this.number = number;
    this.shape = shape;
    this.current = slab.cpu + Cpu.current + shape.class;
    this.busy = false;
    this.construct = ctor === null ? null : (node) => this.run(ctor, ((node - shape.node) << 2) >>> 0);
  }

  private run(ctor: Constructor, address: Address): void {
    this.busy = true;
    try {
      ctor(address, this.slab.memory);
    } finally {
      this.busy = false;
    }
  }

  /** What to post to another thread. Structured-cloneable. */
  share(): CacheHandle {
    return { cache: this.number };
  }
}

const LARGEST_ALIGN = 4096;

function checkCtor(ctor: Constructor | undefined): Constructor | null {
  if (ctor === undefined) return null;
  if (typeof ctor !== 'function') throw new TypeError(`ctor must be a function, got ${String(ctor)}`);
  return ctor;
}

/** @throws TypeError, RangeError or AllocError, naming the option */
export function createCache(slab: SlabCore, options: CacheOptions): ObjectCache {
  slab.refresh();
  const size = checkInteger('size', options.size);
  const align = checkAlign('align', options.align ?? 8);
  const ctor = checkCtor(options.ctor);
  if (align > LARGEST_ALIGN) {
    throw new AllocError('InvalidParam', `align must be at most ${LARGEST_ALIGN}, got ${align}`);
  }
  if (strideBytes(slab, size, align) > slab.smallMax) {
    throw new AllocError(
      'InvalidParam',
      `size: an object of ${size} bytes does not fit into half a page, ${slab.smallMax} bytes`,
    );
  }
  return new ObjectCache(slab, makeRecord(slab, { size, align, keeps: ctor !== null }), ctor);
}

/**
 * @throws AllocError `InvalidParam` when there is no such cache, or it has a constructor and none is given
 */
export function openCache(slab: SlabCore, handle: CacheHandle, ctor: Constructor | undefined): ObjectCache {
  slab.refresh();
  if (typeof handle !== 'object' || handle === null)
    throw new TypeError(`handle must be what share() returned, got ${String(handle)}`);
  const number = checkInteger('handle.cache', handle.cache);
  const given = checkCtor(ctor);
  if (readRecord(slab, number).keeps !== (given !== null)) {
    throw new AllocError('InvalidParam', `ctor: every thread needs one for cache ${number}, or none does`);
  }
  return new ObjectCache(slab, number, given);
}

/** Hands out an object off the fast path. @returns its first word, or 0 */
export function cacheAllocSlow(slab: SlabCore, cache: ObjectCache): Word {
  attend(slab);
  slab.count(Counter.slow);
  const { shape } = cache;
  if (cache.busy) {
    throw new AllocError(
      'InvalidParam',
      `cacheAlloc: the constructor of cache ${cache.number} uses its own cache`,
    );
  }
  const node = takeBlock(slab, shape.class, shape, cache.construct);
  if (node === 0) {
    countFailure(slab);
    slab.tell();
    return 0;
  }
  if (slab.debug) {
    const error = handOut(slab, payloadOf(slab, pageAt(slab, node), node), cache.size, 'cacheAlloc');
    if (error !== null) slab.note(error);
  }
  slab.tell();
  return node - shape.node;
}

/** Takes an object back; an address that is none of this cache's is reported. */
export function cacheFree(slab: SlabCore, cache: ObjectCache, address: Address): void {
  if (checkInteger('address', address) === 0) return;
  const page = livePage(slab, address);
  const { i32 } = slab;
  const ours = page !== 0 && i32[page + Page.owner] !== LARGE && i32[page + Page.class] === cache.shape.class;
  const error = ours ? freeSmall(slab, page, address, 'cacheFree') : notAllocated('cacheFree', address);
  if (error !== null) slab.noteWrong(error);
  slab.tell();
}

/**
 * Gives back the cache's pages in which no object is in use: this CPU's, and those of CPUs that have gone.
 * @returns how many
 */
export function cacheShrink(slab: SlabCore, cache: ObjectCache): number {
  const before = slab.i32[slab.cpu + Cpu.counters + Counter.returned];
  collectAll(slab, false);
  for (const page of listedPages(slab, cache.shape.class))
    if (slab.i32[page + Page.used] === 0) dropPage(slab, page);
  sweepClass(slab, cache.shape.class);
  slab.tell();
  return slab.i32[slab.cpu + Cpu.counters + Counter.returned] - before;
}
