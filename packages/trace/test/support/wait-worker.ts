/** Takes turns with another thread, and sleeps without a time limit whenever it is not its turn. */
import { workerData } from 'node:worker_threads';
import { progressWord } from '../../dist/plan.js';
import { publish, WAITING, waitFor } from '../../dist/wait.js';

const { control, me, rounds } = workerData as { control: Int32Array; me: 0 | 1; rounds: number };
const mine = progressWord(me);
const theirs = progressWord(1 - me);
for (let round = 1; round <= rounds; round++) {
  if (me === 0) publish(control, mine, round);
  // Every few rounds at once, else after some looks: a sleeper is met in all of its steps.
  const waiting = { ...WAITING, looks: 1 + (round % 4), sleepMs: Number.POSITIVE_INFINITY };
  waitFor(control, theirs, round, waiting);
  if (me === 1) publish(control, mine, round);
}
