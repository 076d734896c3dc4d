/**
 * What the tests of this package share: heaps that are watched, random numbers that come again, and a look at
 * what is inside.
 */

import type { AllocError } from '@shmalloc/allocator-api';
import { MiMalloc, type MiMallocOptions } from '@shmalloc/mimalloc';
import { Counter } from '../../dist/layout/counters.js';
import { Field } from '../../dist/layout/header.js';
import { Heap } from '../../dist/layout/heap.js';
import { pageOf } from '../../dist/layout/lookup.js';
import { Page } from '../../dist/layout/page.js';
import { segmentAt } from '../../dist/layout/page-map.js';
import { Segment } from '../../dist/segment/segment.js';
import { tldOf } from './inside.ts';

/** A heap whose reports are kept. */
export interface Watched {
  readonly heap: MiMalloc;
  readonly errors: AllocError[];
}

/** Keeps the reports of a heap. */
export function watch(heap: MiMalloc): Watched {
  const errors: AllocError[] = [];
  heap.registerError((error) => errors.push(error));
  return { heap, errors };
}

/** A new heap that does not grow by itself, on memory that costs no address space. */
export function small(options: MiMallocOptions = {}): MiMalloc {
  const where = options.memory === undefined ? ({ bytes: 1 << 20, backing: 'sab' } as const) : {};
  return MiMalloc.create({ grow: false, ...where, ...options });
}

/** What the suites with threads need of ava's `t`. */
export interface Judge {
  log(...values: unknown[]): void;
  is(actual: unknown, expected: unknown, message?: string): unknown;
  deepEqual(actual: unknown, expected: unknown, message?: string): unknown;
  true(actual: unknown, message?: string): unknown;
}

/**
 * The seed of a test: `SEED` of the environment, or by the clock. It is logged, so that a failure can be run
 * again.
 */
export function seedOf(t: { log(...values: unknown[]): void }): number {
  const seed = Number(process.env.SEED ?? Date.now() >>> 0);
  t.log(`seed ${seed}`);
  return seed;
}

/** Numbers below `n`, the same for the same seed. */
export type Random = (n: number) => number;

/** A generator with 32 bits of state (mulberry32). */
export function randomOf(seed: number): Random {
  let state = seed | 0;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return Math.floor((((x ^ (x >>> 14)) >>> 0) / 2 ** 32) * n);
  };
}

/** Puts an array into random order. */
export function shuffle<T>(items: T[], random: Random): T[] {
  for (let left = items.length; left > 1; ) {
    const pick = random(left--);
    [items[left], items[pick]] = [items[pick], items[left]];
  }
  return items;
}

/** Takes an item out of an array, the last one taking its place. */
export function takeAt<T>(items: T[], index: number): T {
  const item = items[index];
  const last = items.pop() as T;
  if (index < items.length) items[index] = last;
  return item;
}

/** Allocates until the answer is 0. */
export function fill(heap: MiMalloc, size: number, most = Number.POSITIVE_INFINITY): number[] {
  const blocks: number[] = [];
  while (blocks.length < most) {
    const block = heap.malloc(size);
    if (block === 0) break;
    blocks.push(block);
  }
  return blocks;
}

/** What the calling thread's heap has counted under one name. */
export function counted(heap: MiMalloc, counter: keyof typeof Counter): number {
  return tldOf(heap).i32[tldOf(heap).heap + Heap.counters + Counter[counter]];
}

/** Pages of the calling thread's heap. */
export function pagesOf(heap: MiMalloc): number {
  return tldOf(heap).i32[tldOf(heap).heap + Heap.pageCount];
}

/** A field of the header. */
export function headerField(heap: MiMalloc, field: keyof typeof Field): number {
  return tldOf(heap).i32[tldOf(heap).header + Field[field]];
}

/** The descriptor of the page that an address lies in. */
export function pageAt(heap: MiMalloc, address: number): number {
  return pageOf(tldOf(heap), address >>> 2);
}

/** A field of that page. */
export function pageField(heap: MiMalloc, address: number, field: keyof typeof Page): number {
  return tldOf(heap).i32[pageAt(heap, address) + Page[field]];
}

/** A field of the segment that an address lies in. */
export function segmentField(heap: MiMalloc, address: number, field: keyof typeof Segment): number {
  return tldOf(heap).i32[segmentAt(tldOf(heap), address >>> 2) + Segment[field]];
}

/** Bytes of a slice and of a segment. */
export function sliceBytes(heap: MiMalloc): number {
  return 4 << tldOf(heap).sliceShift;
}

export function segmentBytes(heap: MiMalloc): number {
  return 4 << tldOf(heap).segmentShift;
}

/** Blocks by the page that they lie in, each list in the order of the blocks. */
export function byPage(heap: MiMalloc, blocks: readonly number[]): Map<number, number[]> {
  const pages = new Map<number, number[]>();
  for (const block of blocks) {
    const page = pageAt(heap, block);
    const list = pages.get(page);
    if (list === undefined) pages.set(page, [block]);
    else list.push(block);
  }
  return pages;
}

/** Frees everything in a heap that must be empty and sound afterwards. */
export function emptyOut(
  t: { is(actual: unknown, expected: unknown, message?: string): unknown },
  heap: MiMalloc,
  blocks: Iterable<number>,
): void {
  for (const block of blocks) heap.free(block);
  heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0, 'bytes in use with everything freed');
}
