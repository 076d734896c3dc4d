/**
 * Allocates and frees at random, in heaps that come and go, and attaches anew now and then.
 */

import { workerData } from 'node:worker_threads';
import type { Handle } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import { random } from './validated.ts';

const { handle, seed, operations } = workerData as { handle: Handle; seed: number; operations: number };
const next = random(seed);

for (let round = 0; round < 4; round++) {
  const heap = MiMalloc.attach(handle);
  heap.registerError((error) => {
    throw error;
  });
  let part = heap.heapNew({ tag: seed });
  const blocks: number[] = [];
  for (let step = 0; step < operations / 4; step++) {
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
}
