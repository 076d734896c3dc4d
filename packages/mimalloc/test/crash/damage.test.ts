/** Damage in the region: it is reported, and no call hangs. */
import { Worker } from 'node:worker_threads';
import { scaled } from '@shmalloc/alloc-test';
import type { AllocError } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { CALLS, type DamageAnswer, type DamageJob } from '../support/damage-worker.ts';
import { fill, seedOf, small, watch } from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';

test('damage is reported as Corrupted, each kind once, and the hook may use the heap', (t) => {
  const { heap, errors } = watch(small());
  tldOf(heap).damage('the list at 16 does not end');
  tldOf(heap).damage('the list at 32 does not end');
  tldOf(heap).damage('the table at 16 is none');
  t.deepEqual(
    errors.map(({ code, message }) => [code, message]),
    [
      ['Corrupted', 'the list at 16 does not end'],
      ['Corrupted', 'the table at 16 is none'],
    ],
  );
  t.is(heap.stats().errors, 2);
});

const ROUNDS = scaled(15, 150);
const PATIENCE_SECONDS = 60;

/** Runs the rounds in a worker. Rejects when a call does not come back. */
function damaged(job: DamageJob): Promise<DamageAnswer> {
  const worker = new Worker(new URL('../support/damage-worker.js', import.meta.url), { workerData: job });
  return new Promise((resolve, reject) => {
    let calls = -1;
    const watchdog = setInterval(() => {
      const [now, seed, call, word, value] = job.progress;
      if (now === calls && now > 0) {
        reject(
          new Error(
            `seed ${seed}, word ${word} = ${value}: ${CALLS[call][0]} has not come back in ${PATIENCE_SECONDS} seconds`,
          ),
        );
        void worker.terminate();
      }
      calls = now;
    }, PATIENCE_SECONDS * 1000);
    worker.on('message', resolve);
    worker.on('error', reject);
    worker.on('exit', () => clearInterval(watchdog));
  });
}

for (const secure of [0, 1, 2, 3, 4]) {
  for (const backing of ['wasm', 'sab'] as const) {
    test.serial(
      `secure ${secure}, ${backing}: ${ROUNDS} heaps with damaged words: every call comes back, with an answer or an AllocError`,
      async (t) => {
        t.timeout(600_000);
        const progress = new Int32Array(new SharedArrayBuffer(32));
        const seed = seedOf(t);
        const { calls, corrupted, wrong } = await damaged({
          progress,
          seed,
          rounds: ROUNDS,
          secure,
          backing,
        });
        t.log(`${calls} calls, ${corrupted} reports of damage`);
        t.deepEqual(wrong.slice(0, 3), []);
        t.true(corrupted > 0, 'some of the damage was met');
      },
    );
  }
}

test('the hook that hears of one error may detach the thread: the others are told all the same, and nothing else happens', (t) => {
  for (const call of ['collect', 'detach'] as const) {
    const heap = small({ secure: 1 });
    const told: string[] = [];
    heap.registerError(({ message }) => {
      told.push(message);
      heap.detach();
    });
    tldOf(heap).i32[tldOf(heap).header + 31]++;
    tldOf(heap).i32[tldOf(heap).header + 47]++;
    t.notThrows(() => heap[call]());
    t.is(told.length, 2);
    t.true(tldOf(heap).closed);
  }
});

test('a list in a circle is told when the page is whole again: the hook may free what the page has', (t) => {
  const heap = small();
  const blocks = fill(heap, 1000, 20);
  // The heap does not know of it yet, so its full pages bring no news: both frees go onto the page's list.
  const other = MiMalloc.attach(heap.share());
  const errors: AllocError[] = [];
  heap.registerError((error) => {
    errors.push(error);
    for (const block of blocks.splice(0)) heap.free(block);
    heap.malloc(100);
  });
  // Freed twice by another thread, which nothing can tell without secure mode.
  const twice = blocks.splice(1, 1)[0];
  other.free(twice);
  other.free(twice);
  heap.collect();
  t.deepEqual(
    errors.map(({ code }) => code),
    ['DoubleFree'],
  );
  heap.collect(true);
  t.notThrows(() => heap.validate());
});

for (const secure of [0, 2, 4]) {
  test(`tables that lead anywhere: wrong frees are reported, secure ${secure}`, (t) => {
    for (const value of [1, 4784, 1 << 20, -1, 0x7fffffff, 0x3fffffff]) {
      const heap = MiMalloc.create({ bytes: 1 << 20, grow: false, secure, seed: 1 });
      const errors: string[] = [];
      heap.registerError(({ code }) => errors.push(code));
      const block = heap.malloc(100);
      const words = tldOf(heap).i32.length >>> tldOf(heap).chunkShift;
      for (let chunk = 0; chunk <= words; chunk++) tldOf(heap).i32[tldOf(heap).root + chunk] += value;
      for (let address = 0; address < heap.memory.byteLength; address += 4096 + 8) {
        t.notThrows(() => heap.free(address), `${value}: free(${address})`);
        t.is(heap.usableSize(address), 0);
      }
      t.true(errors.length > 10);
      t.notThrows(() => heap.free(block));
    }
  });
}
