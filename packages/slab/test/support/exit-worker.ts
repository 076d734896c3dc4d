/** Allocates once, or allocates and frees through a table that others see, until it is terminated. */

import { parentPort, workerData } from 'node:worker_threads';
import type { Handle } from '@shmalloc/allocator-api';
import { Slab } from '@shmalloc/slab';
import { randomOf } from './harness.ts';

const { handle, what, seed, table } = workerData as {
  handle: Handle;
  what: 'one' | 'named' | 'churn';
  seed: number;
  table: Int32Array;
};
const heap = Slab.attach(handle);

if (what === 'one') {
  const block = heap.malloc(100);
  heap.free(block);
  heap.detach();
  parentPort?.postMessage([block]);
} else if (what === 'named') {
  parentPort?.postMessage(heap.threadId);
  heap.free(heap.malloc(100));
  heap.detach();
} else {
  parentPort?.postMessage(heap.threadId);
  const random = randomOf(seed);
  for (;;) {
    const slot = random(table.length);
    const fresh =
      random(2) === 0 ? 0 : heap.malloc(random(50) === 0 ? 5000 + random(60_000) : 1 + random(4000));
    // A block is in the table, or in the hand of one thread: this one has at most one of each in its hands.
    const old = Atomics.exchange(table, slot, fresh);
    if (old !== 0) heap.free(old);
  }
}
