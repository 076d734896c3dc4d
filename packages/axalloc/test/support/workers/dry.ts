/** A worker that allocates large blocks in step with others, so that all run dry at once. */

import { parentPort, workerData } from 'node:worker_threads';
import type { AxHandle } from '@shmalloc/axalloc';
import { attachTo } from '../tools.js';

export interface DryTask {
  readonly handle: AxHandle;
  /** Word 0: how many have arrived, over all rounds. */
  readonly gate: SharedArrayBuffer;
  readonly parties: number;
  readonly rounds: number;
  readonly size: number;
}

export interface DryAnswer {
  readonly blocks: readonly number[];
  readonly refused: number;
}

const { handle, gate, parties, rounds, size } = workerData as DryTask;
const allocator = attachTo(handle);
const words = new Int32Array(gate);
const blocks: number[] = [];
let refused = 0;
for (let round = 1; round <= rounds; round++) {
  Atomics.add(words, 0, 1);
  Atomics.notify(words, 0);
  for (let here = Atomics.load(words, 0); here < round * parties; here = Atomics.load(words, 0)) {
    // Briefly awake, so that all go on at the same moment; not long, since there may be more threads than
    // cores.
    if (here === round * parties - 1)
      for (let spins = 0; spins < 1000 && Atomics.load(words, 0) === here; spins++);
    Atomics.wait(words, 0, here, 20);
  }
  const block = allocator.malloc(size);
  if (block === 0) refused++;
  else blocks.push(block);
}
allocator.detach();
const answer: DryAnswer = { blocks, refused };
parentPort?.postMessage(answer);
