/**
 * Allocates and frees at random, in heaps that come and go, and attaches again for each round, until it is
 * told to end.
 */

import { workerData } from 'node:worker_threads';
import type { Handle } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import { random } from './validated.ts';

const { handle, seed, control } = workerData as { handle: Handle; seed: number; control: Int32Array };
const next = random(seed);

while (Atomics.load(control, 0) === 0) {
  const heap = MiMalloc.attach(handle);
  heap.registerError((error) => {
    throw error;
  });
  let part = heap.heapNew({ tag: seed });
  const blocks: number[] = [];
  for (let step = 0; step < 15_000; step++) {
    if (next(5) < 3 || blocks.length === 0) {
      const size = next(50) === 0 ? next(100_000) : next(600);
      const block = next(2) === 0 ? heap.malloc(size) : part.malloc(size);
      if (block !== 0) blocks.push(block);
    } else {
      const [block] = blocks.splice(next(blocks.length), 1);
      heap.free(block);
    }
    if (blocks.length > 1000) for (const block of blocks.splice(0, 500)) heap.free(block);
    if (next(2000) === 0) {
      part.delete();
      part = heap.heapNew({ tag: seed });
    }
  }
  for (const block of blocks) heap.free(block);
  heap.detach();
  Atomics.add(control, 1, 1);
}
