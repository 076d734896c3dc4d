/**
 * Heaps that remember where their blocks were allocated: each call that hands out or takes back is replaced,
 * on this one object, by one that tells the table. A heap without `debug` is left as it is.
 *
 * ```
 *   malloc(100) ─▶ the heap's malloc ─▶ block ─▶ table: block · this stack
 *   free(block) ─▶ table: forgotten ─▶ the heap's free        before, since afterwards it may be another thread's
 * ```
 */

import { AllocError } from './error.ts';
import type { Heap, LiveBlock } from './heap.ts';
import { liveBlocks } from './leaks.ts';
import { SiteTable } from './site-table.ts';

const ALLOCATING = ['malloc', 'calloc', 'alignedAlloc', 'alloc', 'allocLayout'];
const RESIZING = ['realloc', 'tryRealloc'];
const FREEING = ['free', 'tryFree', 'dealloc', 'deallocLayout'];

type Method = (...given: unknown[]) => unknown;
type Methods = Record<string, Method | undefined>;

/** Methods that an algorithm has besides those of the contract. */
export interface TracedMethods {
  /** They return an address. */
  readonly allocating?: readonly string[];
  /** They return an address, and take the one of the old block first. */
  readonly resizing?: readonly string[];
}

/** Whether a call has handed out a block. */
function isBlock(answer: unknown): answer is number {
  return typeof answer === 'number' && answer !== 0;
}

/**
 * Lets an object note where blocks are allocated that go through it.
 * @param heap - a heap, or something else that hands out its blocks
 * @param sites - the region's table
 * @param more - methods that are not in the contract
 */
export function noteSites(heap: object, sites: SiteTable, more: TracedMethods = {}): void {
  const methods = heap as Methods;
  /** Calls of this object that are under way: what one of them calls is noted once, by the first. */
  let depth = 0;
  const replace = (name: string, make: (method: Method) => Method): void => {
    const method = methods[name];
    if (method !== undefined)
      Object.defineProperty(heap, name, { value: make(method), configurable: true, writable: true });
  };
  const inside = (method: Method, given: unknown[]): unknown => {
    depth++;
    try {
      return method.apply(heap, given);
    } finally {
      depth--;
    }
  };
  /**
   * Runs a call that may give a block back: what was noted of it is forgotten before, unless the call fails.
   */
  const giving = (address: unknown, call: () => unknown, isGiven: (answer: unknown) => boolean): unknown => {
    const before = isBlock(address) ? sites.take(address) : null;
    let given = false;
    try {
      const answer = call();
      given = isGiven(answer);
      return answer;
    } finally {
      if (!given && before !== null) sites.put(address as number, before.site, before.number);
    }
  };
  for (const name of [...ALLOCATING, ...(more.allocating ?? [])])
    replace(name, (method) => {
      return function noted(...given) {
        const answer = inside(method, given);
        if (depth === 0 && isBlock(answer)) sites.note(answer, noted);
        return answer;
      };
    });
  for (const name of [...RESIZING, ...(more.resizing ?? [])])
    replace(name, (method) => {
      return function noted(...given) {
        if (depth > 0) return method.apply(heap, given);
        const answer = giving(given[0], () => inside(method, given), isBlock);
        if (isBlock(answer)) sites.note(answer, noted);
        return answer;
      };
    });
  for (const name of FREEING)
    replace(name, (method) => {
      const isFreed = (answer: unknown): boolean => !(answer instanceof AllocError);
      return (...given) => giving(given[0], () => method.apply(heap, given), isFreed);
    });
  // It forgets all blocks, and no other thread is inside.
  replace('init', (method) => {
    return (...given) => {
      const answer = method.apply(heap, given);
      sites.clear();
      return answer;
    };
  });
}

/**
 * Lets a heap that was made with `debug` note where its blocks are allocated, and tell in `leaks`. One
 * without is left alone.
 * @param heap - this thread's object
 * @param more - methods that are not in the contract
 * @returns the table; null when the region has none
 * @public
 */
export function traceHeap(heap: Heap, more: TracedMethods = {}): SiteTable | null {
  const { memory } = heap;
  if (memory.sites === null) return null;
  const sites = new SiteTable(memory.buffer, memory.sites);
  noteSites(heap, sites, more);
  const leaks = (): LiveBlock[] => liveBlocks(heap, (address) => sites.of(address)?.site ?? null);
  Object.defineProperty(heap, 'leaks', { value: leaks, configurable: true });
  return sites;
}
