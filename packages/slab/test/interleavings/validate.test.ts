/**
 * `validate`, `stats` and figures while others work: no false alarm; and with `quiet`, what only a heap at
 * rest can show.
 */
import { Worker } from 'node:worker_threads';
import { scaled } from '@shmalloc/alloc-test';
import { Slab } from '@shmalloc/slab';
import test from 'ava';
import { Cpu } from '../../dist/cpu.js';
import { Field } from '../../dist/header.js';
import { Page } from '../../dist/page.js';
import { fill, fullPage, pageOf, pair, seedOf, watch } from '../support/harness.ts';
import { everyStop, stopAt } from '../support/stops.ts';

const LOOKS = scaled(100, 1500);

for (const debug of [false, true]) {
  test.serial(
    `workers allocate, move and free: ${LOOKS} looks raise no alarm${debug ? ' (debug)' : ''}`,
    async (t) => {
      t.timeout(600_000);
      const seed = seedOf(t);
      const heap = Slab.create({ bytes: 4 << 20, debug });
      const errors = watch(heap);
      const table = new Int32Array(new SharedArrayBuffer(4 * 1000));
      const stop = new Int32Array(new SharedArrayBuffer(12));
      const failures: string[] = [];
      const ends = [0, 1].map((number) => {
        const workerData = { handle: heap.shareSlot(), table, stop, seed: seed + number };
        const worker = new Worker(new URL('../support/validate-worker.js', import.meta.url), { workerData });
        worker.on('error', (error) => failures.push(`${error.stack}`));
        return new Promise((resolve) => worker.on('exit', resolve));
      });
      const alive = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));
      while (Atomics.load(stop, 1) < 2 && failures.length === 0) await alive();
      const own: number[] = [];
      for (let look = 0; look < LOOKS && failures.length === 0; look++) {
        heap.validate();
        const { usedBytes, totalBytes } = heap.stats();
        if (!(usedBytes >= 0 && usedBytes <= totalBytes))
          failures.push(`${usedBytes} of ${totalBytes} bytes are used`);
        if (own.length < 100) own.push(heap.malloc(1 + ((look * 37) % 3000)));
        else for (const block of own.splice(0)) heap.free(block);
        if (look % 50 === 0) await alive();
      }
      Atomics.store(stop, 0, 1);
      await Promise.all(ends);
      t.deepEqual(failures, []);
      t.deepEqual(errors, []);
      t.log(`${Atomics.load(stop, 2)} × 100 operations meanwhile`);
      for (const block of [...own, ...table]) heap.free(block >>> 0);
      heap.collect(true);
      heap.collect(true);
      heap.validate({ quiet: true });
      t.is(heap.usedBytes(), 0);
    },
  );
}

const OPERATIONS: readonly [
  name: string,
  run: (heap: Slab, blocks: readonly number[], theirs: readonly number[]) => void,
][] = [
  ['malloc of the next page', (heap) => fill(heap, 1000, 20)],
  ['malloc of a large block', (heap) => heap.malloc(30_000)],
  [
    'free of its own, to the last of a page',
    (heap, blocks) => blocks.forEach((block) => void heap.free(block)),
  ],
  ['free of another’s', (heap, _blocks, theirs) => theirs.forEach((block) => void heap.free(block))],
  [
    'realloc of a large one, both ways',
    (heap, blocks) => heap.realloc(heap.realloc(blocks[0], 9000), 50_000),
  ],
  ['collect', (heap) => heap.collect(true)],
  ['detach', (heap) => heap.detach()],
];

for (const debug of [false, true]) {
  for (const [name, run] of OPERATIONS) {
    test(`B is stopped anywhere in ${name}${debug ? ' (debug)' : ''}: A’s look raises no alarm`, (t) => {
      let looks = 0;
      everyStop((at) => {
        const { a, b } = pair({ debug });
        const blocks = [b.malloc(30_000), ...fill(b, 1000, 20), ...fill(b, 60, 20)];
        const theirs = [...fullPage(a, 500).blocks, ...fill(a, 100, 20)];
        for (const block of blocks.splice(4, 6)) a.free(block);
        const reached = stopAt(
          at,
          () => {
            if (a.i32[a.header + Field.lock] !== 0) return;
            looks++;
            a.validate();
            a.stats();
          },
          () => run(b, blocks, theirs),
        );
        a.validate({ quiet: true });
        return reached;
      });
      t.log(`${looks} looks`);
      t.true(looks > 0);
    });
  }
}

test('B changes the size of a block of A in debug mode, and is stopped around its red zone: A’s look raises no alarm', (t) => {
  const { a, b } = pair({ debug: true });
  const { fill: original } = Uint8Array.prototype;
  const block = a.malloc(100);
  let looks = 0;
  Uint8Array.prototype.fill = function (...args: Parameters<typeof original>) {
    a.validate();
    const filled = original.apply(this, args);
    a.validate();
    looks++;
    return filled;
  };
  try {
    for (const size of [50, 104, 41, 99]) t.is(b.realloc(block, size), block);
  } finally {
    Uint8Array.prototype.fill = original;
  }
  t.is(looks, 4);
  a.validate({ quiet: true });
});

/** What a look at others’ pages finds only at rest. */
const AT_REST: readonly [name: string, sentence: RegExp, plant: (a: Slab, b: Slab, page: number) => void][] =
  [
    [
      'another CPU counts a block too many',
      /used \+ \d+ free ≠/,
      ({ i32 }, _b, page) => void i32[page + Page.used]++,
    ],
    [
      'another CPU’s free list goes in circles',
      /its free list comes back/,
      ({ i32 }, _b, page) => (i32[i32[page + Page.free]] = i32[page + Page.free]),
    ],
    [
      'another CPU’s list has a wrong link',
      /has a wrong link/,
      ({ i32 }, _b, page) => (i32[page + Page.prev] = 16),
    ],
    [
      'what was freed into a page leads out of it',
      /what was freed into it leads to word/,
      ({ i32 }, _b, page) => (i32[page + Page.remote] = 64),
    ],
    ['a CPU has blocks in hand', /has blocks in hand/, ({ i32 }, b) => (i32[b.cpu + Cpu.pending] = 64)],
    [
      'what was freed into full pages leads nowhere',
      /what was freed into full pages of cpu 1 leads to word 64/,
      ({ i32 }, b) => (i32[b.cpu + Cpu.delayed] = 64),
    ],
    [
      'a CPU is half reaped',
      /is being reaped by/,
      ({ i32, threadId }, b) => (i32[b.cpu + Cpu.name] = threadId),
    ],
    [
      'a page’s owner is not there',
      /has the owner \d+, which is not there/,
      ({ i32 }, _b, page) => (i32[page + Page.owner] += 1 << 13),
    ],
  ];

for (const [name, sentence, plant] of AT_REST) {
  test(`quiet: validate finds that ${name}`, (t) => {
    const { a, b } = pair();
    const page = pageOf(b, fill(b, 1000, 3)[0]);
    a.validate({ quiet: true });
    plant(a, b, page);
    t.notThrows(() => a.validate(), 'it may be B at work');
    t.throws(() => a.validate({ quiet: true }), { code: 'Corrupted', message: sentence });
  });
}

test('what does not stay is no error, what stays is', (t) => {
  const { a } = pair();
  const page = pageOf(a, a.malloc(100));
  const real = a.lookAround.bind(a);
  a.i32[page + Page.used]++;
  t.throws(() => a.validate(), { code: 'Corrupted' });
  // It is put right while the look is under way: before the second one.
  const take = a.take.bind(a);
  let takes = 0;
  a.take = () => {
    if (++takes === 3) a.i32[page + Page.used]--;
    return take();
  };
  t.notThrows(() => a.validate());
  t.is(takes, 3);
  real();
});

test('the word of the lock names no thread: every call takes it for damage, and goes on', (t) => {
  for (const lock of ['spin', 'mutex'] as const) {
    for (const word of [1, 8, 63, 1 << 20, -1, 0x7fffffff]) {
      const { a, b } = pair({ lock });
      const errors = watch(a, b);
      a.i32[a.header + Field.lock] = word;
      t.not(a.malloc(3000), 0);
      t.is(errors.length, 1);
      t.regex(errors[0].message, /lock named no thread/);
      // Its own name, too: it does not hold it.
      a.i32[a.header + Field.lock] = a.threadId;
      t.throws(() => a.validate(), { code: 'Corrupted', message: /lock named no thread/ });
      t.is(a.i32[a.header + Field.lock], 0);
      const gone = Slab.attach(a.share());
      gone.detach();
      a.i32[a.header + Field.lock] = gone.threadId;
      t.not(b.malloc(20_000), 0);
      t.is(errors.length, 2);
      a.validate({ quiet: true });
    }
  }
});
