/**
 * Pushes its own blocks, each with a stamp in its second word; or pushes them with a load and a store, which
 * is wrong.
 */

import { AtomicBlockList } from '@shmalloc/atomic-cell';
import { BLOCKS, CELL, GATE, TALLY } from '../places.ts';
import { answer, meet, ticket } from '../team.ts';

export interface PusherTask {
  broken: boolean;
  threads: number;
  /** How many blocks each thread pushes. */
  blocks: number;
}

/** Bytes in a block: link, stamp. */
const BLOCK_BYTES = 8;

const { memory, id, task } = ticket<PusherTask>();
const list = new AtomicBlockList(memory, CELL);
const words = memory.i32;

function brokenPush(block: number): void {
  words[block / 4] = list.head.load() | 0;
  list.head.store(block);
}

meet(memory, GATE, task.threads);
const first = BLOCKS + (id - 1) * task.blocks * BLOCK_BYTES;
for (let nth = 0; nth < task.blocks; nth++) {
  const block = first + nth * BLOCK_BYTES;
  words[block / 4 + 1] = ~block;
  if (task.broken) brokenPush(block);
  else list.push(block);
}
Atomics.add(words, TALLY / 4, 1);
answer('pushed');
