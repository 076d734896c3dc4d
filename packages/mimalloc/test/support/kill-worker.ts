/**
 * A worker that is killed: it replaces blocks in a table that all share, and has one block in its hands at
 * the most. So a block that it frees is often another worker's, and what is neither in the table nor free was
 * lost by a death.
 */

import { workerData } from 'node:worker_threads';
import { AllocError, type Handle } from '@shmalloc/allocator-api';
import { type MiHeap, MiMalloc } from '@shmalloc/mimalloc';
import { StingyOs } from './growing.ts';
import { randomOf } from './harness.ts';
import { isStamped, type KillOrder, sizeOf, stamp } from './kill.ts';
import { LockedInner } from './locked-inner.ts';

const { handle, table, control, index, seed, locked, growing } = workerData as KillOrder;
const random = randomOf(seed);
const os = growing ? new StingyOs(random) : undefined;
const heap = locked ? LockedInner.attach(handle as Handle) : MiMalloc.attach(handle, { os });
if (os !== undefined) os.heap = heap as MiMalloc;
const words = new Int32Array(table);
const flags = new Int32Array(control);

/** A block, now and then of a heap that ends at once: its blocks live on, or go with it. */
function allocate(size: number): number {
  const lot = locked ? 0 : random(400);
  if (lot !== 1 && lot !== 2) return heap.malloc(size);
  let part: MiHeap;
  try {
    part = (heap as MiMalloc).heapNew();
  } catch (error) {
    if (error instanceof AllocError && error.code === 'NoMemory') return 0;
    throw error;
  }
  const block = part.malloc(size);
  if (lot === 1) {
    part.delete();
    return block;
  }
  part.destroy();
  return heap.malloc(size);
}

let operations = 0;
while (Atomics.load(flags, 0) === 0) {
  const size = sizeOf(random);
  const block = allocate(size);
  if (block !== 0) stamp(heap.memory, block, size);
  // Release: publishes the stamp. From here on the new block is the table's, and the old one this worker's.
  const old = Atomics.exchange(words, random(words.length), block);
  if (old !== 0) {
    if (!isStamped(heap.memory, old >>> 0)) Atomics.add(flags, 1, 1);
    heap.free(old >>> 0);
  }
  if ((++operations & 15) === 0) Atomics.store(flags, 2 + index, operations);
}
heap.detach();
