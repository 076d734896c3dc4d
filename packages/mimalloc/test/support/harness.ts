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

export { type Random, randomOf, seedOf, shuffle } from '../../../alloc-test/dist-test/support/threads.js';
