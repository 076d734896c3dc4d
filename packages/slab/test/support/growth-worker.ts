/**
 * Allocates and frees through a table that others see; a block carries its size and a stamp at both ends.
 * Brings memory when there is none.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { AllocError, type SlotHandle } from '@shmalloc/allocator-api';
import { Slab } from '@shmalloc/slab';
import { randomOf } from './harness.ts';

const { handle, table, seed, operations } = workerData as {
  handle: SlotHandle;
  table: Int32Array;
  seed: number;
  operations: number;
};
const heap = Slab.attach(handle);
const random = randomOf(seed);
heap.registerError((error) => parentPort?.postMessage(`reported: ${error.message}`));

/** A block; when there is no memory, after this thread has brought some; 0 when there is none to be had. */
function allocate(size: number): number {
  for (;;) {
    const block = heap.malloc(size);
    if (block !== 0) return block;
    try {
      heap.addMemory(heap.memory.grow(1 << 17), 1 << 17);
    } catch (error) {
      if (error instanceof AllocError && error.code === 'NoMemory') return 0;
      throw error;
    }
  }
}

function words(block: number): DataView {
  heap.memory.refresh();
  return new DataView(heap.memory.buffer, block);
}

for (let step = 0; step < operations; step++) {
  const slot = random(table.length);
  const size = random(30) === 0 ? 5000 + random(35_000) : 12 + random(1500);
  const fresh = random(5) < 2 ? 0 : allocate(size);
  if (fresh !== 0) {
    const view = words(fresh);
    view.setUint32(0, size);
    view.setUint32(4, fresh);
    view.setUint32(size - 4, fresh);
  }
  const old = Atomics.exchange(table, slot, fresh | 0) >>> 0;
  if (old === 0) continue;
  const view = words(old);
  const length = view.getUint32(0);
  const whole =
    view.getUint32(4) === old && length >= 12 && length < 40_000 && view.getUint32(length - 4) === old;
  if (!whole) throw new Error(`step ${step}: the block at ${old} is not whole`);
  heap.free(old);
}
heap.detach();
