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
        const address = given[0];
        const before = depth === 0 && isBlock(address) ? sites.take(address) : null;
        const answer = inside(method, given);
        if (depth === 0 && isBlock(answer)) sites.note(answer, noted);
        else if (before !== null) sites.put(address as number, before.site, before.number);
        return answer;
      };
    });
  for (const name of FREEING)
    replace(name, (method) => {
      return (...given) => {
        const address = given[0];
        const before = isBlock(address) ? sites.take(address) : null;
        let isFreed = false;
        try {
          const answer = method.apply(heap, given);
          isFreed = !(answer instanceof AllocError);
          return answer;
        } finally {
          if (!isFreed && before !== null) sites.put(address as number, before.site, before.number);
        }
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
