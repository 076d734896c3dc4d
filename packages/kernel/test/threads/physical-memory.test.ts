import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { AllocError, SharedMemory } from '@shmalloc/allocator-api';
import { PhysicalMemory } from '@shmalloc/kernel';
import test from 'ava';
import type { PagesJob } from '../support/pages-worker.js';

const PAGE = 4096;

function codeOf(call: () => unknown): string | undefined {
  try {
    call();
  } catch (error) {
    return error instanceof AllocError ? error.code : (error as Error).name;
  }
  return undefined;
}

test('vmalloc hands out whole pages that read as zeros, anywhere or at an address; vmfree takes them back', (t) => {
  const memory = PhysicalMemory.create({ bytes: 1 << 20 });
  const before = memory.usedPages();
  const at = memory.vmalloc(0, 3 * PAGE);
  t.true(at > 0 && at % PAGE === 0);
  t.is(memory.vmalloc(at + PAGE, PAGE), 0, 'not free');
  const there = at + 20 * PAGE;
  t.is(memory.vmalloc(there, 2 * PAGE), there);
  t.true(memory.memory.u8.subarray(at, at + 3 * PAGE).every((byte) => byte === 0));
  t.is(memory.usedPages(), before + 5);
  t.like(memory.stats(), { heapPages: 0, vm: { reserved: 5, resident: 0 } });
  memory.vmfree(at + PAGE, PAGE);
  t.is(memory.vmalloc(at + PAGE, PAGE), at + PAGE, 'a part may be given back, and asked for again');
  memory.vmfree(at, 3 * PAGE);
  memory.vmfree(there, 2 * PAGE);
  t.is(memory.usedPages(), before);
  memory.validate({ quiet: true });
});

test('what was written reads as zeros when the pages are handed out again, whether or not it was touched', (t) => {
  const memory = PhysicalMemory.create({ bytes: 1 << 20 });
  for (const touched of [true, false]) {
    const at = memory.vmalloc(0, 2 * PAGE);
    if (touched) t.true(memory.touch(at, 2 * PAGE));
    memory.memory.u8.fill(7, at, at + 2 * PAGE);
    memory.vmfree(at, 2 * PAGE);
    t.is(memory.vmalloc(at, 2 * PAGE), at);
    t.true(memory.memory.u8.subarray(at, at + 2 * PAGE).every((byte) => byte === 0));
    memory.vmfree(at, 2 * PAGE);
  }
  memory.validate({ quiet: true });
});

test('memory that was somebody else’s reads as zeros as well', (t) => {
  const source = SharedMemory.create({ bytes: 1 << 20 });
  source.u8.fill(0xff);
  const memory = PhysicalMemory.create({ memory: source.source, start: 100, end: (1 << 20) - 100 });
  const at = memory.vmalloc(0, 8 * PAGE);
  t.true(at > 0 && memory.memory.u8.subarray(at, at + 8 * PAGE).every((byte) => byte === 0));
  memory.validate({ quiet: true });
});

test('pages are committed on first use, and a frame limit below the reservations is real pressure', (t) => {
  const memory = PhysicalMemory.create({ bytes: 1 << 20, frames: 4 });
  const at = memory.vmalloc(0, 8 * PAGE);
  t.is(memory.stats().vm.resident, 0);
  t.true(memory.touch(at, 4 * PAGE));
  t.like(memory.stats().vm, { reserved: 8, resident: 4, frames: 4 });
  memory.memory.u8.fill(7, at, at + 4 * PAGE);
  t.false(memory.touch(at + 4 * PAGE, 1), 'all frames are in use');
  t.is(memory.madvise(at, PAGE, 'DONTNEED'), 1);
  t.is(memory.memory.u8[at], 0);
  t.is(memory.madvise(at + PAGE, 2 * PAGE, 'FREE'), 2);
  t.true(memory.touch(at + 2 * PAGE, 1), 'written again first: it stays');
  t.true(memory.touch(at + 4 * PAGE, 2 * PAGE));
  t.deepEqual(
    [1, 2, 3].map((page) => memory.memory.u8[at + page * PAGE]),
    [0, 7, 7],
  );
  t.like(memory.stats().vm, { resident: 4, evicted: 1, dropped: 1 });
  memory.validate({ quiet: true });
  memory.vmfree(at, 8 * PAGE);
  t.is(memory.stats().vm.resident, 0);
});

test('when there are no pages vmalloc answers 0, and nothing has changed', (t) => {
  const memory = PhysicalMemory.create({ bytes: 1 << 18 });
  const free = memory.stats().availablePages;
  t.is(memory.vmalloc(0, (free + 1) * PAGE), 0);
  t.is(memory.vmalloc(0, 2 ** 32), 0);
  const all = memory.vmalloc(0, free * PAGE);
  t.true(all > 0);
  t.is(memory.vmalloc(0, PAGE), 0);
  t.is(memory.vmalloc(all, PAGE), 0);
  memory.validate({ quiet: true });
  memory.vmfree(all, free * PAGE);
  t.is(memory.stats().availablePages, free);
});

test('lengths that are no multiple of a page, and pages that are not vmalloc’s, are errors', (t) => {
  const memory = PhysicalMemory.create({ bytes: 1 << 20 });
  const at = memory.vmalloc(0, 2 * PAGE);
  for (const length of [0, 1, 4095, 4097]) {
    t.is(
      codeOf(() => memory.vmalloc(0, length)),
      'InvalidParam',
    );
    t.is(
      codeOf(() => memory.vmfree(at, length)),
      'InvalidParam',
    );
  }
  t.is(
    codeOf(() => memory.vmalloc(8, PAGE)),
    'InvalidParam',
  );
  t.is(
    codeOf(() => memory.vmalloc(0, -PAGE)),
    'RangeError',
  );
  t.is(
    codeOf(() => memory.vmalloc(0, '4096' as unknown as number)),
    'TypeError',
  );
  t.is(
    codeOf(() => memory.vmfree(at, 3 * PAGE)),
    'NotAllocated',
  );
  t.is(
    codeOf(() => memory.vmfree(0, PAGE)),
    'NotAllocated',
    'the page of NULL',
  );
  t.is(
    codeOf(() => memory.vmfree(2 ** 32, PAGE)),
    'NotAllocated',
  );
  const foreign = memory.pages.allocPages(1, PAGE);
  t.is(
    codeOf(() => memory.vmfree(foreign, PAGE)),
    'NotAllocated',
    'handed out, but not by vmalloc',
  );
  memory.pages.deallocPages(foreign, 1);
  memory.vmfree(at, 2 * PAGE);
  t.is(
    codeOf(() => memory.vmfree(at, 2 * PAGE)),
    'NotAllocated',
  );
  t.is(
    codeOf(() => memory.touch(at, 1)),
    'NotAllocated',
  );
  memory.validate({ quiet: true });
});

test('whatever is no such memory is refused, and so is a region without room', (t) => {
  const memory = PhysicalMemory.create({ bytes: 1 << 20 });
  t.is(PhysicalMemory.attach(memory.share()).stats().totalPages, memory.stats().totalPages);
  t.is(
    codeOf(() => PhysicalMemory.attach({ ...memory.share(), start: 4096 })),
    'InvalidParam',
  );
  t.is(
    codeOf(() => PhysicalMemory.attach({ ...memory.share(), algorithm: 'tlsf' })),
    'InvalidParam',
  );
  t.is(
    codeOf(() => PhysicalMemory.create({ memory: new SharedArrayBuffer(8192) })),
    'InvalidParam',
  );
  t.is(
    codeOf(() => PhysicalMemory.create({ bytes: 1 << 20, frames: -1 })),
    'RangeError',
  );
  memory.detach();
  t.throws(() => memory.vmalloc(0, PAGE));
});

test('the account of pages and the page allocator are compared: pages that only one of them knows are found', (t) => {
  const memory = PhysicalMemory.create({ bytes: 1 << 20 });
  const at = memory.pages.allocPages(2, PAGE);
  t.throws(() => memory.validate({ quiet: true }), {
    message: /2 pages are handed out: 0 to heaps, and 0 are reserved/,
  });
  memory.pages.deallocPages(at, 2);
  memory.validate({ quiet: true });
});

test('two threads free the same pages at the same moment: each page goes back once', async (t) => {
  const memory = PhysicalMemory.create({ bytes: 8 << 20 });
  const before = memory.usedPages();
  for (let race = 0; race < 3; race++) {
    const slots = new Int32Array(new SharedArrayBuffer(4 * 300));
    for (let slot = 1; slot < slots.length; slot++)
      slots[slot] = (memory.vmalloc(0, 5 * PAGE) / PAGE) * 8 + 5;
    const counts = await Promise.all(
      [0, 1].map(async () => {
        const workerData: PagesJob = { handle: memory.share(), slots, seed: 2, rounds: 0 };
        const worker = new Worker(new URL('../support/pages-worker.js', import.meta.url), { workerData });
        return ((await once(worker, 'message')) as [{ refused: number; freed: number }])[0];
      }),
    );
    // Where both came upon a run at once, each may have returned a part of it.
    t.true(counts[0].freed + counts[1].freed <= 299);
    t.true(counts[0].refused + counts[1].refused >= 299);
    t.is(memory.usedPages(), before);
    memory.validate({ quiet: true });
  }
});

test('four threads reserve, write, and free each other’s pages: every page comes back', async (t) => {
  const memory = PhysicalMemory.create({ bytes: 4 << 20 });
  const before = memory.usedPages();
  const slots = new Int32Array(new SharedArrayBuffer(4 * 64));
  const counts = await Promise.all(
    [1, 2, 3, 4].map(async (seed) => {
      const workerData: PagesJob = { handle: memory.share(), slots, seed, rounds: 3000 };
      const worker = new Worker(new URL('../support/pages-worker.js', import.meta.url), { workerData });
      return ((await once(worker, 'message')) as [{ dirty: number; refused: number; freed: number }])[0];
    }),
  );
  t.true(counts.every(({ dirty }) => dirty === 0));
  t.true(counts.every(({ freed }) => freed > 100));
  for (const page of slots) if (page !== 0) memory.vmfree((page >>> 3) * PAGE, (page & 7) * PAGE);
  t.is(memory.usedPages(), before);
  memory.validate({ quiet: true });
});
