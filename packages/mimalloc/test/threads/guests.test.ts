/**
 * Heaps of threads that come, leave a block and go: their blocks share pages, and each heap still ends with
 * its own blocks alone.
 */

import { Worker } from 'node:worker_threads';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { answerOf } from '../../../alloc-test/dist-test/support/threads.js';
import { randomOf, seedOf, small, watch } from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';

/** A thread that makes a heap, leaves blocks in it and goes. */
function leave(heap: MiMalloc, sizes: readonly number[]): number[] {
  const thread = MiMalloc.attach(heap.share());
  const own = thread.heapNew();
  const blocks = sizes.map((size) => own.malloc(size));
  thread.detach();
  return blocks;
}

/** A heap, and a thread's heap that has taken in a page with three blocks of others. */
function taken() {
  const { heap, errors } = watch(small());
  const guests = [1, 2, 3].map(() => leave(heap, [48])[0]);
  for (const [index, block] of guests.entries()) tldOf(heap).u8.fill(index + 1, block, block + 48);
  const thread = MiMalloc.attach(heap.share());
  const own = thread.heapNew({ tag: 9 });
  const blocks = [1, 2, 3].map(() => own.malloc(48));
  const intact = (): boolean =>
    guests.every((block, index) =>
      tldOf(heap)
        .u8.subarray(block, block + 48)
        .every((byte) => byte === index + 1),
    );
  return { heap, errors, guests, thread, own, blocks, intact };
}

const inHeap = (own: { visitBlocks?: unknown } & ReturnType<MiMalloc['heapNew']>): number[] => {
  const seen: number[] = [];
  own.visitBlocks((address) => seen.push(address));
  return seen.sort((a, b) => a - b);
};

for (const [what, sizesOf] of [
  ['16 bytes', () => [16]],
  ['sizes of all kinds', (random: (below: number) => number) => [1 + random(16 << random(8))]],
] as const) {
  test(`20,000 threads one after another each make a heap and leave a block (${what}): 64 MiB are enough`, (t) => {
    const heap = MiMalloc.create({ bytes: 64 << 20, grow: false });
    const { errors } = watch(heap);
    const random = randomOf(seedOf(t));
    const before = heap.usedBytes();
    const blocks: number[] = [];
    for (let thread = 0; thread < 20_000; thread++) {
      const sizes = sizesOf(random);
      const [block] = leave(heap, sizes);
      if (block === 0) return t.fail(`thread ${thread} got 0 for ${sizes[0]} bytes`);
      tldOf(heap).i32[block >>> 2] = ~block;
      blocks.push(block);
    }
    t.is(new Set(blocks).size, blocks.length);
    t.deepEqual(
      blocks.filter((block) => tldOf(heap).i32[block >>> 2] !== ~block),
      [],
    );
    heap.validate({ quiet: true });
    t.true(heap.stats().pages < 200, `${heap.stats().pages} pages`);
    for (const block of blocks) heap.free(block);
    for (let round = 0; round < 3; round++) heap.collect(true);
    heap.validate({ quiet: true });
    t.is(heap.usedBytes(), before);
    t.deepEqual(errors, []);
  });
}

test('what threads have left behind shares a page with the next heap’s blocks', (t) => {
  const { heap, guests, blocks } = taken();
  t.is(heap.stats().pages, 1);
  t.is(new Set([...guests, ...blocks]).size, 6);
});

test('a heap sees its own blocks alone', (t) => {
  const { own, thread, guests, blocks } = taken();
  for (const block of blocks) t.true(own.contains(block));
  for (const guest of guests) t.false(own.contains(guest));
  for (const block of blocks) t.is(thread.heapOf(block), own);
  for (const guest of guests) t.is(thread.heapOf(guest), null);
  t.deepEqual(
    inHeap(own),
    blocks.toSorted((a, b) => a - b),
  );
  const tags = new Map<number, number>();
  thread.visitBlocks((address, _size, tag) => tags.set(address, tag), {
    threadId: thread.threadId,
  });
  t.deepEqual(
    [...guests, ...blocks].map((block) => tags.get(block)),
    [0, 0, 0, 9, 9, 9],
  );
});

test('a heap that is destroyed leaves its guests, and they are freed like any others', (t) => {
  const { heap, errors, guests, thread, own, intact } = taken();
  own.destroy();
  t.true(intact());
  thread.validate({ quiet: true });
  const live: number[] = [];
  thread.visitBlocks((address) => live.push(address), { threadId: thread.threadId });
  t.deepEqual(live.sort(), guests.toSorted());
  for (const guest of guests) heap.free(guest);
  thread.detach();
  for (let round = 0; round < 2; round++) heap.collect(true);
  t.is(heap.usedBytes(), 0);
  t.deepEqual(errors, []);
});

test('a full page with guests', (t) => {
  const { heap, errors, thread, own, intact } = taken();
  const more: number[] = [];
  while (heap.stats().pages < 2) more.push(own.malloc(48));
  own.destroy();
  t.true(intact());
  thread.validate({ quiet: true });
  t.is(heap.stats().pages, 1);
  t.true(more.length > 20);
  t.deepEqual(errors, []);
});

for (const by of ['its thread', 'another thread'] as const) {
  test(`a guest’s place that was freed by ${by} and allocated anew is the heap’s`, (t) => {
    const { heap, errors, guests, thread, own } = taken();
    (by === 'its thread' ? thread : heap).free(guests[1]);
    const blocks = new Set<number>();
    while (!blocks.has(guests[1])) {
      const block = own.malloc(48);
      t.not(block, 0);
      blocks.add(block);
    }
    t.true(own.contains(guests[1]));
    t.is(thread.heapOf(guests[1]), own);
    t.true(inHeap(own).includes(guests[1]));
    own.destroy();
    const live: number[] = [];
    thread.visitBlocks((address) => live.push(address), { threadId: thread.threadId });
    t.deepEqual(live.sort(), [guests[0], guests[2]].sort());
    thread.validate({ quiet: true });
    t.deepEqual(errors, []);
  });
}

test('a heap that is deleted, and one whose thread goes, leave all of their blocks', (t) => {
  for (const end of ['delete', 'detach'] as const) {
    const { heap, errors, guests, thread, own, blocks, intact } = taken();
    if (end === 'delete') own.delete();
    else thread.detach();
    t.true(intact());
    heap.validate({ quiet: true });
    for (const block of [...guests, ...blocks]) heap.free(block);
    if (end === 'delete') thread.detach();
    for (let round = 0; round < 2; round++) heap.collect(true);
    t.is(heap.usedBytes(), 0);
    t.deepEqual(errors, []);
  }
});

test('guests that are all freed leave nothing behind', (t) => {
  const { heap, thread, own, guests, blocks } = taken();
  for (const block of [...guests, ...blocks]) heap.free(block);
  own.collect(true);
  t.is(tldOf(thread).guests, null);
  const again = own.malloc(48);
  t.true(own.contains(again));
});

test('a page with guests that becomes free is a page like any other', (t) => {
  const { heap, thread, own, guests, blocks } = taken();
  while (heap.stats().pages < 2) blocks.push(own.malloc(48));
  for (const block of [...guests, ...blocks.slice(0, -1)]) thread.free(block);
  const others = Array.from({ length: 2000 }, () => own.malloc(32)).filter((block) => block !== 0);
  t.true(others.includes(guests[0]) || others.some((block) => Math.abs(block - guests[0]) < 32));
  t.deepEqual(
    others.filter((block) => !own.contains(block)),
    [],
  );
});

test('in secure mode a heap has pages of its own', (t) => {
  const heap = small({ secure: 2, seed: 1 });
  const [guest] = leave(heap, [48]);
  const thread = MiMalloc.attach(heap.share());
  const own = thread.heapNew();
  t.not(own.malloc(48), 0);
  t.is(heap.stats().pages, 2);
  own.destroy();
  t.true(heap.usableSize(guest) >= 48);
});

test('workers make heaps, leave blocks that others free, and destroy heaps with guests: no block is lost or doubled', async (t) => {
  t.timeout(600_000);
  const heap = MiMalloc.create({ bytes: 32 << 20, grow: false, threads: 32 });
  const { errors } = watch(heap);
  const table = new Int32Array(new SharedArrayBuffer(4 * 256));
  const seed = seedOf(t);
  const answers = await Promise.all(
    [1, 2, 3].map((nth) => {
      const workerData = { handle: heap.share(), table, seed: seed + nth, rounds: 400 };
      return answerOf<string>(
        new Worker(new URL('../support/guests-worker.js', import.meta.url), { workerData }),
      );
    }),
  );
  t.deepEqual(answers, ['', '', '']);
  for (const block of table) if (block !== 0) heap.free(block >>> 0);
  for (let round = 0; round < 3; round++) heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
  t.deepEqual(errors, []);
});
