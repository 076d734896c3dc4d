/** Allocates, frees and passes on until it is told to stop. */

import { workerData } from 'node:worker_threads';
import type { SlotHandle } from '@shmalloc/allocator-api';
import { Slab } from '@shmalloc/slab';
import { randomOf } from './harness.ts';

const { handle, table, stop, seed } = workerData as {
  handle: SlotHandle;
  table: Int32Array;
  stop: Int32Array;
  seed: number;
};
const heap = Slab.attach(handle);
const random = randomOf(seed);
heap.registerError((error) => {
  throw error;
});
Atomics.add(stop, 1, 1);
while (Atomics.load(stop, 0) === 0) {
  for (let step = 0; step < 100; step++) {
    const size = random(12) === 0 ? 5000 + random(30_000) : 1 + random(2000);
    const fresh = random(5) < 2 ? 0 : heap.malloc(size);
    const old = Atomics.exchange(table, random(table.length), fresh | 0) >>> 0;
    if (old !== 0 && random(3) === 0) {
      const moved = heap.realloc(old, 1 + random(12_000));
      heap.free(moved === 0 ? old : moved);
    } else heap.free(old);
  }
  Atomics.add(stop, 2, 1);
  if (random(4) === 0) heap.collect(random(2) === 0);
}
heap.detach();
