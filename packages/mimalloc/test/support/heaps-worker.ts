/**
 * Frees the blocks that arrive in the mail, round by round.
 */

import { workerData } from 'node:worker_threads';
import type { Handle } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';

const { handle, mail, round } = workerData as { handle: Handle; mail: Int32Array; round: number };
const heap = MiMalloc.attach(handle);
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
  for (let index = 0; index < round; index++) heap.free(mail[2 + index] >>> 0);
  done = given;
  Atomics.store(mail, 1, done);
  Atomics.notify(mail, 1);
}
heap.detach();
