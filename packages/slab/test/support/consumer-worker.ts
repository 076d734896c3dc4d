/**
 * Frees the blocks that arrive in the mail, round by round: 256 addresses from word 2 on, each block with its
 * number in its first word.
 */

import { workerData } from 'node:worker_threads';
import type { Handle } from '@shmalloc/allocator-api';
import { Slab } from '@shmalloc/slab';

const { handle, mail } = workerData as { handle: Handle; mail: Int32Array };
const heap = Slab.attach(handle);
heap.registerError((error) => {
  throw error;
});

for (let done = 0; ; ) {
  const given = Atomics.load(mail, 0);
  if (given === -1) break;
  if (given === done) {
    Atomics.wait(mail, 0, done, 10);
    continue;
  }
  for (let index = 0; index < 256; index++) {
    const block = mail[2 + index] >>> 0;
    if (heap.memory.i32[block >>> 2] !== index) throw new Error(`the block at ${block} is another's`);
    heap.free(block);
  }
  done = given;
  Atomics.store(mail, 1, done);
  Atomics.notify(mail, 1);
}
heap.detach();
