/**
 * Object caches: blocks of one kind, which keep what their constructor made of them.
 */

import { type Address, AllocError } from '@shmalloc/allocator-api';
import {
  type CacheHandle,
  type CacheOptions,
  type Constructor,
  cacheAllocSlow,
  cacheFree,
  cacheShrink,
  createCache,
  ObjectCache,
  openCache,
} from './cache.ts';
import { Page } from './page.ts';
import { SlabThread } from './slab-thread.ts';

/**
 * One thread's access to a region: object caches.
 * @public
 */
export abstract class SlabCaches extends SlabThread {
  /**
   * Makes a cache of one kind of object, for all CPUs.
   * @param options - size, alignment, constructor
   * @throws TypeError, RangeError or AllocError `InvalidParam`, naming the option; `NoMemory` when there are
   *   32 already
   */
  createCache(options: CacheOptions): ObjectCache {
    return createCache(this, options);
  }

  /**
   * Makes a cache of another thread this one's as well.
   * @param handle - what its `share()` returned
   * @param ctor - the constructor, when the cache was made with one: functions cannot be posted
   * @throws TypeError or AllocError `InvalidParam`
   */
  openCache(handle: CacheHandle, ctor?: Constructor): ObjectCache {
    return openCache(this, handle, ctor);
  }

  /**
   * Hands out an object, as its constructor or its last user has left it. Costs what `malloc` costs.
   * @param cache - a cache of this thread
   * @returns its address, or 0 when there is no memory
   * @throws AllocError `InvalidParam` for a cache of another thread; what the constructor throws
   */
  cacheAlloc(cache: ObjectCache): Address {
    const { i32 } = this;
    if (cache.slab === this && !this.debug) {
      const page = i32[cache.current];
      const node = i32[page + Page.free];
      if (node > 0) {
        const next = i32[node];
        if (next !== undefined) {
          i32[page + Page.free] = next;
          i32[page + Page.used]++;
          return ((node - cache.shape.node) << 2) >>> 0;
        }
      }
    }
    return (cacheAllocSlow(this, this.checkCache(cache)) << 2) >>> 0;
  }

  /**
   * Gives an object back, whichever CPU it is from. Costs about what `free` costs.
   * @param cache - its cache
   * @param address - the object, constructed as it was; or 0, which is ignored. What is no object of this
   *   cache in use is reported, where it can be told
   */
  cacheFree(cache: ObjectCache, address: Address): void {
    cacheFree(this, this.checkCache(cache), address);
  }

  /**
   * Gives back the pages of a cache in which no object is in use: this CPU's, and those of CPUs that have
   * gone. O(pages).
   * @param cache - a cache of this thread
   * @returns how many pages
   */
  cacheShrink(cache: ObjectCache): number {
    return cacheShrink(this, this.checkCache(cache));
  }

  private checkCache(cache: ObjectCache): ObjectCache {
    if (!(cache instanceof ObjectCache)) {
      throw new TypeError(`cache must be what createCache or openCache returned, got ${String(cache)}`);
    }
    if (cache.slab === this) return cache;
    throw new AllocError('InvalidParam', `this is cache ${cache.number} of another thread: see openCache`);
  }
}
