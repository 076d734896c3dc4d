/**
 * What threads do to each other's blocks, one interleaving a test. That the same holds when they run at once
 * is for the conformance kit.
 */
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { binOf } from '../../dist/layout/bins.js';
import { Field } from '../../dist/layout/header.js';
import { Heap } from '../../dist/layout/heap.js';
import { DELAYED, hasFlag, IN_FULL, ownerOf, Page } from '../../dist/layout/page.js';
import { firstPage } from '../../dist/page/queue.js';
import {
  byPage,
  fill,
  headerField,
  pageAt,
  pageField,
  pagesOf,
  randomOf,
  seedOf,
  small,
  takeAt,
  watch,
} from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';
import { allClear, fullPage, pair, threadFree } from '../support/turns.ts';

test('A allocates, B frees: the block lies on thread_free until A’s next generic allocation', (t) => {
  const { a, b } = pair();
  const block = a.malloc(128);
  const page = pageAt(a, block);
  b.free(block);
  t.is(threadFree(a, page), block / 4);
  t.is(tldOf(a).i32[page + Page.used], 1, 'it counts as used');
  for (const each of [a, b]) each.validate({ quiet: true });
  const rest = fill(a, 128, 31);
  t.false(rest.includes(block));
  const again = a.malloc(128); // the linked blocks are used up: the page is collected
  t.is(again, block);
  t.is(threadFree(a, page), 0);
  for (const each of [a, b]) each.validate({ quiet: true });
  for (const each of [...rest, again]) b.free(each);
  allClear(t, a, b);
});

test('B frees every block of A: A’s page is empty as soon as A looks', (t) => {
  const { a, b } = pair();
  const blocks = fill(a, 64, 64);
  for (const block of blocks) {
    b.free(block);
    a.validate({ quiet: true });
  }
  t.is(pageField(a, blocks[0], 'used'), 64);
  a.collect();
  t.is(a.usedBytes(), 0);
  allClear(t, a, b);
});

test('A and B free the blocks of one page in turns', (t) => {
  const { a, b } = pair();
  const blocks = fill(a, 48, 85);
  for (const [index, block] of blocks.entries()) {
    (index % 2 === 0 ? a : b).free(block);
    for (const each of [a, b]) each.validate({ quiet: true });
  }
  allClear(t, a, b);
});

test('B frees into A’s page, A frees the rest: the page is not taken for empty while a block is on thread_free', (t) => {
  const { a, b } = pair({ retireCycles: 0 });
  const blocks = fill(a, 64, 10);
  b.free(blocks[4]);
  for (const block of blocks) if (block !== blocks[4]) a.free(block);
  t.is(pageField(a, blocks[4], 'used'), 1);
  a.validate({ quiet: true });
  a.collect();
  t.is(pageAt(a, blocks[4]), 0);
  allClear(t, a, b);
});

test('a full page is announced, and its first foreign block goes to the heap’s delayed list', (t) => {
  const { a, b } = pair();
  const { page, blocks, others } = fullPage(a, 200);
  t.is(tldOf(a).i32[page + Page.xthreadFree], DELAYED);
  b.free(blocks[0]);
  t.is(tldOf(a).i32[tldOf(a).heap + Heap.delayedFree], blocks[0] / 4);
  t.is(tldOf(a).i32[page + Page.xthreadFree], 0, 'the news is on its way');
  b.free(blocks[1]);
  t.is(threadFree(a, page), blocks[1] / 4, 'the second goes to the page');
  for (const each of [a, b]) each.validate({ quiet: true });
  t.true(hasFlag(tldOf(a), page, IN_FULL));
  const taken = a.malloc(3000); // generic
  t.is(tldOf(a).i32[tldOf(a).heap + Heap.delayedFree], 0);
  t.false(hasFlag(tldOf(a), page, IN_FULL), 'the page is back');
  for (const each of [a, b]) each.validate({ quiet: true });
  for (const block of [...blocks.slice(2), ...others]) b.free(block);
  a.free(taken);
  allClear(t, a, b);
});

test('A frees into its own full page: the page is back, and is announced no more', (t) => {
  const { a, b } = pair();
  const { page, blocks, others } = fullPage(a, 200);
  a.free(blocks[0]);
  t.is(tldOf(a).i32[page + Page.xthreadFree], 0);
  b.free(blocks[1]);
  t.is(threadFree(a, page), blocks[1] / 4, 'what B frees goes to the page');
  t.is(tldOf(a).i32[tldOf(a).heap + Heap.delayedFree], 0);
  for (const block of [...blocks.slice(2), ...others]) b.free(block);
  allClear(t, a, b);
});

test('B frees all blocks of many full pages of A, and A goes on with the same pages', (t) => {
  const { a, b } = pair({ bytes: 1 << 22 });
  const pages: number[] = [];
  for (let round = 0; round < 8; round++) {
    const blocks = fill(a, 64, 3000);
    pages.push(pagesOf(a));
    for (const block of blocks) b.free(block);
    for (const each of [a, b]) each.validate({ quiet: true });
  }
  t.true(Math.max(...pages) <= pages[0] + 2, pages.join());
  allClear(t, a, b);
});

test('two full pages, one block each on the delayed list, and one more on each page', (t) => {
  const { a, b } = pair({ bytes: 1 << 22 });
  const all = fill(a, 1000, 200);
  const full = [...byPage(a, all)].filter(([page]) => hasFlag(tldOf(a), page, IN_FULL));
  t.true(full.length >= 2);
  for (const [, blocks] of full) {
    b.free(blocks[0]);
    b.free(blocks[1]);
    a.validate({ quiet: true });
  }
  let delayed = 0;
  for (let at = tldOf(a).i32[tldOf(a).heap + Heap.delayedFree]; at !== 0; at = tldOf(a).i32[at]) delayed++;
  t.is(delayed, full.length);
  const taken = a.malloc(5000);
  for (const [page] of full) t.false(hasFlag(tldOf(a), page, IN_FULL));
  a.validate({ quiet: true });
  const got = fill(a, 1000, 2 * full.length);
  t.true(
    got.every((block) => all.includes(block)),
    'no new page is needed',
  );
  const freed = new Set(full.flatMap(([, blocks]) => blocks.slice(0, 2)));
  for (const block of [taken, ...all.filter((each) => !freed.has(each)), ...got]) b.free(block);
  allClear(t, a, b);
});

test('A is alone when its page gets full, B comes later: the page is announced at A’s next generic allocation', (t) => {
  const a = small();
  const { page, blocks, others } = fullPage(a, 200);
  t.is(tldOf(a).i32[page + Page.xthreadFree], 0, 'nobody to tell');
  const b = MiMalloc.attach(a.share());
  b.free(blocks[0]);
  t.is(threadFree(a, page), blocks[0] / 4);
  a.validate({ quiet: true });
  a.free(a.malloc(3000));
  t.true(tldOf(a).shared);
  t.false(hasFlag(tldOf(a), page, IN_FULL), 'what was freed until then is found');
  a.validate({ quiet: true });
  for (const block of [...blocks.slice(1), ...others]) b.free(block);
  allClear(t, a, b);
});

test('B frees into a page that A has used up: A finds the block before it takes the page for full', (t) => {
  const { a, b } = pair();
  const blocks = fill(a, 200, 400);
  // The page in front has just been used up; no thread has looked at it since.
  const page = firstPage(tldOf(a), tldOf(a).heap, binOf(200));
  const rest = fill(a, 200, tldOf(a).i32[page + Page.reserved] - tldOf(a).i32[page + Page.used]);
  const mine = [...blocks, ...rest].filter((block) => pageAt(a, block) === page);
  t.is(tldOf(a).i32[page + Page.used], tldOf(a).i32[page + Page.reserved]);
  t.false(hasFlag(tldOf(a), page, IN_FULL));
  b.free(mine[5]);
  t.is(a.malloc(200), mine[5]);
  t.false(hasFlag(tldOf(a), page, IN_FULL));
  a.validate({ quiet: true });
  for (const block of [...blocks, ...rest]) b.free(block);
  allClear(t, a, b);
});

test('B clears the flag and pauses, A collects with force, B pushes: the block is not lost', (t) => {
  const { a, b } = pair();
  const { page, blocks, others } = fullPage(a, 200);
  // First half of B's free.
  t.is(tldOf(b).i32[page + Page.xthreadFree], DELAYED);
  tldOf(b).i32[page + Page.xthreadFree] &= ~DELAYED;
  a.collect(true);
  a.validate({ quiet: true });
  t.true(hasFlag(tldOf(a), page, IN_FULL));
  // Second half.
  tldOf(b).i32[blocks[0] / 4] = tldOf(b).i32[tldOf(a).heap + Heap.delayedFree];
  tldOf(b).i32[tldOf(a).heap + Heap.delayedFree] = blocks[0] / 4;
  a.malloc(3000);
  t.false(hasFlag(tldOf(a), page, IN_FULL));
  for (const block of [...blocks.slice(1), ...others]) b.free(block);
  a.validate({ quiet: true });
});

test('B clears the flag and dies: the block is lost, and the page comes back with the next forced collection', (t) => {
  const { a, b } = pair();
  const { page, blocks, others } = fullPage(a, 200);
  tldOf(b).i32[page + Page.xthreadFree] &= ~DELAYED;
  for (const block of blocks.slice(1)) b.free(block);
  t.true(hasFlag(tldOf(a), page, IN_FULL));
  a.collect(true);
  t.false(hasFlag(tldOf(a), page, IN_FULL));
  t.is(tldOf(a).i32[page + Page.used], 1, 'the one block');
  a.validate({ quiet: true });
  for (const block of others) a.free(block);
  a.free(blocks[0]);
  allClear(t, a, b);
});

test('B’s realloc of A’s block moves it into B’s heap', (t) => {
  const { a, b } = pair();
  const block = a.malloc(1000);
  a.memory.u8.fill(0x13, block, block + 1000);
  const moved = b.realloc(block, 3000);
  t.not(moved, block);
  t.is(ownerOf(tldOf(b), pageAt(b, moved)), b.threadId);
  t.true(b.memory.u8.subarray(moved, moved + 1000).every((byte) => byte === 0x13));
  t.is(b.realloc(moved, 2990), moved);
  const large = a.malloc(20_000);
  const other = b.realloc(large, 32_000);
  t.true(other !== large && other !== 0, 'a large block of another thread does not grow in place');
  for (const each of [a, b]) each.validate({ quiet: true });
  b.free(moved);
  b.free(other);
  allClear(t, a, b);
});

test('B frees a block of A twice: A finds the circle, reports it, and goes on', (t) => {
  const { a, b } = pair();
  const { errors } = watch(a);
  const blocks = fill(a, 100, 20);
  b.free(blocks[3]);
  b.free(blocks[3]);
  a.collect(true);
  t.is(errors.length, 1);
  t.regex(errors[0].message, /was freed twice/);
  t.is(headerField(a, 'errors'), 1);
  for (const block of blocks) if (block !== blocks[3]) a.free(block);
  t.not(a.malloc(100), 0);
});

test('B’s interior pointer into A’s block is un-aligned before it goes on thread_free', async (t) => {
  const { mallocAligned } = await import('../../dist/alloc/aligned.js');
  const { a, b } = pair();
  const address = mallocAligned(tldOf(a), tldOf(a).heap, 100, 64, 8);
  const page = pageAt(a, address);
  const start = pageField(a, address, 'start');
  b.free(address);
  t.is((threadFree(a, page) - start) % tldOf(a).i32[page + Page.blockWords], 0);
  for (const each of [a, b]) each.validate({ quiet: true });
  allClear(t, a, b);
});

test('any interleaving of three threads on a small heap keeps it sound', (t) => {
  const random = randomOf(seedOf(t));
  for (let life = 0; life < 12; life++) {
    const a = small({ bytes: 512 * 1024 });
    const threads = [a, MiMalloc.attach(a.share()), MiMalloc.attach(a.share())];
    const live: number[] = [];
    // A few sizes, so that pages get full.
    const sizes = [16, 500, tldOf(a).mediumMax, 2 * tldOf(a).mediumMax];
    for (let step = 0; step < 600; step++) {
      const index = random(3);
      const heap = threads[index];
      const choice = random(100);
      if (choice < 50) {
        const block = heap.malloc(sizes[random(4) & random(4)]);
        if (block !== 0) live.push(block);
      } else if (choice < 95) {
        for (let times = random(4); times >= 0 && live.length > 0; times--)
          heap.free(takeAt(live, random(live.length)));
      } else if (choice < 97) heap.collect(choice === 96);
      else {
        const handle = heap.share();
        heap.detach();
        threads[index] = MiMalloc.attach(handle);
      }
      for (const each of threads) each.validate({ quiet: true });
    }
    for (const block of live) threads[random(3)].free(block);
    for (let round = 0; round < 2; round++) for (const heap of threads) heap.collect(true);
    allClear(t, ...threads);
  }
});

test('the number of reports is counted for all threads', (t) => {
  const { a, b } = pair();
  watch(a);
  watch(b);
  a.free(8);
  b.free(16);
  b.realloc(24, 1);
  t.is(tldOf(a).i32[tldOf(a).header + Field.errors], 3);
});
