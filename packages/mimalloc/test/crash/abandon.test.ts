/** Threads that end, and what becomes of their blocks: one interleaving a test. */
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { binOf } from '../../dist/layout/bins.js';
import { Heap } from '../../dist/layout/heap.js';
import { DELAYED, hasFlag, IN_FULL, ownerOf, Page, slicesOf } from '../../dist/layout/page.js';
import { firstPage } from '../../dist/page/queue.js';
import { ABANDONED_SEGMENT, FREE_SEGMENT, HUGE_SEGMENT } from '../../dist/segment/segment.js';
import {
  counted,
  fill,
  headerField,
  pageAt,
  pagesOf,
  randomOf,
  seedOf,
  segmentBytes,
  segmentField,
  shuffle,
  small,
  takeAt,
} from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';
import { allClear, fullPage, pair, threadFree } from '../support/turns.ts';

test('A detaches with blocks in use: its segments are abandoned, B frees the blocks and adopts them', (t) => {
  const { a, b } = pair();
  const blocks = [...fill(a, 100, 500), ...fill(a, 5000, 10), ...fill(a, 30_000, 3)];
  a.detach();
  for (const block of blocks) t.is(segmentField(b, block, 'threadId'), ABANDONED_SEGMENT);
  b.validate({ quiet: true });
  for (const block of blocks) {
    b.free(block);
    b.validate({ quiet: true });
  }
  b.collect(true);
  for (const block of blocks) t.is(segmentField(b, block, 'threadId'), FREE_SEGMENT);
  allClear(t, b);
});

test('B adopts first and frees after: the blocks are B’s own then, but for huge ones, which are nobody’s', (t) => {
  const { a, b } = pair();
  const blocks = [...fill(a, 100, 500), ...fill(a, 5000, 10), ...fill(a, 100_000, 2)];
  a.detach();
  b.collect(true);
  const isHuge = (block: number): boolean => slicesOf(tldOf(b), pageAt(b, block)) === 0;
  t.is(blocks.filter(isHuge).length, 2);
  for (const block of blocks) t.is(ownerOf(tldOf(b), pageAt(b, block)), isHuge(block) ? 0 : b.threadId);
  b.validate({ quiet: true });
  const before = pagesOf(b);
  t.true(before > 5);
  for (const block of blocks) {
    b.free(block);
    b.validate({ quiet: true });
  }
  allClear(t, b);
});

test('B needs memory, and takes an abandoned segment with room rather than fail', (t) => {
  const { a, b } = pair();
  const blocks = fill(a, 1000);
  const kept = blocks.filter((_, index) => index % 8 === 0);
  for (const block of blocks) if (!kept.includes(block)) a.free(block);
  a.detach();
  const more = fill(b, 300);
  t.true(more.length > 100, `${more.length}`);
  b.validate({ quiet: true });
  for (const block of [...kept, ...more]) b.free(block);
  allClear(t, b);
});

test('everything of A is freed by B after A has gone: all of it is B’s to have, in whatever size', (t) => {
  for (const size of [64, 1000, 5000, 30_000]) {
    for (const wanted of [100, 7000, 40_000, 300_000]) {
      const { a, b } = pair();
      const blocks = fill(a, size);
      a.detach();
      for (const block of blocks) b.free(block);
      b.validate({ quiet: true });
      t.not(b.malloc(wanted), 0, `${wanted} after ${size}`);
      b.validate({ quiet: true });
    }
  }
});

test('A’s huge block outlives A: B frees it, and its segments serve again', (t) => {
  const { a, b } = pair({ bytes: 1 << 22 });
  const size = 5 * segmentBytes(a);
  const block = a.malloc(size);
  const other = a.malloc(size);
  a.detach();
  b.validate({ quiet: true });
  b.free(block);
  b.validate({ quiet: true });
  b.collect(true);
  b.validate({ quiet: true });
  t.is(segmentField(b, block, 'threadId'), FREE_SEGMENT);
  t.is(b.usableSize(other) >= size, true);
  const again = b.malloc(size);
  t.not(again, 0);
  const moved = b.realloc(other, size + 100);
  t.not(moved, 0);
  b.validate({ quiet: true });
  for (const each of [again, moved]) b.free(each);
  allClear(t, b);
});

test('A’s huge block is nobody’s: A detaches, B detaches, too, and C frees it', (t) => {
  const { a, b } = pair({ bytes: 1 << 22 });
  const block = a.malloc(5 * segmentBytes(a));
  a.detach();
  b.collect(true);
  b.validate({ quiet: true });
  t.is(segmentField(b, block, 'threadId'), HUGE_SEGMENT);
  t.false(b.checkOwned(block));
  const c = MiMalloc.attach(b.share());
  b.detach();
  c.validate({ quiet: true });
  c.free(block);
  c.validate({ quiet: true });
  allClear(t, c);
});

test('a huge block that was freed after its owner had gone does not stand in the way of another', (t) => {
  const { a, b } = pair();
  const size = 8 * segmentBytes(a);
  const block = a.malloc(size);
  a.detach();
  b.free(block);
  t.not(b.malloc(size), 0);
  b.validate({ quiet: true });
});

test('B frees into an abandoned full page: the block waits on its page for whoever adopts it', (t) => {
  const { a, b } = pair();
  const { page, blocks, others } = fullPage(a, 200);
  a.detach();
  t.is(tldOf(b).i32[page + Page.xthreadFree], 0, 'nobody waits for news');
  t.false(hasFlag(tldOf(b), page, IN_FULL));
  b.free(blocks[0]);
  t.is(threadFree(b, page), blocks[0] / 4);
  b.validate({ quiet: true });
  for (const block of [...blocks.slice(1), ...others]) b.free(block);
  allClear(t, b);
});

test('a delayed block is on its way when A detaches: it is freed with the rest', (t) => {
  const { a, b } = pair();
  const { blocks, others } = fullPage(a, 200);
  b.free(blocks[0]);
  a.detach();
  b.validate({ quiet: true });
  for (const block of [...blocks.slice(1), ...others]) b.free(block);
  allClear(t, b);
});

test('B clears the flag and pauses, A detaches, C takes A’s record and D A’s pages, B pushes: C hands the block on', (t) => {
  const { a, b } = pair();
  const { page, blocks, others } = fullPage(a, 200);
  const record = tldOf(a).heap;
  tldOf(b).i32[page + Page.xthreadFree] &= ~DELAYED;
  a.detach();
  const c = MiMalloc.attach(b.share());
  t.is(tldOf(c).heap, record);
  const d = MiMalloc.attach(b.share());
  d.collect(true);
  t.is(ownerOf(tldOf(d), page), d.threadId);
  tldOf(b).i32[blocks[0] / 4] = tldOf(b).i32[record + Heap.delayedFree];
  tldOf(b).i32[record + Heap.delayedFree] = blocks[0] / 4;
  const before = [...tldOf(d).i32.subarray(page, page + 5)];
  c.malloc(3000);
  t.deepEqual([...tldOf(d).i32.subarray(page, page + 5)], before, 'what is D’s only D writes');
  t.is(threadFree(d, page), blocks[0] / 4);
  for (const each of [b, c, d]) each.validate({ quiet: true });
  for (const block of [...blocks.slice(1), ...others]) d.free(block);
  d.collect(true);
  d.validate({ quiet: true });
  t.is(pageAt(d, blocks[0]), 0);
});

test('the same with nobody in A’s record: a forced collection of anybody finds the block', (t) => {
  const { a, b } = pair();
  const { page, blocks, others } = fullPage(a, 200);
  tldOf(b).i32[page + Page.xthreadFree] &= ~DELAYED;
  a.detach();
  tldOf(b).i32[blocks[0] / 4] = tldOf(b).i32[tldOf(a).heap + Heap.delayedFree];
  tldOf(b).i32[tldOf(a).heap + Heap.delayedFree] = blocks[0] / 4;
  for (const block of [...blocks.slice(1), ...others]) b.free(block);
  allClear(t, b);
  t.is(tldOf(b).i32[tldOf(a).heap + Heap.delayedFree], 0);
});

test('A detaches, C takes its slot while B is attached: C’s full pages are announced as A’s were', (t) => {
  const { a, b } = pair({ bytes: 1 << 22 });
  a.detach();
  const c = MiMalloc.attach(b.share());
  t.is(tldOf(c).heap, tldOf(a).heap);
  t.true(tldOf(c).shared);
  const pages: number[] = [];
  for (let round = 0; round < 6; round++) {
    const blocks = fill(c, 64, 3000);
    pages.push(pagesOf(c));
    for (const block of blocks) b.free(block);
    c.validate({ quiet: true });
  }
  t.true(Math.max(...pages) <= pages[0] + 2, pages.join());
  allClear(t, b, c);
});

test('everybody detaches, and whoever attaches next finds what they left', (t) => {
  const { a, b } = pair();
  const handle = a.share();
  const blocks = [...fill(a, 500, 100), ...fill(b, 40, 100), a.malloc(200_000)];
  a.detach();
  b.detach();
  const c = MiMalloc.attach(handle);
  c.validate({ quiet: true });
  t.true(c.usedBytes() >= 100 * 540);
  for (const block of blocks) c.free(block);
  allClear(t, c);
});

test('an empty thread abandons nothing, and a retired page does not outlive its thread', (t) => {
  const { a, b } = pair();
  a.free(a.malloc(100));
  t.is(pagesOf(a), 1);
  a.detach();
  t.is(headerField(b, 'shared'), 1);
  b.validate({ quiet: true });
  b.malloc(100);
  b.validate({ quiet: true });
  t.is(tldOf(b).i32[tldOf(b).heap + Heap.segmentCount], 1);
});

test('many threads come and go, each leaves blocks to the others', (t) => {
  const random = randomOf(seedOf(t));
  const a = small({ bytes: 1 << 22, threads: 8 });
  const threads = [a];
  const live: number[] = [];
  for (let round = 0; round < 60; round++) {
    while (threads.length < 5) threads.push(MiMalloc.attach(threads[0].share()));
    for (let step = 0; step < 200; step++) {
      const heap = threads[random(threads.length)];
      if (live.length < 400 && random(5) < 3) {
        const block = heap.malloc(random(10) === 0 ? random(200_000) : random(2000));
        if (block !== 0) live.push(block);
      } else if (live.length > 0) {
        const index = random(live.length);
        if (random(4) === 0) live[index] = heap.realloc(live[index], random(5000)) || live[index];
        else heap.free(takeAt(live, index));
      }
    }
    for (const heap of threads) heap.validate({ quiet: true });
    shuffle(threads, random);
    const gone = threads.splice(0, 1 + random(3));
    for (const heap of gone) {
      heap.detach();
      for (const each of threads) each.validate({ quiet: true });
    }
  }
  t.is(new Set(live).size, live.length);
  for (const block of shuffle(live, random)) threads[random(threads.length)].free(block);
  for (const heap of threads.splice(2)) heap.detach();
  allClear(t, ...threads);
});

test('adoption by itself gives back what is empty, without a forced collection', (t) => {
  const { a, b } = pair();
  const blocks = fill(a, 64);
  a.detach();
  for (const block of blocks) b.free(block);
  const block = b.malloc(1000);
  t.not(block, 0);
  t.is(counted(b, 'collections'), 0);
  b.validate({ quiet: true });
  b.free(block);
  allClear(t, b);
});

test('a page that A reclaims is in the queue of its bin, and serves A', (t) => {
  const { a, b } = pair();
  const blocks = fill(a, 100, 300);
  for (const block of blocks) if (block % 32 === 0) a.free(block);
  a.detach();
  b.collect(true);
  t.not(firstPage(tldOf(b), tldOf(b).heap, binOf(100)), 0);
  const before = pagesOf(b);
  const more = fill(b, 100, 100);
  t.is(pagesOf(b), before);
  t.true(more.every((block) => blocks.includes(block)));
  for (const block of [...blocks.filter((each) => each % 32 !== 0), ...more]) b.free(block);
  allClear(t, b);
});
