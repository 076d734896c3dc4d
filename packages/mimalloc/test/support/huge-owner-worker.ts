/**
 * A thread that takes a huge block when it is told to, and is idle otherwise: it waits, and comes to no call
 * of the allocator.
 */
import { workerData } from 'node:worker_threads';
import type { Handle } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';

/** What the worker is told. */
export interface OwnerOrder {
  readonly handle: Handle;
  readonly size: number;
  /**
   * Rounds begun; the block of the last one; whether it has it; errors that were reported; what is to be
   * done.
   */
  readonly words: Int32Array<SharedArrayBuffer>;
}

export const ROUND = 0;
export const BLOCK = 1;
export const DONE = 2;
export const ERRORS = 3;
export const TASK = 4;

export const TAKE = 0;
export const FREE = 1;
export const END = 2;

const order = workerData as OwnerOrder | null;
if (order !== null) {
  const { handle, size, words } = order;
  const heap = MiMalloc.attach(handle);
  heap.registerError(() => void Atomics.add(words, ERRORS, 1));
  for (let round = 0; ; round++) {
    Atomics.wait(words, ROUND, round);
    const task = Atomics.load(words, TASK);
    if (task === END) break;
    if (task === TAKE) Atomics.store(words, BLOCK, heap.malloc(size));
    else heap.free(Atomics.load(words, BLOCK) >>> 0);
    Atomics.store(words, DONE, round + 1);
    Atomics.notify(words, DONE);
  }
  heap.detach();
}
