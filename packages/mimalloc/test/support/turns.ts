/**
 * Several `MiMalloc` objects on one region stand for as many threads. They take turns, so that an
 * interleaving happens for sure.
 */
import { MiMalloc, type MiMallocOptions } from '@shmalloc/mimalloc';
import type { ExecutionContext } from 'ava';
import { BIN_FULL } from '../../dist/layout/bins.js';
import { Heap } from '../../dist/layout/heap.js';
import { DELAYED, Page } from '../../dist/layout/page.js';
import { firstPage } from '../../dist/page/queue.js';
import { pageAt, pagesOf, small } from './harness.ts';
import { tldOf } from './inside.ts';

/** Two threads on one region. */
export function pair(options: MiMallocOptions = {}): { a: MiMalloc; b: MiMalloc } {
  const a = small(options);
  return { a, b: MiMalloc.attach(a.share()) };
}

/** Everything is freed: those that are left collect, and nothing is in use. */
export function allClear(t: ExecutionContext, ...heaps: MiMalloc[]): void {
  for (let round = 0; round < 2; round++) for (const heap of heaps) heap.collect(true);
  for (const heap of heaps) {
    heap.validate({ quiet: true });
    t.is(heap.usedBytes(), 0);
    t.is(pagesOf(heap), 0);
    t.is(tldOf(heap).i32[tldOf(heap).heap + Heap.segmentCount], 0);
  }
}

/** Blocks of one full page, which is in the queue of full pages, and at least one page more. */
export function fullPage(heap: MiMalloc, size: number): { page: number; blocks: number[]; others: number[] } {
  const all: number[] = [];
  for (;;) {
    all.push(heap.malloc(size));
    const page = firstPage(tldOf(heap), tldOf(heap).heap, BIN_FULL);
    if (page === 0) continue;
    const blocks = all.filter((block) => pageAt(heap, block) === page);
    return { page, blocks, others: all.filter((block) => !blocks.includes(block)) };
  }
}

export function threadFree(heap: MiMalloc, page: number): number {
  return tldOf(heap).i32[page + Page.xthreadFree] & ~DELAYED;
}
