/**
 * One heap, three threads. Two workers write sentences into blocks that they allocate; the main thread reads
 * them and frees them. No byte is copied between threads: what is posted is an address.
 *
 *     node examples/dist/share-a-heap.js
 */

import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Tlsf } from '@shmalloc/tlsf';

const SENTENCES = 1000;

if (isMainThread) {
  const heap = Tlsf.create({ bytes: 1 << 20, lock: 'mutex' });
  let characters = 0;
  const workers = ['one', 'two'].map((name) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { name, handle: heap.share() } });
    worker.on('message', ({ address, bytes }: { address: number; bytes: number }) => {
      // A decoder wants memory of its own; everything else could use the block where it lies.
      const sentence = new TextDecoder().decode(heap.memory.view('u8', address, bytes).slice());
      characters += sentence.length;
      heap.free(address);
    });
    return worker;
  });
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
  heap.validate();
  console.log(`${2 * SENTENCES} sentences, ${characters} characters; ${heap.usedBytes()} bytes still in use`);
} else {
  const { name, handle } = workerData;
  const heap = Tlsf.attach(handle);
  for (let count = 0; count < SENTENCES; count++) {
    const text = new TextEncoder().encode(`Sentence ${count} of worker ${name}.`);
    const address = heap.malloc(text.length);
    if (address === 0) throw new Error('the heap is full');
    heap.memory.u8.set(text, address);
    parentPort?.postMessage({ address, bytes: text.length });
  }
  heap.detach();
}
