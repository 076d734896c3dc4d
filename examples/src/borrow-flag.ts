/**
 * An allocator behind a borrow flag instead of a lock. While one thread is inside, another gets an error that
 * says so: nothing is corrupted, and no thread waits. Trying again until it works is a spin lock in disguise,
 * which is the point.
 *
 *     node examples/dist/borrow-flag.js
 */

import { once } from 'node:events';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { BorrowMutError, MiAllocator } from '@shmalloc/atomic-cell';
import { Tlsf } from '@shmalloc/tlsf';

const ROUNDS = 50_000;

/** The heap, and two words behind it for the flag and its last holder. */
function wrap(heap: Tlsf, words: number, threadId: number): MiAllocator {
  return MiAllocator.new(heap.memory, words, heap, { threadId });
}

/** Allocates and frees; counts how often another thread was inside. */
function work(allocator: MiAllocator): number {
  let refused = 0;
  const insist = <T>(operation: () => T): T => {
    for (;;) {
      try {
        return operation();
      } catch (error) {
        if (!(error instanceof BorrowMutError)) throw error;
        refused++;
      }
    }
  };
  for (let round = 0; round < ROUNDS; round++) {
    const block = insist(() => allocator.alloc(64, 16));
    insist(() => allocator.dealloc(block, 64, 16));
  }
  return refused;
}

if (isMainThread) {
  const bytes = 1 << 20;
  const words = bytes - 64;
  const heap = Tlsf.create({ bytes, end: words, lock: 'outside' }); // the flag guards it
  const allocator = wrap(heap, words, 1);

  {
    using _inside = allocator.innerMut();
    try {
      wrap(Tlsf.attach(heap.share(), { lock: 'outside' }), words, 2).alloc(1, 1);
    } catch (error) {
      console.log(`thread 2, while thread 1 is inside: ${(error as Error).message}`);
    }
  }

  const worker = new Worker(new URL(import.meta.url), { workerData: { handle: heap.share(), words } });
  await once(worker, 'message');
  worker.postMessage('go');
  const refused = work(allocator);
  const [theirs] = await once(worker, 'message');
  heap.validate();
  console.log(`two threads, ${ROUNDS} blocks each: ${refused + theirs} times another thread was inside`);
} else {
  const { parentPort } = await import('node:worker_threads');
  const { handle, words } = workerData;
  const allocator = wrap(Tlsf.attach(handle, { lock: 'outside' }), words, 2);
  parentPort?.postMessage('ready');
  parentPort?.once('message', () => {
    parentPort.postMessage(work(allocator));
  });
}
