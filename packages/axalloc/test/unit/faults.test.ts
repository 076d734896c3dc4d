/**
 * Pages that run out in the middle of everything: the n-th request of the page part fails, for every n that
 * occurs.
 */

import { scaled } from '@shmalloc/alloc-test';
import { AllocError } from '@shmalloc/allocator-api';
import { AxAlloc } from '@shmalloc/axalloc';
import { BitmapPages } from '@shmalloc/bitmap';
import test, { type ExecutionContext } from 'ava';
import { FaultyPages } from '../support/faulty-pages.js';
import { ALGORITHMS, type AlgorithmName, NAMES, randomOf, seedOf } from '../support/tools.js';

const BYTES = 8 << 20;

/**
 * Does something of everything; what is refused is left out, and everything else must be as if nothing had
 * been.
 */
function life(t: ExecutionContext, pages: FaultyPages, name: AlgorithmName): void {
  const empty = pages.usedPages();
  let allocator: AxAlloc;
  try {
    allocator = AxAlloc.create({ pages, algorithms: ALGORITHMS, algorithm: name });
  } catch (error) {
    t.true(error instanceof AllocError && error.code === 'NoMemory', String(error));
    t.is(pages.usedPages(), empty, 'a create that failed kept pages');
    return;
  }
  allocator.registerError((error) => t.fail(error.message));
  const fresh = pages.usedPages();
  const { u8 } = allocator.memory;
  const blocks: { address: number; size: number; mark: number }[] = [];
  let mark = 0;
  const keep = (address: number, size: number): void => {
    if (address === 0) return;
    mark = (mark % 250) + 1;
    u8.fill(mark, address, address + size);
    blocks.push({ address, size, mark });
  };
  const intact = (): void => {
    for (const { address, size, mark: expected } of blocks) {
      let same = 0;
      while (same < size && u8[address + same] === expected) same++;
      if (same < size) t.fail(`byte ${same} of the block of ${size} at ${address} has changed`);
    }
    allocator.validate();
  };
  const swap = (to: string): void => {
    const { name: before } = allocator;
    try {
      allocator.swap(to);
    } catch (error) {
      t.true(error instanceof AllocError && error.code === 'NoMemory', String(error));
      t.is(allocator.name, before, 'a swap that failed has changed the algorithm');
    }
  };
  for (const size of [100, 5000, 40_000]) {
    keep(allocator.malloc(size), size);
    const zeroed = allocator.calloc(3, size);
    if (zeroed !== 0) t.true(u8.subarray(zeroed, zeroed + 3 * size).every((byte) => byte === 0));
    keep(zeroed, 3 * size);
    keep(allocator.alignedAlloc(8192, size), size);
  }
  intact();
  for (const block of blocks.filter((_block, index) => index % 3 === 1)) {
    const moved = allocator.realloc(block.address, block.size * 3);
    if (moved === 0) continue;
    block.address = moved;
    u8.fill(block.mark, moved + block.size, moved + block.size * 3);
    block.size *= 3;
  }
  intact();
  for (const other of NAMES) {
    swap(other);
    keep(allocator.malloc(3000), 3000);
    keep(allocator.malloc(200_000), 200_000);
    const [block] = blocks;
    if (block === undefined) continue;
    const moved = allocator.realloc(block.address, block.size + 1);
    if (moved === 0) continue;
    block.address = moved;
    u8[moved + block.size++] = block.mark;
  }
  intact();
  const before = pages.usedPages();
  try {
    using page = allocator.page(3);
    page.fill(1);
    t.is(pages.usedPages(), before + 3);
  } catch (error) {
    t.true(error instanceof AllocError && error.code === 'NoMemory', String(error));
  }
  t.is(pages.usedPages(), before);
  // The next request that fits succeeds.
  pages.failing = 0;
  const after = allocator.malloc(300_000);
  t.not(after, 0, 'with pages there again a request gave 0');
  keep(after, 300_000);
  intact();
  for (const { address } of blocks) allocator.free(address);
  t.is(allocator.liveBlocks(), 0);
  allocator.swap(name);
  t.is(allocator.stats().generations.length, 1);
  t.is(pages.usedPages(), fresh, 'pages are missing');
  allocator.validate();
}

for (const forGood of [false, true]) {
  for (const name of NAMES) {
    const which = forGood ? 'all from the n-th on' : 'the n-th alone';
    test(`${name}: requests for pages fail, ${which}, and everything stays consistent`, (t) => {
      const inner = BitmapPages.create({ bytes: BYTES });
      const start = inner.usedPages();
      let count = 0;
      const random = randomOf(seedOf(t));
      // Each of the first, and then one in two, drawn again in each run.
      for (let n = 1; ; n += scaled(n < 6 ? 1 : 1 + random(3), 1)) {
        const pages = new FaultyPages(inner);
        pages.failing = n;
        pages.forGood = forGood;
        life(t, pages, name);
        // Everything of this life goes; the next begins on used memory.
        inner.init(inner.memory.end - inner.totalPages() * 4096, inner.totalPages() * 4096);
        t.is(inner.usedPages(), start);
        if (pages.failed === 0) break;
        count = n;
      }
      t.true(count > 10, `only ${count} requests for pages occurred`);
      t.log(`${count} requests for pages`);
    });
  }
}
