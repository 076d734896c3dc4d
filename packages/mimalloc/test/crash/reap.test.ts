/**
 * Threads that are expected, threads that have died, and what they left: what `shareSlot`, `reap` and
 * `visitAbandoned` promise.
 */
import { AllocError } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { Heap } from '../../dist/layout/heap.js';
import { DELAYED, ownerOf, Page } from '../../dist/layout/page.js';
import { ABANDONED_SEGMENT, FREE_SEGMENT, HUGE_SEGMENT } from '../../dist/segment/segment.js';
import { fill, pageAt, pageField, segmentField, small } from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';
import { allClear, fullPage, pair, threadFree } from '../support/turns.ts';

test('shareSlot says who a thread will be, before it is there', (t) => {
  const heap = small();
  const seat = heap.shareSlot();
  t.deepEqual(heap.threadIds(), [heap.threadId, seat.threadId]);
  t.is(heap.stats().threads.length, 2);
  const other = MiMalloc.attach(seat);
  t.is(other.threadId, seat.threadId);
  other.free(other.malloc(100));
  other.detach();
  t.deepEqual(heap.threadIds(), [heap.threadId]);
  allClear(t, heap);
});

test('a handle of shareSlot lets one thread in, once', (t) => {
  const heap = small();
  const seat = heap.shareSlot();
  const other = MiMalloc.attach(seat);
  const refused = {
    instanceOf: AllocError,
    code: 'InvalidParam',
    message: new RegExp(`threadId ${seat.threadId}`),
  };
  t.throws(() => MiMalloc.attach(seat), refused);
  other.detach();
  t.throws(() => MiMalloc.attach(seat), refused, 'and not when it has left');
  const never = heap.shareSlot();
  heap.reap(never.threadId);
  t.throws(
    () => MiMalloc.attach(never),
    { message: new RegExp(`threadId ${never.threadId}`) },
    'and not when nobody expects it any more',
  );
  t.throws(() => MiMalloc.attach({ ...heap.share(), threadId: 'me' } as never), { instanceOf: TypeError });
  t.deepEqual(heap.threadIds(), [heap.threadId]);
});

test('expected threads count, as long as they are expected', (t) => {
  const heap = small({ threads: 3 });
  const seats = [heap.shareSlot(), heap.shareSlot()];
  t.throws(() => heap.shareSlot(), { code: 'TooManyThreads' });
  t.throws(() => MiMalloc.attach(heap.share()), { code: 'TooManyThreads' });
  heap.reap(seats[0].threadId);
  const other = MiMalloc.attach(heap.share());
  t.not(other.threadId, seats[0].threadId);
  other.detach();
});

test('reap refuses what is no thread, and this one', (t) => {
  const heap = small();
  t.throws(() => heap.reap('8' as never), { instanceOf: TypeError, message: /threadId.*8/ });
  t.throws(() => heap.reap(-8), { instanceOf: RangeError, message: /threadId.*-8/ });
  t.throws(() => heap.reap(1.5), { instanceOf: RangeError });
  t.throws(() => heap.reap(heap.threadId), { code: 'InvalidParam', message: new RegExp(`${heap.threadId}`) });
  heap.detach();
  t.throws(() => heap.reap(8), { code: 'InvalidParam', message: /detached/ });
});

test('reap does nothing to a thread that has detached, was reaped, or never was', (t) => {
  const { a, b } = pair();
  const block = b.malloc(100);
  const name = b.threadId;
  b.detach();
  const c = MiMalloc.attach(a.share()); // in the same slot
  const mine = c.malloc(100);
  for (const id of [name, name, 0, 4, 2 ** 30]) a.reap(id);
  a.validate({ quiet: true });
  c.validate({ quiet: true });
  t.true(c.containsBlock(mine));
  c.free(mine);
  c.free(block);
  allClear(t, a, c);
});

test('what a dead thread had is free where it had no live block, and abandoned where it had', (t) => {
  const { a, b } = pair();
  const kept = [...fill(b, 100, 300), b.malloc(70_000)];
  const gone = [...fill(b, 40_000, 4), b.malloc(140_000)];
  for (const block of gone) b.free(block);
  a.reap(b.threadId);
  const huge = kept[300];
  for (const block of kept)
    t.is(segmentField(a, block, 'threadId'), block === huge ? HUGE_SEGMENT : ABANDONED_SEGMENT);
  t.is(segmentField(a, gone[4], 'threadId'), FREE_SEGMENT);
  a.validate({ quiet: true });
  t.deepEqual(a.threadIds(), [a.threadId]);
  for (const block of kept) a.free(block);
  allClear(t, a);
});

test('two reap the same thread', (t) => {
  const { a, b } = pair();
  const c = MiMalloc.attach(a.share());
  const blocks = fill(b, 100, 300);
  a.reap(b.threadId);
  c.reap(b.threadId);
  for (const block of blocks) c.free(block);
  allClear(t, a, c);
});

test('visitAbandoned shows each live block that nobody has, and what the visitor frees is gone', (t) => {
  const { a, b } = pair();
  const c = MiMalloc.attach(a.share());
  const mine = a.malloc(100);
  const left = [...fill(b, 100, 100), b.malloc(5000), b.malloc(70_000), b.malloc(300_000)];
  const more = fill(c, 24, 50);
  b.detach();
  a.reap(c.threadId);
  const seen: number[] = [];
  t.true(a.visitAbandoned((address, size) => void (size >= 24 && seen.push(address))));
  t.deepEqual(
    seen.sort((x, y) => x - y),
    [...left, ...more].sort((x, y) => x - y),
  );
  t.true(a.containsBlock(mine));
  t.false(a.visitAbandoned(() => false));
  t.true(a.visitAbandoned((address) => a.free(address)));
  t.is(a.stats().abandonedSegments, 0);
  t.true(a.visitAbandoned(() => t.fail('nothing is left')));
  a.free(mine);
  allClear(t, a);
});

test('a visitor that throws leaves everything as it was', (t) => {
  const { a, b } = pair();
  const blocks = fill(b, 100, 300);
  b.detach();
  t.throws(
    () =>
      a.visitAbandoned(() => {
        throw new Error('enough');
      }),
    { message: 'enough' },
  );
  a.validate({ quiet: true });
  for (const block of blocks) t.is(segmentField(a, block, 'threadId'), ABANDONED_SEGMENT);
  for (const block of blocks) a.free(block);
  allClear(t, a);
});

test('with reclaimOnFree, who frees into what nobody has adopts it; else it is left to who needs memory', (t) => {
  for (const reclaimOnFree of [true, false]) {
    const { a, b } = pair({ reclaimOnFree });
    const [first, ...rest] = [...fill(b, 100, 20), ...fill(b, 3000, 5)];
    b.detach();
    a.free(first);
    t.is(ownerOf(tldOf(a), pageAt(a, rest[0])), reclaimOnFree ? a.threadId : 0);
    a.validate({ quiet: true });
    for (const block of rest) a.free(block);
    allClear(t, a);
  }
});

test('a large and a huge block that another thread has freed come back at the next generic allocation', (t) => {
  const { a, b } = pair();
  for (const size of [20_000, 70_000, 300_000]) {
    const block = a.malloc(size);
    b.free(block);
    a.free(a.malloc(30_000));
    t.false(a.containsBlock(block), `${size}`);
  }
  a.validate({ quiet: true });
  allClear(t, a, b);
});

test('what waits on a heap’s list of delayed frees does not count as used, in secure mode neither', (t) => {
  for (const secure of [0, 2, 3]) {
    const { a, b } = pair({ secure, seed: 1 });
    a.malloc(3000);
    const { blocks } = fullPage(a, 500);
    const before = a.usedBytes();
    b.free(blocks[0]);
    t.is(before - a.usedBytes(), pageField(a, blocks[1], 'blockWords') * 4, `level ${secure}`);
    b.free(blocks[1]);
    a.collect(true);
    for (const block of blocks.slice(2)) a.free(block);
    a.validate({ quiet: true });
  }
});

test('after a death, threads look at their full pages: one whose mark the dead thread took is heard of again', (t) => {
  const { a, b } = pair();
  const c = MiMalloc.attach(a.share());
  a.malloc(3000);
  const { page, blocks } = fullPage(a, 500);
  // B has taken the mark and will never bring the news.
  tldOf(a).i32[page + Page.xthreadFree] &= ~DELAYED;
  c.free(blocks[1]);
  t.not(threadFree(a, page), 0, 'and this one nobody hears of');
  c.reap(b.threadId);
  const again = fill(a, 500, 60);
  t.true(again.includes(blocks[1]));
  a.validate({ quiet: true });
});

test('with reclaimOnFree, a thread that only frees gathers what it has adopted: memory does not grow with the generations', (t) => {
  const main = small({ reclaimOnFree: true });
  for (let generation = 0; generation < 200; generation++) {
    const a = MiMalloc.attach(main.share());
    const b = MiMalloc.attach(main.share());
    const blocks = fill(a, 1000, 40);
    t.is(blocks.length, 40, `generation ${generation} finds memory`);
    a.detach();
    // The first free adopts the segment; the others come from another thread, onto the pages' lists.
    main.free(blocks[0]);
    t.is(ownerOf(tldOf(main), pageAt(main, blocks[1])), main.threadId);
    for (const block of blocks.slice(1)) b.free(block);
    b.detach();
    t.true(tldOf(main).i32[tldOf(main).heap + Heap.segmentCount] <= 2, `generation ${generation}`);
  }
  main.collect(true);
  t.is(main.usedBytes(), 0);
  main.validate({ quiet: true });
});
