import { Worker } from 'node:worker_threads';
import test from 'ava';
import { backOff } from '../../dist/back-off.js';

test('the round grows by one up to a bound', (t) => {
  let round = 0;
  const rounds: number[] = [];
  for (let wait = 0; wait < 10; wait++) rounds.push((round = backOff(round)));
  t.deepEqual(rounds, [1, 2, 3, 4, 5, 6, 7, 7, 7, 7]);
});

test('where Atomics.pause exists it is the beat, and pauses double up to a bound', async (t) => {
  const worker = new Worker(new URL('../support/workers/pauses.js', import.meta.url));
  const beats = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  t.deepEqual(beats, [1, 2, 4, 8, 16, 32, 64, 128, 128, 128]);
});
