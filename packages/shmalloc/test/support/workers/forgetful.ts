/** A thread that allocates what nothing frees, and then is there until it is terminated. */
import { parentPort, workerData } from 'node:worker_threads';
import { BasicFirst, Buddy, type Handle, type Heap, MiMalloc, Slab, Tlsf } from 'shmalloc';

const heaps = { MiMalloc, Slab, Tlsf, Buddy, BasicFirst };
const { name, handle } = workerData as { name: keyof typeof heaps; handle: Handle };
const heap: Heap = heaps[name].attach(handle);

function forgetInWorker(size: number): number {
  return heap.malloc(size);
}

const blocks = Array.from({ length: 200 }, (_, index) => forgetInWorker(16 + index));
for (const block of blocks.slice(1)) heap.free(block);
forgetInWorker(4000);
parentPort?.postMessage(blocks[0]);
// Else the thread would end.
setInterval(() => {}, 1000);
