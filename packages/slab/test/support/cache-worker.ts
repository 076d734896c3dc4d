/**
 * Takes objects out of a table that all workers share, checks that they are as they were left, frees them,
 * and puts new ones in.
 */

import { workerData } from 'node:worker_threads';
import type { Handle } from '@shmalloc/allocator-api';
import { type CacheHandle, Slab } from '@shmalloc/slab';
import { randomOf } from './harness.ts';

const { handle, cache, table, seed } = workerData as {
  handle: Handle;
  cache: CacheHandle;
  table: Int32Array;
  seed: number;
};
const heap = Slab.attach(handle);
heap.registerError((error) => {
  throw error;
});
const objects = heap.openCache(cache, (address, memory) => memory.i32.fill(0, address / 4, address / 4 + 14));
const random = randomOf(seed);
const { i32 } = heap.memory;

// However the system shares out its processors: until it has met the others.
let foreign = 0;
for (let step = 0; step < 40_000 || foreign < 120; step++) {
  const slot = random(table.length);
  const fresh = heap.cacheAlloc(objects);
  for (let word = 0; word < 14; word++) {
    if (i32[fresh / 4 + word] !== 0) throw new Error(`the object at ${fresh} is not as it was constructed`);
  }
  i32.fill(fresh, fresh / 4, fresh / 4 + 13);
  i32[fresh / 4 + 13] = seed;
  const old = Atomics.exchange(table, slot, fresh);
  if (old === 0) continue;
  for (let word = 0; word < 13; word++) {
    if (i32[old / 4 + word] !== old) throw new Error(`the object at ${old} is another’s`);
  }
  if (i32[old / 4 + 13] !== seed) foreign++;
  // As it was constructed.
  i32.fill(0, old / 4, old / 4 + 14);
  heap.cacheFree(objects, old);
}
heap.detach();
