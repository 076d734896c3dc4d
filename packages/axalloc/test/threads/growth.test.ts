/** How a heap grows out of the page part, and what it does at the end of memory. */

import { Worker } from 'node:worker_threads';
import { AllocError } from '@shmalloc/allocator-api';
import { BitmapPages } from '@shmalloc/bitmap';
import test from 'ava';
import { answerOf } from '../../../alloc-test/dist-test/support/threads.js';
import { growthPages, policyOf } from '../../dist/policy.js';
import { FaultyPages } from '../support/faulty-pages.js';
import { allocatorOver, NAMES } from '../support/tools.js';
import type { DryAnswer, DryTask } from '../support/workers/dry.js';

const KIB = 1024;

test('growth is max(percent of the total, the request) within the bounds, in powers of two of pages', (t) => {
  const usual = policyOf();
  t.deepEqual(usual, { initialBytes: 32 * KIB, percent: 100, leastBytes: 0, mostBytes: 2 ** 32 });
  t.is(growthPages(usual, 32 * KIB, 100, 4096), 8);
  t.is(growthPages(usual, 33 * KIB, 100, 4096), 16);
  t.is(growthPages(usual, 32 * KIB, 100 * KIB, 4096), 32);
  t.is(growthPages(policyOf({ percent: 0 }), 2 ** 20, 100, 4096), 1);
  t.is(growthPages(policyOf({ percent: 50 }), 64 * KIB, 100, 4096), 8);
  t.is(growthPages(policyOf({ leastBytes: 64 * KIB }), 4096, 100, 4096), 16);
  t.is(growthPages(policyOf({ mostBytes: 64 * KIB }), 2 ** 20, 100, 4096), 16);
  t.is(
    growthPages(policyOf({ mostBytes: 64 * KIB }), 2 ** 20, 2 ** 20, 4096),
    256,
    'a request is met whatever the bound',
  );
});

test('a heap starts with 32 KiB, or with the next power of two that its algorithm can live with', (t) => {
  for (const name of NAMES) {
    const { allocator } = allocatorOver(2 << 20, { algorithm: name });
    const { pages } = allocator.stats().generations[0];
    t.is(pages, ({ mimalloc: 32, slab: 16 } as Record<string, number>)[name] ?? 8, name);
    t.is(allocator.usedPages(), pages + allocator.stats().statePages);
  }
});

test('a heap that runs dry doubles', (t) => {
  const { allocator } = allocatorOver(2 << 20);
  const pages = [8];
  for (let last = 8; last < 128; ) {
    t.not(allocator.malloc(500), 0);
    const now = allocator.stats().generations[0].pages;
    if (now !== last) pages.push(now);
    last = now;
  }
  t.deepEqual(pages, [8, 16, 32, 64, 128]);
  t.is(allocator.stats().growths, 4);
});

test('a request above the total gets what it needs, rounded up to a power of two of pages', (t) => {
  const { allocator } = allocatorOver(2 << 20);
  const block = allocator.malloc(500_000);
  t.not(block, 0);
  t.is(allocator.stats().generations[0].pages, 8 + 128);
  allocator.free(block);
});

test('when the doubling cannot be had, the heap gets just what the request needs', (t) => {
  const { allocator, pages } = allocatorOver(1 << 20, { policy: { initialBytes: 512 * KIB } });
  // 512 KiB are not there any more, and 128 are wanted.
  const block = allocator.malloc(100 * KIB);
  t.not(block, 0);
  allocator.malloc(450 * KIB);
  t.not(allocator.malloc(120 * KIB), 0);
  t.true(pages.availablePages() > 0);
  allocator.validate();
});

test('memory ends with 0 and not before, and the next request that fits succeeds', (t) => {
  for (const name of NAMES) {
    const { allocator, pages } = allocatorOver(1 << 20, { algorithm: name });
    const counts: number[] = [];
    for (let round = 0; round < 3; round++) {
      const blocks: number[] = [];
      for (let block = allocator.malloc(1000); block !== 0; block = allocator.malloc(1000))
        blocks.push(block);
      counts.push(blocks.length);
      // Less than a growth of one page is left.
      t.true(
        pages.availablePages() <= 1 || name === 'mimalloc',
        `${name}: ${pages.availablePages()} pages are left`,
      );
      t.true(blocks.length * 1000 > 0.6 * pages.totalPages() * 4096, `${name}: only ${blocks.length} blocks`);
      t.is(allocator.calloc(10, 1000), 0);
      t.is(allocator.alignedAlloc(64, 2000), 0);
      t.is(allocator.realloc(blocks[0], 50_000), 0);
      t.is(t.throws(() => allocator.alloc(1000, 16), { instanceOf: AllocError })?.code, 'NoMemory');
      allocator.validate();
      const last = blocks.pop() as number;
      allocator.free(last);
      blocks.push(allocator.malloc(1000));
      t.not(blocks.at(-1), 0, name);
      for (const block of blocks) allocator.free(block);
      t.is(allocator.liveBlocks(), 0);
      allocator.collect(true);
      t.is(allocator.usedBytes(), 0);
    }
    t.true(counts[1] >= counts[0] * 0.99, `${name}: ${counts}`);
    t.is(counts[1], counts[2], `${name}: filled again a heap of the same memory holds as much`);
    t.true(allocator.stats().failures > 0);
  }
});

test('requests above everything are answered at once, without asking for pages', (t) => {
  const pages = new FaultyPages(BitmapPages.create({ bytes: 1 << 20 }));
  const { allocator } = allocatorOver(0, { pages });
  const asked = pages.requests;
  for (const size of [2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, Number.MAX_VALUE]) {
    t.is(allocator.malloc(size), 0);
    t.is(allocator.calloc(1, size), 0);
    t.is(allocator.calloc(size, 2), 0);
    t.is(allocator.alignedAlloc(4096, size), 0);
  }
  t.is(pages.requests, asked);
});

test('memory that comes to the page part is grown into, up to the limit', (t) => {
  const pages = BitmapPages.create({ bytes: 1 << 20, maxBytes: 4 << 20, backing: 'sab' });
  const { allocator } = allocatorOver(0, { pages, limit: 3 << 20 });
  t.is(allocator.malloc(1 << 20), 0);
  pages.addMemory(pages.memory.grow(1 << 20), 1 << 20);
  const first = allocator.malloc(900_000);
  t.true(first >= 1 << 20);
  allocator.memory.u8.fill(1, first, first + 900_000);
  pages.addMemory(pages.memory.grow(2 << 20), 2 << 20);
  const used = pages.usedPages();
  t.is(allocator.malloc(1_500_000), 0, 'a run behind the limit is of no use to a heap');
  t.is(pages.usedPages(), used);
  const bigger = allocator.realloc(first, 1_000_000);
  t.not(bigger, 0);
  t.is(allocator.memory.u8[bigger + 899_999], 1);
  const zeroed = allocator.calloc(1, 100_000);
  t.true(allocator.memory.u8.subarray(zeroed, zeroed + 100_000).every((byte) => byte === 0));
  allocator.deallocPages(allocator.allocPagesAt(3.5 * (1 << 20), 8, 4096), 8);
  allocator.validate();
});

test('growth that an algorithm can make nothing of goes back', (t) => {
  let refusals = 3;
  const { allocator, pages } = allocatorOver(4 << 20, {
    algorithm: 'picky',
    algorithms: [
      {
        algorithm: 'picky',
        create: () => picky(),
        attach: () => picky(),
      },
    ],
  });
  function picky(): never {
    const { allocator: inner } = allocatorOver(4 << 20);
    return Object.assign(Object.create(inner), {
      addMemory() {
        if (refusals-- > 0) throw new AllocError('RegionTooSmall', 'this is of no use');
      },
      malloc: () => (refusals < 0 ? 4096 : 0),
      share: () => ({ algorithm: 'picky', memory: inner.memory.source, start: 4096 }),
      registerError: () => {},
    }) as never;
  }
  const used = pages.usedPages();
  t.is(allocator.malloc(10), 4096);
  t.is(pages.usedPages(), used + 8, 'pages that were refused are kept');
  refusals = Number.POSITIVE_INFINITY;
});

test('four CPUs that run dry at once do not all double', async (t) => {
  t.timeout(15 * 60_000);
  for (const name of NAMES) {
    const { allocator } = allocatorOver(64 << 20, { algorithm: name });
    const gate = new SharedArrayBuffer(8);
    const answers = await Promise.all(
      Array.from({ length: 4 }, (_, nth) => {
        const task: DryTask = { handle: allocator.share(), gate, parties: 4, rounds: 15, size: 30_000 + nth };
        const worker = new Worker(new URL('../support/workers/dry.js', import.meta.url), {
          workerData: task,
        });
        return answerOf<DryAnswer>(worker);
      }),
    );
    t.is(
      answers.reduce((sum, { refused }) => sum + refused, 0),
      0,
    );
    // 60 blocks of 30 KB: as if one CPU alone had asked for all. Had two doubled at one of the times, it
    // would be twice that.
    const { allocator: alone } = allocatorOver(64 << 20, { algorithm: name });
    for (let nth = 0; nth < 60; nth++) t.not(alone.malloc(30_000 + (nth % 4)), 0);
    const [pages, usual] = [allocator, alone].map((one) => one.stats().generations[0].pages);
    // Threads of mimalloc and slab have pages of their own: each may leave some of its last ones fallow.
    t.true(
      pages <= (name === 'mimalloc' || name === 'slab' ? 2 : 1) * usual,
      `${name}: ${pages} pages, one CPU alone gets by with ${usual}`,
    );
    t.is(allocator.liveBlocks(), 60);
    for (const { blocks } of answers) for (const block of blocks) allocator.free(block);
    t.is(allocator.liveBlocks(), 0);
    allocator.validate();
  }
});

test('a policy is refused by name', (t) => {
  const refused = (
    policy: object,
    kind: typeof RangeError | typeof TypeError | typeof AllocError,
    shown: string,
  ) => {
    const error: Error | undefined = t.throws(() => policyOf(policy));
    t.true(error instanceof kind);
    t.true(error?.message.includes(shown), error?.message);
  };
  refused({ initialBytes: -1 }, RangeError, '-1');
  refused({ percent: 'many' }, TypeError, 'many');
  refused({ mostBytes: 2 ** 33 }, AllocError, String(2 ** 33));
  refused({ leastBytes: 8192, mostBytes: 4096 }, AllocError, '8192');
  refused({ speed: 1 }, AllocError, 'speed');
});
