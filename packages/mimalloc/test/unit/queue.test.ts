import type { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { BIN_FULL, BIN_HUGE, BIN_LARGEST, BIN_WORDS, DIRECT_COUNT } from '../../dist/layout/bins.js';
import { clearQueues, Heap } from '../../dist/layout/heap.js';
import { IN_FULL, Page } from '../../dist/layout/page.js';
import {
  appendPage,
  fillPage,
  firstPage,
  forEachPage,
  lastPage,
  pushPage,
  queueBin,
  removePage,
  rotatePages,
  unfillPage,
} from '../../dist/page/queue.js';
import { headerField, randomOf, seedOf, small, takeAt, watch } from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';

/** Descriptors of slices that are in no page: what a queue's links need. */
function spareDescriptors(heap: MiMalloc, count: number): number[] {
  const tables = headerField(heap, 'homeTables');
  return Array.from({ length: count }, (_, index) => tables + (100 + index) * 16);
}

/** Gives spare descriptors what a walk looks for in a page of its thread, or takes it away again. */
function letBePages(heap: MiMalloc, pages: readonly number[], are: boolean): void {
  for (const page of pages) {
    const index = (page - headerField(heap, 'homeTables')) / 16;
    tldOf(heap).i32[page + Page.start] = are ? index << tldOf(heap).sliceShift : 0;
    tldOf(heap).i32[page + Page.blockWords] = are ? 2 : 0;
    tldOf(heap).i32[page + Page.xthreadId] = are ? heap.threadId : 0;
  }
}

/** Pages of a queue, forwards; the links backwards are checked on the way. */
function pagesIn(t: { is(a: unknown, b: unknown): unknown }, heap: MiMalloc, bin: number): number[] {
  const pages: number[] = [];
  let prev = 0;
  for (
    let page = firstPage(tldOf(heap), tldOf(heap).heap, bin);
    page !== 0;
    page = tldOf(heap).i32[page + Page.next]
  ) {
    t.is(tldOf(heap).i32[page + Page.prev], prev);
    pages.push(page);
    prev = page;
  }
  t.is(lastPage(tldOf(heap), tldOf(heap).heap, bin), prev);
  return pages;
}

/** The direct table has to name the first page of the bin that serves each number of granules. */
function directIsRight(t: { is(a: unknown, b: unknown, m?: string): unknown }, heap: MiMalloc): void {
  let entry = 0;
  for (let bin = 1; entry < DIRECT_COUNT; bin++) {
    const first = firstPage(tldOf(heap), tldOf(heap).heap, bin);
    for (; entry <= BIN_WORDS[bin] >>> 1 && entry < DIRECT_COUNT; entry++) {
      t.is(
        tldOf(heap).i32[tldOf(heap).heap + Heap.direct + entry],
        first === 0 ? tldOf(heap).emptyPage : first,
        `entry ${entry}`,
      );
    }
  }
}

test('any sequence of pushes, appends, removals, rotations and fills is what it is on arrays', (t) => {
  const random = randomOf(seedOf(t));
  const heap = small();
  // Bins with one entry of the direct table, with two, with more, the last that has any, and such that have
  // none.
  const bins = [1, 2, 9, 10, 20, 33, 34, BIN_LARGEST, BIN_HUGE];
  const free = spareDescriptors(heap, 24);
  const model = new Map<number, number[]>([...bins, BIN_FULL].map((bin) => [bin, []]));
  for (let step = 0; step < 4000; step++) {
    const bin = bins[random(bins.length)];
    const pages = model.get(bin) as number[];
    const full = model.get(BIN_FULL) as number[];
    const action = random(6);
    if (action === 0 && free.length > 0) {
      const page = takeAt(free, random(free.length));
      pushPage(tldOf(heap), tldOf(heap).heap, bin, page);
      tldOf(heap).i32[page + Page.shape] = bin;
      pages.unshift(page);
    } else if (action === 1 && free.length > 0) {
      const page = takeAt(free, random(free.length));
      appendPage(tldOf(heap), tldOf(heap).heap, bin, page);
      tldOf(heap).i32[page + Page.shape] = bin;
      pages.push(page);
    } else if (action === 2 && pages.length > 0) {
      const [page] = pages.splice(random(pages.length), 1);
      t.is(queueBin(tldOf(heap), page), bin);
      removePage(tldOf(heap), tldOf(heap).heap, bin, page);
      free.push(page);
    } else if (action === 3 && pages.length > 1) {
      rotatePages(tldOf(heap), tldOf(heap).heap, bin);
      pages.push(pages.shift() as number);
    } else if (action === 4 && pages.length > 1) {
      const [page] = pages.splice(1 + random(pages.length - 1), 1);
      fillPage(tldOf(heap), tldOf(heap).heap, bin, page);
      tldOf(heap).i32[page + Page.xthreadId] = IN_FULL;
      t.is(queueBin(tldOf(heap), page), BIN_FULL);
      full.push(page);
    } else if (action === 5 && full.length > 0) {
      const [page] = full.splice(random(full.length), 1);
      const home = tldOf(heap).i32[page + Page.shape];
      unfillPage(tldOf(heap), tldOf(heap).heap, home, page);
      tldOf(heap).i32[page + Page.xthreadId] = 0;
      (model.get(home) as number[]).push(page);
    }
    for (const [each, expected] of model) {
      const got = pagesIn(t, heap, each);
      if (got.join() !== expected.join())
        return t.fail(`step ${step}: queue ${each} is ${got}, not ${expected}`);
    }
    directIsRight(t, heap);
  }
});

test('forEachPage sees every page once, with its queue, also when each is removed as it is seen', (t) => {
  const heap = small();
  const pages = spareDescriptors(heap, 12);
  letBePages(heap, pages, true);
  for (const [index, page] of pages.entries())
    appendPage(tldOf(heap), tldOf(heap).heap, [1, 5, 40, BIN_HUGE, BIN_FULL][index % 5], page);
  const seen: number[] = [];
  forEachPage(tldOf(heap), tldOf(heap).heap, (page, bin) => {
    t.is(bin, [1, 5, 40, BIN_HUGE, BIN_FULL][pages.indexOf(page) % 5]);
    seen.push(page);
    removePage(tldOf(heap), tldOf(heap).heap, bin, page);
  });
  t.deepEqual(
    seen.toSorted((a, b) => a - b),
    pages,
  );
  forEachPage(tldOf(heap), tldOf(heap).heap, () => t.fail('a page is left'));
  directIsRight(t, heap);
  letBePages(heap, pages, false);
  heap.validate({ quiet: true });
});

test('forEachPage ends, and reports, where a queue goes in a circle, or leads to what is no page of its thread', (t) => {
  const { heap, errors } = watch(small());
  const pages = spareDescriptors(heap, 3);
  letBePages(heap, pages, true);
  for (const page of pages) appendPage(tldOf(heap), tldOf(heap).heap, 5, page);
  for (const [link, seen] of [
    [pages[0], tldOf(heap).i32.length >>> tldOf(heap).sliceShift],
    [pages[1], tldOf(heap).i32.length >>> tldOf(heap).sliceShift],
    [pages[2], 3],
    [pages[1] + 1, 2],
    [pages[0] + 48, 2],
    [-1, 2],
    [2 ** 31 - 1, 2],
    [tldOf(heap).i32.length, 2],
  ]) {
    let count = 0;
    tldOf(heap).i32[pages[1] + Page.next] = link;
    forEachPage(tldOf(heap), tldOf(heap).heap, () => count++);
    t.true(count === seen || count === seen + 1, `${link}: ${count} pages`);
  }
  t.deepEqual(
    errors.map(({ code }) => code),
    ['Corrupted'],
  );
});

test('clearQueues leaves a heap without pages, whose every malloc takes the generic path', (t) => {
  const heap = small();
  for (const [index, page] of spareDescriptors(heap, 9).entries())
    pushPage(tldOf(heap), tldOf(heap).heap, 1 + index * 3, page);
  clearQueues(tldOf(heap), tldOf(heap).heap);
  for (let bin = 1; bin <= BIN_FULL; bin++) t.deepEqual(pagesIn(t, heap, bin), []);
  directIsRight(t, heap);
  heap.validate({ quiet: true });
  const before = tldOf(heap).i32[tldOf(heap).heap + Heap.heartbeat];
  t.not(heap.malloc(100), 0);
  t.is(tldOf(heap).i32[tldOf(heap).heap + Heap.heartbeat], before + 1);
});
