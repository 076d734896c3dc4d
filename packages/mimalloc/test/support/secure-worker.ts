/**
 * The other thread of secure-threads.test.ts: frees every block that it is told of, at the moment when
 * everybody does.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { MiMalloc } from '@shmalloc/mimalloc';
import { meet, type Raid } from './secure-raid.js';

const { handle, barrier, addresses, rounds, parties } = workerData as Raid;
const heap = MiMalloc.attach(handle);
const told: string[] = [];
heap.registerError(({ message }) => told.push(message));
for (let round = 0; round < rounds; round++) {
  meet(barrier, parties);
  for (const address of addresses) heap.free(address);
  meet(barrier, parties);
}
heap.detach();
parentPort?.postMessage(told);
