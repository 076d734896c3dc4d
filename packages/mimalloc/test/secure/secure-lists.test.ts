import { AllocError } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { pageOf } from '../../dist/layout/lookup.js';
import { Page } from '../../dist/layout/page.js';
import { tldOf } from '../support/inside.ts';
import { areIntact, blocksOf, secureHeap, watch } from '../support/secure-heap.js';

/** Pages of the 4 MiB heap hold a few dozen blocks of this size. */
const SIZE = 200;

/** The free block that `malloc` would hand out next in the page of this block. */
function nextFree(heap: MiMalloc, block: number): number {
  return tldOf(heap).i32[pageOf(tldOf(heap), block >>> 2) + Page.free] * 4;
}

test('new blocks come in random order, the same for the same seed', (t) => {
  const order = (secure: number, seed: number): number[] => {
    const { heap } = secureHeap(secure, { seed });
    // 4 KiB of them are linked at a time.
    const blocks = blocksOf(heap, 19, SIZE);
    return blocks.map((block) => block - Math.min(...blocks));
  };
  const ascending = order(1, 7);
  t.deepEqual(
    ascending,
    [...ascending].sort((a, b) => a - b),
  );
  t.notDeepEqual(order(2, 7), ascending);
  t.deepEqual(
    [...order(2, 7)].sort((a, b) => a - b),
    ascending,
  );
  t.deepEqual(order(2, 7), order(2, 7));
  t.notDeepEqual(order(2, 8), order(2, 7));
});

test('the link of a free block is no address, and another one in another page', (t) => {
  const { heap } = secureHeap(2);
  const { i32 } = tldOf(heap);
  const links = [SIZE, 3000].map((size) => {
    const [first, second] = blocksOf(heap, 2, size);
    heap.free(first);
    heap.free(second);
    const page = pageOf(tldOf(heap), second >>> 2);
    t.is(tldOf(heap).guard?.linkOf(tldOf(heap), page, second >>> 2), first >>> 2);
    t.is(tldOf(heap).guard?.linkOf(tldOf(heap), page, first >>> 2), 0);
    t.not(i32[second >>> 2], first >>> 2);
    return i32[first >>> 2];
  });
  t.not(links[0], 0);
  t.not(links[0], links[1]);
});

test('an overwritten link is reported once, the list ends there, and nothing else is the worse for it', (t) => {
  for (const secure of [2, 3, 4]) {
    for (const value of [0, 1, -1, 0x41414141, 'block', 'inside', 'elsewhere'] as const) {
      const { heap, told } = secureHeap(secure);
      const [elsewhere] = blocksOf(heap, 1, 3000);
      const blocks = blocksOf(heap, 10, SIZE);
      const used = heap.usedBytes();
      const victim = nextFree(heap, blocks[0]);
      if (typeof value === 'number') tldOf(heap).i32[victim >>> 2] = value;
      else if (value === 'block') tldOf(heap).i32[victim >>> 2] = blocks[3] >>> 2;
      else {
        // As if the keys were known.
        const target = value === 'inside' ? (blocks[3] >>> 2) + 2 : elsewhere >>> 2;
        tldOf(heap).guard?.setNext(tldOf(heap), pageOf(tldOf(heap), victim >>> 2), victim >>> 2, target);
      }
      t.throws(() => heap.validate({ quiet: true }), {
        instanceOf: AllocError,
        message: new RegExp(`block at ${victim} `),
      });
      t.is(heap.malloc(SIZE), victim);
      const messages = told();
      t.is(messages.length, 1, messages.join('\n'));
      t.regex(messages[0], new RegExp(`link in the free block at ${victim} was overwritten`));
      heap.validate({ quiet: true });
      heap.free(victim);
      const more = blocksOf(heap, 100, SIZE);
      t.is(new Set([...blocks, ...more]).size, 110);
      t.true(areIntact(heap, blocks, SIZE));
      heap.validate({ quiet: true });
      for (const block of more) heap.free(block);
      heap.collect(true);
      t.is(heap.usedBytes(), used);
      for (const block of [...blocks, elsewhere]) heap.free(block);
      heap.collect(true);
      t.is(heap.usedBytes(), 0);
      heap.validate({ quiet: true });
      t.deepEqual(told(), []);
    }
  }
});

test('a level below, an overwritten link goes unnoticed', (t) => {
  const { heap, told } = secureHeap(1);
  const blocks = blocksOf(heap, 10, SIZE);
  tldOf(heap).i32[nextFree(heap, blocks[0]) >>> 2] = 0;
  blocksOf(heap, 100, SIZE);
  heap.collect();
  t.deepEqual(told(), []);
});

test('collect finds an overwritten link that nobody has come to yet, in either list of the owner', (t) => {
  const { heap, told } = secureHeap(2);
  const blocks = blocksOf(heap, 10, SIZE);
  const victim = nextFree(heap, blocks[0]);
  heap.free(blocks[1]);
  heap.free(blocks[2]);
  for (const broken of [victim, blocks[2]]) tldOf(heap).i32[broken >>> 2] ^= 0x100;
  t.throws(() => heap.validate({ quiet: true }), { instanceOf: AllocError });
  heap.collect();
  const messages = told();
  t.is(messages.length, 2);
  t.true([victim, blocks[2]].every((block) => messages.join().includes(`block at ${block} `)));
  heap.validate({ quiet: true });
  heap.collect(true);
  t.deepEqual(told(), []);
  heap.validate({ quiet: true });
  t.true(areIntact(heap, blocks, SIZE, [blocks[1], blocks[2]]));
});

test('a forced collection joins a list to another up to where it is broken', (t) => {
  const { heap, told } = secureHeap(2);
  const blocks = blocksOf(heap, 10, SIZE);
  for (const block of blocks.slice(0, 4)) heap.free(block);
  tldOf(heap).i32[blocks[2] >>> 2] ^= 0x40000000;
  heap.collect(true);
  t.is(told().length, 1);
  heap.validate({ quiet: true });
  const page = pageOf(tldOf(heap), blocks[9] >>> 2);
  t.is(tldOf(heap).i32[page + Page.lost], 2);
  const more = blocksOf(heap, 60, SIZE);
  t.is(new Set([...blocks.slice(4), ...more]).size, 66);
  t.false(more.includes(blocks[0]) || more.includes(blocks[1]));
  heap.validate({ quiet: true });
});

test('a broken link among blocks that another thread has freed is found by their owner', (t) => {
  const { heap, told } = secureHeap(2);
  const other = watch(MiMalloc.attach(heap.share()));
  const blocks = blocksOf(heap, 10, SIZE);
  for (const block of blocks.slice(0, 4)) other.heap.free(block);
  tldOf(heap).i32[blocks[2] >>> 2] ^= 0x40000000;
  const more = blocksOf(heap, 100, SIZE);
  t.is(told().length, 1);
  t.deepEqual(other.told(), []);
  t.is(new Set([...blocks.slice(4), ...more]).size, 106);
  heap.validate({ quiet: true });
  t.true(areIntact(heap, blocks, SIZE, blocks.slice(0, 4)));
});

test('a broken link among the delayed frees of full pages is found', (t) => {
  const { heap, told } = secureHeap(2);
  const other = MiMalloc.attach(heap.share());
  // The first generic allocation after the other has come announces the full pages.
  const blocks = blocksOf(heap, 2000, SIZE);
  const pages = new Map(blocks.map((block) => [pageOf(tldOf(heap), block >>> 2), block]));
  const [, first, second, third] = [...pages.values()];
  for (const block of [first, second, third]) other.free(block);
  t.is(tldOf(heap).i32[tldOf(heap).heap + 1] * 4, third, 'the three are on the list of delayed frees');
  tldOf(heap).i32[second >>> 2] ^= 0x40000000;
  const more = blocksOf(heap, 200, SIZE);
  t.is(told().length, 1);
  t.true(more.includes(third) && more.includes(second) && !more.includes(first));
  heap.validate({ quiet: true });
  t.true(areIntact(heap, blocks, SIZE, [first, second, third]));
});

test('a list in a circle ends every walk', (t) => {
  // At level 2 a block can still be freed twice, with another free in between.
  const { heap, told } = secureHeap(2);
  const blocks = blocksOf(heap, 10, SIZE);
  for (const block of [blocks[0], blocks[1], blocks[0]]) heap.free(block);
  heap.collect(true);
  t.regex(told().join(), /freed twice/);
  blocksOf(heap, 50, SIZE);
});
