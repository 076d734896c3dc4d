/**
 * Words of the region that were written over: whatever stands there, every call comes back, and so do the
 * later ones.
 */
import { Worker } from 'node:worker_threads';
import { scaled } from '@shmalloc/alloc-test';
import test from 'ava';
import { freeWord, presentWord, tableOf } from '../../dist/page-map.js';
import { seedOf, small } from '../support/harness.ts';

/** So long a trial takes only when a call does not come back; one takes milliseconds. */
const PATIENCE_MS = 60_000;

/** Runs trials in a worker. @returns what went wrong, or '' */
async function damage(seed: number, trials: number, fault = 'none', patience = PATIENCE_MS): Promise<string> {
  const at = new Int32Array(new SharedArrayBuffer(4));
  const workerData = { seed, trials, at, fault };
  const worker = new Worker(new URL('../support/damage-worker.js', import.meta.url), {
    workerData,
    stdout: true,
    stderr: true,
  });
  let answer = '';
  const ended = new Promise<void>((resolve) => {
    worker.on('message', (message: string) => (answer = message));
    worker.on('error', (error) => (answer ||= `${error.stack}`));
    worker.on('exit', () => resolve());
  });
  let seen = -1;
  const watch = setInterval(() => {
    const trial = Atomics.load(at, 0);
    if (trial === seen && trial < trials) {
      answer = `seed ${seed}, trial ${trial}: a call does not come back`;
      void worker.terminate();
    }
    seen = trial;
  }, patience);
  await ended;
  clearInterval(watch);
  return answer;
}

for (const [fault, sentence] of [
  ['hangs', /a call does not come back/],
  ['throws', /TypeError/],
  ['keeps the lock', /the lock is left as 64/],
] as const) {
  test(`a heap that ${fault} would be found`, async (t) => {
    t.regex(await damage(2, 9, fault, fault === 'hangs' ? 3000 : PATIENCE_MS), sentence);
  });
}

test('words of header, tables, CPU records and blocks are written over: every call comes back, and the lock is open', async (t) => {
  t.timeout(600_000);
  t.is(await damage(seedOf(t), Number(process.env.TRIALS ?? scaled(120, 1000))), '');
});

for (const debug of [false, true]) {
  test(`pages that the map has beyond the memory are not handed out${debug ? ' (debug)' : ''}`, (t) => {
    const heap = small({ debug, bytes: 96 << 13 });
    heap.registerError(() => {});
    const table = tableOf(heap, 0);
    for (const word of [freeWord(table, 96), presentWord(table, 96)]) heap.i32[word] = -1;
    for (const size of [100_000, 16]) {
      for (let block = heap.malloc(size), most = 1e5; block !== 0 && most-- > 0; block = heap.malloc(size))
        if (block + size > heap.memory.byteLength) return t.fail(`${size} bytes at ${block}`);
    }
    t.true(heap.stats().failures > 0);
  });
}
