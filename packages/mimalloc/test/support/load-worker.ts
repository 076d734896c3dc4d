/** A thread that allocates and frees until it is told to stop, and gets nothing wrong. */
import { workerData } from 'node:worker_threads';
import type { Handle } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import { randomOf } from './harness.ts';

const { handle, control, seed } = workerData as { handle: Handle; control: Int32Array; seed: number };
const random = randomOf(seed);
const heap = MiMalloc.attach(handle);
const parts = [heap.heapNew(), heap.heapNew()];
const live: number[] = [];
Atomics.add(control, 1, 1);
Atomics.notify(control, 1);
for (let step = 0; Atomics.load(control, 0) === 0; step++) {
  if (random(2) === 0 && live.length < 300) {
    const from = random(3) === 0 ? parts[random(2)] : heap;
    const block = from.malloc(
      random(8) === 0 ? random(300_000) : random(8) === 0 ? random(30_000) : random(400),
    );
    if (block !== 0) live.push(block);
  } else if (live.length > 0) {
    const index = random(live.length);
    const block = live[index];
    live[index] = live[live.length - 1];
    live.pop();
    // Half of what goes, goes by way of the other workers.
    const other = Atomics.exchange(control, 2 + random(control.length - 2), block);
    if (other !== 0) heap.free(other >>> 0);
  }
  if (step % 1000 === 0) heap.collect(true);
}
for (const block of live) heap.free(block);
heap.detach();
