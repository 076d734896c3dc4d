/**
 * Takes all blocks, adds one to the plain counter in each, and pushes them again, so that the same addresses
 * come back at once.
 */

import { AtomicBlockList } from '@shmalloc/atomic-cell';
import { CELL, GATE } from '../places.ts';
import { answer, meet, ticket } from '../team.ts';

export interface RecyclerTask {
  threads: number;
  /** How many blocks to handle. */
  handle: number;
}

const { memory, task } = ticket<RecyclerTask>();
const list = new AtomicBlockList(memory, CELL);
const words = memory.i32;

meet(memory, GATE, task.threads);
let handled = 0;
while (handled < task.handle) {
  let block = list.takeAll();
  while (block !== 0) {
    const next = list.next(block);
    words[block / 4 + 1]++;
    handled++;
    list.push(block);
    block = next;
  }
}
answer(handled);
