/**
 * What looks at the whole region, while other threads are at work: it raises no false alarm, and its numbers
 * are such as can be.
 */
import { Worker } from 'node:worker_threads';
import { scaled } from '@shmalloc/alloc-test';
import { MiMalloc } from '@shmalloc/mimalloc';
import test, { type ExecutionContext } from 'ava';
import { IN_FULL, Page } from '../../dist/layout/page.js';
import { segmentAt } from '../../dist/layout/page-map.js';
import { Segment } from '../../dist/segment/segment.js';
import { fill, pageAt, seedOf, small, type Watched, watch } from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';
import { stopAt } from '../support/stops.ts';

const SLOTS = 64;
const LOOKS = scaled(200, 2000);

/** Runs something on a heap on which so many workers are at work until it has returned. */
async function underLoad(
  t: ExecutionContext,
  heap: MiMalloc,
  workers: number,
  run: () => void,
): Promise<void> {
  const control = new Int32Array(new SharedArrayBuffer(4 * (2 + SLOTS)));
  const seed = seedOf(t);
  const running = Array.from(
    { length: workers },
    (_, index) =>
      new Worker(new URL('../support/load-worker.js', import.meta.url), {
        workerData: { handle: heap.share(), control, seed: seed + index },
      }),
  );
  const ends = running.map(
    (worker) =>
      new Promise<void>((resolve, reject) => {
        worker.on('error', reject);
        worker.on('exit', () => resolve());
      }),
  );
  for (let up = 0; up < workers; up = Atomics.load(control, 1)) Atomics.wait(control, 1, up, 1000);
  try {
    run();
  } finally {
    Atomics.store(control, 0, 1);
    await Promise.all(ends);
  }
  for (const block of control.subarray(2)) if (block !== 0) heap.free(block >>> 0);
  for (let round = 0; round < 2; round++) heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
}

/** Demands of every look what can be. */
function look(t: ExecutionContext, heap: MiMalloc): void {
  const stats = heap.stats();
  const { totalBytes, usedBytes, availableBytes } = stats;
  t.true(usedBytes >= 0 && usedBytes <= totalBytes, `${usedBytes} of ${totalBytes} bytes in use`);
  t.is(availableBytes, totalBytes - usedBytes);
  for (const [name, value] of Object.entries(stats))
    if (typeof value === 'number') t.true(Number.isInteger(value) && value >= 0, `${name}: ${value}`);
  for (const value of [heap.usedBytes(), heap.availableBytes()])
    t.true(value >= 0 && value <= heap.totalBytes());
  for (const { slices, freeSlices, pages } of heap.inspect().segments) {
    t.true(freeSlices >= 0 && freeSlices <= 64 && slices <= 64);
    for (const { capacity, free, localFree, threadFree } of pages)
      for (const length of [free, localFree, threadFree]) t.true(length >= 0 && length <= capacity);
  }
}

for (const [secure, grow] of [
  [0, false],
  [0, true],
  [3, false],
] as const) {
  test.serial(
    `secure ${secure}, grow ${grow}: ${LOOKS} calls of validate while two workers are at work find nothing`,
    async (t) => {
      const { heap, errors } = watch(
        MiMalloc.create({ bytes: grow ? 1 << 20 : 4 << 20, maxBytes: 64 << 20, grow, secure }),
      );
      await underLoad(t, heap, 2, () => {
        for (let times = 0; times < LOOKS; times++) {
          t.notThrows(() => heap.validate());
          if (times % 40 === 0) look(t, heap);
          if (times % 40 === 20) heap.visitBlocks(() => true);
        }
      });
      t.deepEqual(errors, []);
    },
  );
}

/** Operations that are stopped at each atomic access while another thread looks. */
const OPERATIONS: Record<string, (a: MiMalloc, b: MiMalloc, blocks: number[]) => void> = {
  'a detach': (a) => a.detach(),
  'a forced collection': (a) => a.collect(true),
  'frees of another thread’s blocks': (a, _b, blocks) => {
    for (const block of blocks) a.free(block);
  },
  'allocations, small to huge': (a) => {
    for (const size of [100, 5000, 30_000, 100_000, 8]) a.malloc(size);
  },
  'a new heap, and its end': (a) => a.heapNew().destroy(),
  'a heap that is deleted with blocks in use': (a) => {
    const part = a.heapNew();
    fill(part as unknown as MiMalloc, 500, 40);
    part.delete();
  },
  'memory that is added': (a) => a.addMemory(2 << 20, 1 << 20),
  'a reap': (a, b) => a.reap(b.threadId),
  'an adoption': (a, b) => {
    b.detach();
    fill(a, 1000, 400);
  },
};

for (const secure of [0, 2]) {
  for (const [name, run] of Object.entries(OPERATIONS)) {
    test(`secure ${secure}: ${name}, stopped at each atomic access: another thread's validate finds nothing`, (t) => {
      for (let at = 1; ; at++) {
        const memory = new SharedArrayBuffer(4 << 20);
        const c = small({ memory, end: 2 << 20, secure, seed: 1 });
        const [a, b] = [MiMalloc.attach(c.share()), MiMalloc.attach(c.share())];
        fill(c, 300, 30);
        fill(a, 100, 200);
        fill(a, 3000, 20);
        const blocks = [...fill(b, 100, 400), ...fill(b, 40_000, 2)];
        for (const block of fill(a, 48, 300)) b.free(block);
        const made = stopAt(
          at,
          () => {
            c.validate();
            look(t, c);
          },
          () => run(a, b, blocks.slice(0, 60)),
        );
        if (made < at) {
          t.log(`${made} places`);
          break;
        }
      }
    });
  }
}

test('pages in memory that comes after validate has looked for it are no damage', (t) => {
  // The second half of the second chunk comes later, and is described by a table that is there.
  const heap = MiMalloc.create({ bytes: 3 << 19, maxBytes: 8 << 20 });
  const other = MiMalloc.attach(heap.share());
  const { refresh } = tldOf(heap);
  const before = heap.memory.byteLength;
  for (const call of ['validate', 'stats', 'inspect', 'usedBytes'] as const) {
    tldOf(heap).refresh = () => {
      tldOf(heap).refresh = refresh;
      tldOf(heap).refresh();
      const length = other.memory.byteLength;
      while (other.memory.byteLength === length) other.malloc(1000);
      // Lists of free blocks in what has just come.
      for (const block of fill(other, 1000, 7)) other.free(block);
    };
    t.notThrows(() => heap[call](), call);
    t.true(heap.memory.byteLength >= before);
  }
  heap.validate();
});

/**
 * Damage in what another thread has, while that thread is outside of a call: found without `quiet` what no
 * step of that thread can leave behind.
 */
function foreign(
  secure = 0,
): Watched & { readonly page: number; readonly block: number; readonly other: MiMalloc } {
  const watched = watch(small({ secure, seed: 1 }));
  const other = MiMalloc.attach(watched.heap.share());
  const blocks = fill(other, 112, 20);
  for (const block of blocks.slice(0, 5)) other.free(block);
  return { ...watched, other, block: blocks[10], page: pageAt(watched.heap, blocks[10]) };
}

const LASTING: [
  name: string,
  sentence: RegExp,
  plant: (i32: Int32Array, page: number, segment: number) => void,
][] = [
  ['a bin', /has bin 0/, (i32, page) => (i32[page + Page.shape] &= ~0x7f)],
  ['a block size', /another size than its bin/, (i32, page) => (i32[page + Page.blockWords] += 4)],
  ['room', /room for another number/, (i32, page) => i32[page + Page.reserved]++],
  ['a capacity', /capacity \d+ > reserved/, (i32, page) => (i32[page + Page.capacity] = 2 ** 30)],
  ['a count', /used -1 of/, (i32, page) => (i32[page + Page.used] = -1)],
  [
    'a list that leaves the page',
    /local_free .* is no block of it/,
    (i32, page) => (i32[page + Page.localFree] = 8),
  ],
  [
    'a list in a circle',
    /local_free .* does not end/,
    (i32, page) => (i32[i32[page + Page.localFree]] = i32[page + Page.localFree]),
  ],
  ['an owner', /has another owner/, (i32, page) => (i32[page + Page.xthreadId] = (2 ** 20) | IN_FULL)],
  [
    'free slices',
    /free slices that it does not have/,
    (i32, _, segment) => (i32[segment + Segment.freeHigh] = -1),
  ],
  ['a number of pages', /counts 0 pages and has/, (i32, _, segment) => (i32[segment + Segment.used] = 0)],
];

for (const [name, sentence, plant] of LASTING) {
  test(`another thread's ${name} that cannot be right is found, also while others work`, (t) => {
    const { heap, page, block } = foreign();
    heap.validate();
    heap.validate({ quiet: true });
    plant(tldOf(heap).i32, page, segmentAt(tldOf(heap), block >>> 2));
    t.throws(() => heap.validate(), { code: 'Corrupted', message: sentence });
    t.throws(() => heap.validate({ quiet: true }), { code: 'Corrupted' });
  });
}

test('what may be a step of another thread is found with quiet alone: its counts, its queues, its lists', (t) => {
  for (const [sentence, plant] of [
    [/≠ capacity/, (i32: Int32Array, page: number) => i32[page + Page.used]++],
    [/belongs to another heap/, (i32: Int32Array, page: number) => i32[page + Page.xheap]--],
    [/wrong flag in_full/, (i32: Int32Array, page: number) => (i32[page + Page.xthreadId] |= IN_FULL)],
    [/has another owner/, (i32: Int32Array, page: number) => (i32[page + Page.xthreadId] = 0)],
  ] as const) {
    const { heap, page } = foreign();
    plant(tldOf(heap).i32, page);
    t.notThrows(() => heap.validate());
    t.throws(() => heap.validate({ quiet: true }), { code: 'Corrupted', message: sentence });
  }
});
