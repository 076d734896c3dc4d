import { Worker } from 'node:worker_threads';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { recordOf } from '../support/inside.ts';
import { SMALL, validatedHeap } from '../support/validated.ts';

const MIB = 1 << 20;

test('a picture shows the region, its threads, heaps and arenas', (t) => {
  const memory = new SharedArrayBuffer(2 * MIB);
  const heap = MiMalloc.create({ memory, end: MIB, grow: false });
  const other = MiMalloc.attach(heap.share());
  const arena = heap.addArena(MIB, MIB);
  const part = heap.heapNew({ tag: 12, arena });
  const block = part.malloc(100);
  const { region, threads, heaps, arenas, segments } = heap.inspect();
  t.is(region.totalBytes, heap.totalBytes());
  t.is(region.segmentBytes, region.sliceBytes * region.slicesPerSegment);
  t.is(region.start, 0);
  t.is(region.end, MIB);
  t.true(region.headerBytes > 1000 && region.headerBytes < MIB / 2);
  t.deepEqual(threads, [heap.threadId, other.threadId]);
  t.deepEqual(
    heaps.map(({ owner, kind, tag, arena: of, pages }) => [owner, kind, tag, of, pages]),
    [
      [heap.threadId, 'backing', 0, 0, 0],
      [other.threadId, 'backing', 0, 0, 0],
      [heap.threadId, 'keeper', 0, arena, 0],
      [heap.threadId, 'heap', 12, arena, 1],
    ],
  );
  t.is(arenas.length, 1);
  t.is(arenas[0].id, arena);
  const found = segments.find(({ address }) => block >= address && block < address + region.segmentBytes);
  t.like(found, { state: 'owned', owner: heap.threadId, kind: 'pages', arena });
  t.like(found?.pages[0], { tag: 12, heap: recordOf(part) * 4, used: 1, kind: 'small' });
  t.notThrows(() => structuredClone(heap.inspect()), 'plain objects');
});

test('pages of every kind are shown with their figures, which fit the invariants', (t) => {
  const heap = MiMalloc.create({ bytes: 8 * MIB, grow: false });
  const blocks = [8, 100, 30_000, 300_000, 3 * MIB].map((size) => heap.malloc(size));
  const aligned = heap.mallocAlignedAt(100, 64, 8);
  for (let index = 0; index < 2000; index++) heap.malloc(8);
  const { region, segments } = heap.inspect();
  const pages = segments.flatMap((segment) => segment.pages);
  t.deepEqual(new Set(pages.map(({ kind }) => kind)), new Set(['small', 'medium', 'large', 'huge']));
  for (const page of pages) {
    t.is(page.used + page.free + page.localFree, page.capacity);
    t.true(page.capacity <= page.reserved);
    t.is(page.owner, heap.threadId);
    t.is(page.threadFree, 0);
  }
  for (const block of blocks) {
    t.true(
      pages.some(
        ({ address, blockSize, used }) => address <= block && block < address + blockSize * used + 1,
      ),
    );
  }
  t.true(
    pages.some(
      ({ flags, address, blockSize, capacity }) =>
        flags.includes('has_aligned') && aligned >= address && aligned < address + blockSize * capacity,
    ),
  );
  t.true(pages.some(({ flags }) => flags.includes('in_full')) || pages.every(({ free }) => free >= 0));
  const huge = segments.find(({ kind }) => kind === 'huge');
  t.is(huge?.pages[0].address, blocks[4]);
  t.is(segments.filter(({ kind }) => kind === 'tail').length, Math.ceil((3 * MIB) / region.segmentBytes) - 1);
  for (const segment of segments.filter(({ kind, state }) => kind === 'pages' && state === 'owned')) {
    const inPages = segment.pages.reduce((sum, { slices }) => sum + slices, 0);
    t.is(segment.slices, segment.freeSlices + inPages);
  }
});

test('full, delayed, retired, foreign-freed and abandoned show', (t) => {
  const heap = MiMalloc.create(SMALL);
  const other = MiMalloc.attach(heap.share());
  const pages = () => heap.inspect().segments.flatMap((segment) => segment.pages);
  const blocks = Array.from({ length: 300 }, () => other.malloc(200));
  t.true(pages().some(({ flags }) => flags.includes('in_full') && flags.includes('delayed')));
  heap.free(blocks[blocks.length - 1]);
  t.true(pages().some(({ threadFree }) => threadFree === 1));
  heap.free(blocks[0]);
  t.true(heap.inspect().heaps.some(({ delayed }) => delayed));
  heap.free(heap.malloc(1000));
  t.true(pages().some(({ retired, used }) => retired > 0 && used === 0));
  const { threadId } = other;
  t.true(pages().some(({ owner }) => owner === threadId));
  other.detach();
  t.true(heap.inspect().segments.some(({ state, owner }) => state === 'abandoned' && owner === 0));
  t.true(pages().some(({ owner }) => owner === 0));
  t.deepEqual(heap.inspect().threads, [heap.threadId]);
});

test('a picture of secure memory counts its encoded lists', (t) => {
  const { heap } = validatedHeap({ ...SMALL, secure: 2 });
  const blocks = Array.from({ length: 100 }, () => heap.malloc(100));
  for (const block of blocks.splice(50)) heap.free(block);
  const { region, segments } = heap.inspect();
  t.is(region.secure, 2);
  const [page] = segments.flatMap((segment) => segment.pages);
  t.is(page.used + page.free + page.localFree, page.capacity);
  t.true(page.flags.includes('guarded'));
});

test('a list that goes in circles, and one that leaves its page, end', (t) => {
  const heap = MiMalloc.create(SMALL);
  const blocks = Array.from({ length: 10 }, () => heap.malloc(100));
  for (const block of blocks) heap.free(block);
  const { i32 } = heap.memory;
  const before = heap.inspect().segments.flatMap(({ pages }) => pages)[0];
  t.is(before.localFree, 10);
  i32[blocks[9] / 4] = blocks[9] / 4;
  const circle = heap.inspect().segments.flatMap(({ pages }) => pages)[0];
  t.is(circle.localFree, circle.capacity);
  i32[blocks[9] / 4] = (blocks[9] + (before.capacity + 5) * before.blockSize) / 4;
  const beyond = heap.inspect().segments.flatMap(({ pages }) => pages)[0];
  t.is(beyond.localFree, 1);
  i32[blocks[9] / 4] = 0x3ffffff0;
  const astray = heap.inspect().segments.flatMap(({ pages }) => pages)[0];
  t.is(astray.localFree, 1);
  t.notThrows(() => heap.visitBlocks(() => true));
  t.false(heap.containsBlock(blocks[9]));
});

test.serial('pictures can be taken while other threads allocate, free, attach and detach', async (t) => {
  const heap = MiMalloc.create({ bytes: 8 * MIB, grow: false });
  // Word 0: 1 when the workers shall end; word 1: how many rounds they have done.
  const control = new Int32Array(new SharedArrayBuffer(8));
  const workers = [1, 2].map(
    (seed) =>
      new Worker(new URL('../support/churn-worker.js', import.meta.url), {
        workerData: { handle: heap.share(), seed, control },
      }),
  );
  const failures: Error[] = [];
  const ended = workers.map((worker) => {
    worker.once('error', (error: Error) => failures.push(error));
    return new Promise((resolve) => worker.once('exit', resolve));
  });
  let pages = 0;
  for (
    let pictures = 0;
    failures.length === 0 && (Atomics.load(control, 1) < 8 || pictures < 20);
    pictures++
  ) {
    const { segments, heaps } = heap.inspect();
    t.true(heaps.length >= 1);
    for (const page of segments.flatMap((segment) => segment.pages)) {
      const { free, localFree, threadFree, capacity, bin } = page;
      if (free > capacity || localFree > capacity || threadFree > capacity || bin > 91)
        t.fail(JSON.stringify(page));
      pages++;
    }
    t.true(heap.stats().threads.length >= 1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  Atomics.store(control, 0, 1);
  await Promise.all(ended);
  t.deepEqual(failures, []);
  t.true(pages > 0);
  heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
});
