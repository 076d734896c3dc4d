/** Swapping the algorithm while workers allocate and free, under the oracle. */

import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { scaled, someOf } from '@shmalloc/alloc-test';
import { CheckedAllocator, Oracle } from '@shmalloc/alloc-test/oracle';
import { BitmapPages } from '@shmalloc/bitmap';
import test from 'ava';
import { answerOf } from '../../../alloc-test/dist-test/support/threads.js';
import { allocatorOver, NAMES, randomOf, seedOf, trySwap } from '../support/tools.js';
import type { BusyAnswer, BusyTask } from '../support/workers/busy.js';
import { Slots } from '../support/workers/slots.js';

const BYTES = 64 << 20;
const SWAPS = scaled(15, 100);

/** A crew on an allocator; `during` runs while they are at work. */
async function crew(
  t: { log(...values: unknown[]): void },
  workers: number,
  each: Partial<BusyTask>,
  during: (allocator: ReturnType<typeof allocatorOver>['allocator'], progress: () => number) => Promise<void>,
  backing?: 'wasm' | 'sab',
) {
  const seed = seedOf(t);
  const adds = each.adds ?? 0;
  const over = BitmapPages.create({ bytes: BYTES - workers * adds, maxBytes: BYTES, backing });
  const { pages, allocator } = allocatorOver(0, { pages: over, limit: BYTES });
  const fresh = pages.usedPages();
  const total = pages.totalPages();
  const oracle = Oracle.create({ bytes: BYTES });
  const control = new SharedArrayBuffer(16);
  const words = new Int32Array(control);
  const table = new SharedArrayBuffer(Slots.bytesFor(512));
  const running = Array.from({ length: workers }, (_, nth) => {
    const task: BusyTask = {
      handle: allocator.share(),
      oracle: oracle.share(),
      slots: table,
      control,
      thread: nth + 1,
      seed: seed + nth * 7919,
      dies: false,
      swaps: [],
      adds: 0,
      ...each,
    };
    return new Worker(new URL('../support/workers/busy.js', import.meta.url), { workerData: task });
  });
  const answered = running.map((worker) => answerOf<BusyAnswer>(worker));
  const ended = running.map((worker) => new Promise<void>((resolve) => worker.once('exit', () => resolve())));
  const failed = Promise.all(answered);
  failed.catch(() => {});
  while (Atomics.load(words, 1) < workers) await Promise.race([sleep(5), failed]);
  await Promise.race([during(allocator, () => Atomics.load(words, 2)), failed]);
  Atomics.store(words, 0, 1);
  const answers = await failed;
  return {
    seed,
    total,
    pages,
    allocator,
    fresh,
    oracle,
    words,
    answers,
    running,
    ended,
    slots: new Slots(table),
  };
}

type Crew = Awaited<ReturnType<typeof crew>>;

/** Frees what is left in the table. */
function empty({ allocator, oracle, slots }: Crew): void {
  const checked = new CheckedAllocator(allocator, oracle, 0);
  for (let slot = 0; slot < slots.length; slot++) {
    const held = slots.take(slot);
    if (held !== null) checked.free(held.address, held.size);
  }
}

test.serial(
  `${SWAPS} swaps through all algorithms under 4 workers: no block is lost, and all pages come back`,
  async (t) => {
    t.timeout(15 * 60_000);
    let most = 0;
    const result = await crew(t, 4, {}, async (allocator, progress) => {
      const random = randomOf(1);
      for (let swap = 0; swap < SWAPS; swap++) {
        allocator.swap(NAMES[swap % NAMES.length]);
        const before = progress();
        // Some swaps follow at once upon each other, others after the workers have done something.
        const wanted = random(3) === 0 ? 0 : 200 + random(2000);
        while (progress() < before + wanted) await sleep(1);
        most = Math.max(most, allocator.stats().generations.length);
      }
    });
    const { allocator, pages, fresh, oracle, answers } = result;
    t.deepEqual(oracle.violations().slice(0, 3), []);
    t.deepEqual(
      answers.flatMap(({ reports }) => reports),
      [],
    );
    t.is(
      answers.reduce((sum, { refused }) => sum + refused, 0),
      0,
    );
    allocator.validate();
    empty(result);
    t.deepEqual([...oracle.liveBlocks()], []);
    t.is(oracle.violationCount, 0);
    t.is(allocator.liveBlocks(), 0);
    t.is(allocator.stats().generations.length, 1, 'an old heap without blocks has kept its pages');
    t.is(allocator.stats().swaps, SWAPS);
    allocator.swap('tlsf');
    t.is(pages.usedPages(), fresh);
    allocator.validate();
    t.true(most > 2, 'there never were several generations at a time');
    t.log(
      `${answers.reduce((sum, { operations }) => sum + operations, 0)} operations, up to ${most} generations`,
    );
  },
);

test.serial('several threads swap at the same time, while all allocate', async (t) => {
  t.timeout(15 * 60_000);
  const result = await crew(t, 4, { swaps: NAMES }, async (allocator, progress) => {
    // Each worker draws by lot when it swaps: so long until that has been often.
    while (progress() < 40_000 || allocator.stats().swaps <= 4) {
      await sleep(1);
      allocator.settle();
    }
  });
  const { allocator, pages, fresh, oracle, answers } = result;
  t.is(oracle.violationCount, 0, JSON.stringify(oracle.violations().slice(0, 3)));
  t.deepEqual(
    answers.flatMap(({ reports }) => reports),
    [],
  );
  empty(result);
  t.is(allocator.liveBlocks(), 0);
  t.is(allocator.stats().generations.length, 1);
  t.true(allocator.stats().swaps > 4);
  allocator.swap('tlsf');
  t.is(pages.usedPages(), fresh);
  allocator.validate();
});

for (const [, backing] of someOf('swap', { wasm: 'wasm', sab: 'sab' } as const, 1)) {
  test.serial(
    `all workers let the memory grow in small steps while they allocate, and swap (${backing})`,
    async (t) => {
      t.timeout(15 * 60_000);
      const adds = 15 << 20;
      const result = await crew(
        t,
        4,
        { swaps: NAMES, adds },
        async (allocator, progress) => {
          for (let swap = 0; progress() < 40_000; swap++) {
            await sleep(1);
            if (swap % 20 === 0) trySwap(allocator, NAMES[(swap / 20) % NAMES.length]);
            allocator.settle();
          }
        },
        backing,
      );
      const { allocator, pages, fresh, total, oracle, answers } = result;
      t.is(oracle.violationCount, 0, JSON.stringify(oracle.violations().slice(0, 3)));
      t.deepEqual(
        answers.flatMap(({ reports }) => reports),
        [],
      );
      t.deepEqual(
        answers.map(({ added }) => added),
        [adds, adds, adds, adds],
      );
      pages.memory.refresh();
      t.is(pages.memory.byteLength, BYTES);
      t.is(pages.totalPages(), total + (4 * adds) / 4096);
      empty(result);
      t.is(allocator.liveBlocks(), 0);
      allocator.swap('tlsf');
      t.is(allocator.stats().generations.length, 1);
      t.is(pages.usedPages(), fresh);
      allocator.validate({ quiet: true });
    },
  );
}

test.serial('validate and stats while four workers allocate, swap and grow: no false alarm', async (t) => {
  t.timeout(15 * 60_000);
  let looks = 0;
  const alarms: string[] = [];
  const { allocator, oracle } = await crew(t, 4, { swaps: NAMES }, async (each, progress) => {
    while (progress() < scaled(2000, 60_000) || looks < scaled(15, 300)) {
      for (let turn = 0; turn < 10; turn++, looks++) {
        try {
          each.validate();
          const { totalPages, usedPages, totalBytes } = each.stats();
          if (usedPages > totalPages || totalBytes < 0) alarms.push('figures');
        } catch (error) {
          alarms.push(String(error));
        }
      }
      await sleep(0);
    }
  });
  t.deepEqual(alarms, []);
  t.is(oracle.violationCount, 0);
  t.log(`${looks} looks`);
  // What is told at any time is told of planted faults, too.
  const planted: [word: number, value: number, said: RegExp][] = [
    [allocator.entry(50), 6, /slot 50 has state 6/],
    [allocator.header + 16, 0x12345 << 7, /current generation has slot 0/],
  ];
  for (const [word, value, said] of planted) {
    const before = allocator.memory.i32[word];
    allocator.memory.i32[word] = value;
    t.throws(() => allocator.validate(), { message: said });
    allocator.memory.i32[word] = before;
  }
  const last = allocator.map + allocator.mapPages - 1;
  allocator.memory.u8[last] = 60;
  t.throws(() => allocator.validate(), { message: /slot 60 is free and has 1 pages/ });
  allocator.memory.u8[last] = 0;
  allocator.memory.i32[allocator.tally] -= 1_000_000;
  t.throws(() => allocator.validate(), { message: /slot \d+ has -\d+ blocks/ });
});

test.serial('a thread that has died holds its generation until it is reaped', async (t) => {
  t.timeout(15 * 60_000);
  const result = await crew(t, 3, { dies: true }, async (allocator, progress) => {
    for (let swap = 0; swap < 8; swap++) {
      allocator.swap(NAMES[swap % NAMES.length]);
      const before = progress();
      while (progress() < before + 1000) await sleep(1);
    }
  });
  const { allocator, pages, fresh, oracle, answers, running, ended } = result;
  await Promise.all(running.map((worker) => worker.terminate()));
  await Promise.all(ended);
  empty(result);
  t.is(oracle.violationCount, 0);
  t.is(allocator.liveBlocks(), 0);
  allocator.swap('buddy');
  t.true(allocator.stats().generations.length > 1, 'the dead hold nothing');
  for (const { threadId } of answers) {
    allocator.reap(threadId);
    allocator.reap(threadId);
  }
  t.is(allocator.stats().generations.length, 1);
  allocator.swap('tlsf');
  t.is(pages.usedPages(), fresh);
  allocator.validate();
});
