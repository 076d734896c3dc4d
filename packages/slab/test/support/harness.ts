/**
 * What the tests of this package share: small heaps, random numbers that come again, and a look at what is
 * inside.
 */

import type { AllocError } from '@shmalloc/allocator-api';
import { Slab, type SlabOptions } from '@shmalloc/slab';
import type { ExecutionContext } from 'ava';
import { IN_FULL, Page } from '../../dist/page.js';
import { pageAt } from '../../dist/page-map.js';

/** A heap of 1 MiB, with pages of 8 KiB. */
export function small(options: SlabOptions = {}): Slab {
  return Slab.create({ bytes: 1 << 20, backing: 'sab', ...options });
}

/** Two CPUs in one thread: they take turns, so that an interleaving happens for sure. */
export function pair(options: SlabOptions = {}): { a: Slab; b: Slab } {
  const a = small(options);
  return { a, b: Slab.attach(a.share()) };
}

/** Keeps what heaps report. */
export function watch(...heaps: Slab[]): AllocError[] {
  const errors: AllocError[] = [];
  for (const heap of heaps) heap.registerError((error) => errors.push(error));
  return errors;
}

/** Allocates so many blocks, or until the answer is 0. */
export function fill(heap: Slab, size: number, most = Number.POSITIVE_INFINITY): number[] {
  const blocks: number[] = [];
  while (blocks.length < most) {
    const block = heap.malloc(size);
    if (block === 0) break;
    blocks.push(block);
  }
  return blocks;
}

/** The descriptor of the page that an address lies in. */
export function pageOf(heap: Slab, address: number): number {
  return pageAt(heap, address >>> 2);
}

/** A field of that page. */
export function pageField(heap: Slab, address: number, field: keyof typeof Page): number {
  return heap.i32[pageOf(heap, address) + Page[field]];
}

/** Whether a page is in no list because it is full. */
export function isFull(heap: Slab, address: number): boolean {
  return (pageField(heap, address, 'owner') & IN_FULL) !== 0;
}

/** Blocks of one page that is full, and in no list, and the one with which the next page began. */
export function fullPage(heap: Slab, size: number): { blocks: number[]; next: number } {
  const blocks = [heap.malloc(size)];
  for (;;) {
    const block = heap.malloc(size);
    if (pageOf(heap, block) !== pageOf(heap, blocks[0])) return { blocks, next: block };
    blocks.push(block);
  }
}

/** Everything is freed: the thread that is left collects, and every page is back in the page list. */
export function allClear(t: ExecutionContext, ...heaps: Slab[]): void {
  for (let round = 0; round < 2; round++) for (const heap of heaps) heap.collect(true);
  for (const heap of heaps) {
    heap.validate({ quiet: true });
    const { usedBytes, freePages, pages } = heap.stats();
    t.is(usedBytes, 0, 'bytes in use with everything freed');
    t.is(freePages, pages, 'pages that did not come back');
  }
}

/** What a CPU has counted. */
export function counted(heap: Slab): ReturnType<Slab['stats']>['cpus'][number] {
  const found = heap.stats().cpus.find(({ cpu }) => cpu === heap.cpuId);
  if (found === undefined) throw new Error(`cpu ${heap.cpuId} is not in the statistics`);
  return found;
}

export { type Random, randomOf, seedOf } from '../../../alloc-test/dist-test/support/threads.js';
