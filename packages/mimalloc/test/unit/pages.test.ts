import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { BIN_FULL, BIN_LARGEST, BIN_WORDS, binOf } from '../../dist/layout/bins.js';
import { OS_PAGE_BYTES } from '../../dist/layout/geometry.js';
import { binOfPage, hasFlag, IN_FULL, Page, retireOf, slicesOf } from '../../dist/layout/page.js';
import { firstPage, lastPage } from '../../dist/page/queue.js';
import {
  byPage,
  counted,
  emptyOut,
  fill,
  pageAt,
  pageField,
  pagesOf,
  randomOf,
  seedOf,
  shuffle,
  sliceBytes,
  small,
  takeAt,
} from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';

/** Pages in the queue of full ones. */
function fullPages(heap: MiMalloc): number[] {
  const pages: number[] = [];
  for (
    let page = firstPage(tldOf(heap), tldOf(heap).heap, BIN_FULL);
    page !== 0;
    page = tldOf(heap).i32[page + Page.next]
  )
    pages.push(page);
  return pages;
}

/** One generic allocation that touches no page of small blocks, given back at once. */
function tickClock(heap: MiMalloc): void {
  heap.free(heap.malloc(tldOf(heap).mediumMax + 1));
}

test('a page links its blocks in steps of at most 4 KiB, and only when they are needed', (t) => {
  for (let bin = 1; bin <= BIN_LARGEST; bin += 3) {
    const heap = small({ bytes: 1 << 24 });
    const size = BIN_WORDS[bin] * 4;
    if (size > tldOf(heap).mediumMax) break;
    const step = Math.max(1, Math.floor(OS_PAGE_BYTES / size));
    const first = heap.malloc(size);
    const reserved = pageField(heap, first, 'reserved');
    t.is(reserved, Math.floor((slicesOf(tldOf(heap), pageAt(heap, first)) * sliceBytes(heap)) / size));
    let blocks = 1;
    for (; blocks < reserved; blocks++) {
      const capacity = pageField(heap, first, 'capacity');
      t.is(capacity, Math.min(reserved, Math.ceil(blocks / step) * step), `${size}: ${blocks} blocks`);
      const next = heap.malloc(size);
      t.is(pageAt(heap, next), pageAt(heap, first));
      if (blocks % 97 === 0) heap.validate({ quiet: true });
    }
    t.is(pageField(heap, first, 'capacity'), reserved);
    t.not(pageAt(heap, heap.malloc(size)), pageAt(heap, first), 'then another page');
    heap.validate({ quiet: true });
  }
});

test('a page has one slice for blocks up to a quarter of it, and eight up to two slices', (t) => {
  const heap = small({ bytes: 1 << 24 });
  const slice = sliceBytes(heap);
  for (const [size, slices] of [
    [8, 1],
    [slice / 4, 1],
    [slice / 4 + 1, 8],
    [slice, 8],
    [tldOf(heap).mediumMax, 8],
  ]) {
    const block = heap.malloc(size);
    t.is(slicesOf(tldOf(heap), pageAt(heap, block)), slices, `${size}`);
    t.is(binOfPage(tldOf(heap), pageAt(heap, block)), binOf(size));
    heap.validate({ quiet: true });
  }
  t.is(tldOf(heap).mediumMax, 2 * slice);
});

test('an empty page that is alone in its queue is kept for 16 generic allocations and then given back', (t) => {
  const heap = small();
  heap.free(heap.malloc(48));
  const page = firstPage(tldOf(heap), tldOf(heap).heap, binOf(48));
  t.not(page, 0);
  t.is(retireOf(tldOf(heap), page), 16);
  for (let left = 15; left >= 1; left--) {
    tickClock(heap);
    t.is(retireOf(tldOf(heap), page), left);
    t.is(firstPage(tldOf(heap), tldOf(heap).heap, binOf(48)), page);
    heap.validate({ quiet: true });
  }
  tickClock(heap);
  t.is(firstPage(tldOf(heap), tldOf(heap).heap, binOf(48)), 0);
  t.is(counted(heap, 'retired'), 1);
  t.is(pagesOf(heap), 0);
  heap.validate({ quiet: true });
});

test('a retired page that serves again stays, and its clock starts anew when it empties the next time', (t) => {
  const heap = small();
  heap.free(heap.malloc(48));
  for (let times = 0; times < 10; times++) tickClock(heap);
  const block = heap.malloc(48);
  const page = pageAt(heap, block);
  t.is(retireOf(tldOf(heap), page), 6, 'taking a block does not touch the clock');
  for (let times = 0; times < 20; times++) tickClock(heap);
  t.is(retireOf(tldOf(heap), page), 0, 'a page in use is not given back');
  t.is(pageAt(heap, block), page);
  heap.free(block);
  t.is(retireOf(tldOf(heap), page), 16);
  for (let times = 0; times < 3; times++) tickClock(heap);
  heap.free(heap.malloc(48));
  t.is(retireOf(tldOf(heap), page), 16, 'emptied again, 13 cycles before its time');
  heap.validate({ quiet: true });
});

test('an empty page with others in its queue is given back at once', (t) => {
  const heap = small();
  const blocks = fill(heap, 48, 400);
  const pages = byPage(heap, blocks);
  t.true(pages.size > 2);
  const before = pagesOf(heap);
  const [page, list] = [...pages][1];
  for (const block of list) heap.free(block);
  t.is(pagesOf(heap), before - 1);
  t.is(tldOf(heap).i32[page + Page.blockWords], 0);
  heap.validate({ quiet: true });
});

test('the page that malloc takes from is given back, too, when it empties and others are left', (t) => {
  const heap = small();
  const blocks = fill(heap, 48, 400);
  heap.free(blocks[0]);
  const front = firstPage(tldOf(heap), tldOf(heap).heap, binOf(48));
  t.not(tldOf(heap).i32[front + Page.next], 0);
  for (const block of blocks) if (pageAt(heap, block) === front) heap.free(block);
  t.is(tldOf(heap).i32[front + Page.blockWords], 0);
  heap.validate({ quiet: true });
});

test('with retireCycles 0 every empty page is given back at once, with 31 it is kept for 31 allocations', (t) => {
  const never = small({ retireCycles: 0 });
  never.free(never.malloc(48));
  t.is(pagesOf(never), 0);
  never.validate({ quiet: true });
  const long = small({ retireCycles: 31 });
  long.free(long.malloc(48));
  for (let times = 0; times < 30; times++) tickClock(long);
  t.is(pagesOf(long), 1);
  tickClock(long);
  t.is(pagesOf(long), 0);
  long.validate({ quiet: true });
});

test('retired pages of many sizes are each given back, the smallest and the largest bin among them', (t) => {
  const heap = small({ bytes: 1 << 24 });
  const sizes = [8, 16, 48, 200, 1000, 3000, tldOf(heap).mediumMax];
  for (const size of sizes) heap.free(heap.malloc(size));
  t.is(pagesOf(heap), sizes.length);
  for (let times = 0; times < 16 + sizes.length; times++) tickClock(heap);
  t.is(pagesOf(heap), 0);
  t.is(counted(heap, 'retired'), sizes.length);
  heap.validate({ quiet: true });
});

test('a full page leaves its queue, and comes back with the first block that is freed', (t) => {
  const heap = small({ bytes: 1 << 24 });
  const blocks = fill(heap, 200, 2000);
  const pages = [...byPage(heap, blocks)];
  const full = fullPages(heap);
  t.true(full.length >= pages.length - 3, `${full.length} of ${pages.length} are known to be full`);
  for (const page of full) {
    t.true(hasFlag(tldOf(heap), page, IN_FULL));
    const block = pages.find(([each]) => each === page)?.[1][0] as number;
    heap.free(block);
    t.false(hasFlag(tldOf(heap), page, IN_FULL));
    t.is(lastPage(tldOf(heap), tldOf(heap).heap, binOf(200)), page, 'at the end of its queue');
    heap.validate({ quiet: true });
  }
  t.deepEqual(fullPages(heap), []);
  emptyOut(
    t,
    heap,
    blocks.filter((block) => pageAt(heap, block) !== 0 && !isFreed(heap, block)),
  );
});

/** Whether a block is on its page's own list. */
function isFreed(heap: MiMalloc, block: number): boolean {
  for (const list of ['free', 'localFree'] as const) {
    for (let at = pageField(heap, block, list); at !== 0; at = tldOf(heap).i32[at])
      if (at === block / 4) return true;
  }
  return false;
}

test('a full page whose every block is freed goes back to its segment', (t) => {
  const heap = small({ bytes: 1 << 24 });
  const size = tldOf(heap).mediumMax;
  const blocks = fill(heap, size, 30);
  const [page, list] = [...byPage(heap, blocks)][0];
  t.true(hasFlag(tldOf(heap), page, IN_FULL));
  for (const block of list) {
    heap.free(block);
    heap.validate({ quiet: true });
  }
  t.is(tldOf(heap).i32[page + Page.blockWords], 0);
});

test('a page that serves one block at a time goes from full to empty and back', (t) => {
  // Where two slices in a row are all that is left, a page has two, and one block.
  const heap = small({ bytes: 1 << 20 });
  const size = tldOf(heap).mediumMax;
  for (let bytes = 16; bytes <= 112; bytes += 16) heap.malloc(bytes);
  const blocks = fill(heap, size);
  heap.validate({ quiet: true });
  const single = [...byPage(heap, blocks)].filter(([page]) => tldOf(heap).i32[page + Page.reserved] === 1);
  t.true(single.length > 0);
  for (const [, [block]] of single) {
    heap.free(block);
    heap.validate({ quiet: true });
    t.not(heap.malloc(size), 0);
    heap.validate({ quiet: true });
  }
});

test('malloc takes freed blocks before it extends, and extends before it makes a page', (t) => {
  const heap = small({ bytes: 1 << 24 });
  const blocks = fill(heap, 64, 64);
  const page = pageAt(heap, blocks[0]);
  t.is(pageField(heap, blocks[0], 'capacity'), 64);
  for (const block of blocks.slice(0, 10)) heap.free(block);
  const again = fill(heap, 64, 10);
  t.deepEqual(again.toSorted(), blocks.slice(0, 10).toSorted());
  t.is(pageField(heap, blocks[0], 'capacity'), 64);
  heap.malloc(64);
  t.is(tldOf(heap).i32[page + Page.capacity], 128);
  t.is(counted(heap, 'extended'), 1);
  t.is(counted(heap, 'pages'), 1);
  heap.validate({ quiet: true });
});

test('a block that was freed a moment ago is not the next one', (t) => {
  const heap = small();
  const blocks = fill(heap, 64, 10);
  heap.free(blocks[3]);
  t.not(heap.malloc(64), blocks[3]);
  heap.validate({ quiet: true });
});

test('a page that gets its blocks back serves in front of a new page', (t) => {
  const heap = small({ bytes: 1 << 24 });
  const blocks = fill(heap, 1000, 500);
  const pages = pagesOf(heap);
  for (let index = 0; index < blocks.length; index += 7) heap.free(blocks[index]);
  heap.validate({ quiet: true });
  fill(heap, 1000, Math.floor(blocks.length / 7));
  t.is(pagesOf(heap), pages);
  heap.validate({ quiet: true });
});

test('malloc finds the one free block of a full heap, in whichever page it is', (t) => {
  const random = randomOf(seedOf(t));
  for (const size of [64, 1000]) {
    const heap = small();
    const live = fill(heap, size);
    const pages = byPage(heap, live);
    // Every page gets a block back and loses it again, so that all of them stand in the queue, full.
    for (let round = 0; round < 3; round++) {
      const freed: number[] = [];
      for (const list of pages.values()) {
        const block = takeAt(list, random(list.length));
        heap.free(block);
        freed.push(block);
      }
      for (const _ of freed) {
        const block = heap.malloc(size);
        if (block === 0) return t.fail(`${freed.length} blocks of ${size} were freed, and not all came back`);
        pages.get(pageAt(heap, block))?.push(block);
      }
      for (const list of shuffle([...pages.values()], random).slice(0, 50)) {
        const block = takeAt(list, random(list.length));
        heap.free(block);
        heap.validate({ quiet: true });
        const again = heap.malloc(size);
        heap.validate({ quiet: true });
        if (again !== block)
          return t.fail(`the only free block of ${size} bytes is ${block}; malloc gave ${again}`);
        list.push(again);
      }
    }
    emptyOut(t, heap, [...pages.values()].flat());
  }
});

test('any order of frees brings every page back', (t) => {
  const random = randomOf(seedOf(t));
  const heap = small();
  for (const size of [8, 40, 200, 1000, 4000]) {
    let count = -1;
    for (let round = 0; round < 4; round++) {
      const blocks = shuffle(fill(heap, size), random);
      if (count >= 0) t.is(blocks.length, count, `${size} bytes, round ${round}`);
      count = blocks.length;
      for (const block of blocks) heap.free(block);
      heap.validate({ quiet: true });
      t.is(heap.usedBytes(), 0);
    }
    heap.collect(true);
    t.is(pagesOf(heap), 0);
  }
});

test('a heap of one page validates after each of its first thousand operations', (t) => {
  const random = randomOf(seedOf(t));
  const heap = small({ bytes: 256 << 10 });
  const live: number[] = [];
  for (let step = 0; step < 1000; step++) {
    if (live.length === 0 || random(5) < 3) {
      const block = heap.malloc(1 + random(300));
      if (block !== 0) live.push(block);
    } else heap.free(takeAt(live, random(live.length)));
    heap.validate({ quiet: true });
  }
  emptyOut(t, heap, live);
});

test('the deferred-free hook runs at every generic allocation, with force when memory is short, and not inside itself', (t) => {
  const heap = small({ bytes: 256 << 10 });
  const calls: [boolean, number][] = [];
  let reserve = fill(heap, 1000, 20);
  heap.registerDeferredFree((force, heartbeat) => {
    calls.push([force, heartbeat]);
    heap.free(heap.malloc(5000)); // generic itself
    if (!force) return;
    for (const block of reserve) heap.free(block);
    reserve = [];
  });
  const blocks = fill(heap, 1000);
  t.true(calls.some(([force]) => force));
  t.is(reserve.length, 0, 'what the hook held served the heap');
  t.true(calls.every(([, heartbeat], index) => index === 0 || heartbeat > calls[index - 1][1]));
  heap.validate({ quiet: true });
  heap.registerDeferredFree(null);
  const before = calls.length;
  heap.malloc(tldOf(heap).mediumMax + 1);
  t.is(calls.length, before);
  emptyOut(t, heap, blocks);
});

test('a hook that throws leaves the heap sound, and runs again the next time', (t) => {
  const heap = small();
  let calls = 0;
  heap.registerDeferredFree(() => {
    calls++;
    throw new Error('not now');
  });
  t.throws(() => heap.malloc(100), { message: 'not now' });
  t.throws(() => heap.malloc(5000), { message: 'not now' });
  t.is(calls, 2);
  heap.validate({ quiet: true });
  heap.registerDeferredFree(null);
  emptyOut(t, heap, fill(heap, 100, 10));
});

test('an allocation that finds no memory costs one forced collection and one more try', (t) => {
  const heap = MiMalloc.create({ bytes: 1 << 20, grow: false, backing: 'sab' });
  const blocks = fill(heap, 1000);
  const [collections, failures] = [counted(heap, 'collections'), counted(heap, 'failures')];
  t.is(heap.malloc(1000), 0);
  t.is(counted(heap, 'collections'), collections + 1);
  t.is(counted(heap, 'failures'), failures + 1);
  t.is(heap.malloc(2 ** 33), 0);
  t.is(counted(heap, 'failures'), failures + 2);
  t.is(counted(heap, 'collections'), collections + 1, 'what no memory has is not looked for');
  heap.validate({ quiet: true });
  emptyOut(t, heap, blocks);
});
