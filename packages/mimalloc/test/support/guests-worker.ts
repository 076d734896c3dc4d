/**
 * Comes and goes as one thread after another; each makes heaps, passes blocks on, and destroys a heap now and
 * then. What lies in a block is checked before it is freed.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { MiMalloc } from '@shmalloc/mimalloc';
import { randomOf } from './harness.ts';
import { tldOf } from './inside.ts';

const { handle, table, seed, rounds } = workerData;
const random = randomOf(seed);
let wrong = '';

for (let round = 0; round < rounds && wrong === ''; round++) {
  const thread = MiMalloc.attach(handle);
  thread.registerError(({ message }) => {
    wrong ||= message;
  });
  const fill = (block: number, words: number): void => {
    tldOf(thread).i32.fill(block ^ 0x5a5a5a5a, block >>> 2, (block >>> 2) + words);
  };
  const check = (block: number, words: number): void => {
    for (let word = 0; word < words; word++)
      if (tldOf(thread).i32[(block >>> 2) + word] !== (block ^ 0x5a5a5a5a))
        wrong ||= `block ${block} was written`;
  };
  const kept = thread.heapNew();
  const doomed = thread.heapNew();
  const own: number[] = [];
  for (let step = 0; step < 60; step++) {
    // Blocks of 32 bytes, so that all of them share pages.
    const block = (random(3) === 0 ? thread : kept).malloc(32);
    if (block === 0) wrong ||= 'no memory';
    fill(block, 8);
    const found = Atomics.exchange(table, random(table.length), block);
    if (found !== 0) {
      check(found >>> 0, 8);
      thread.free(found >>> 0);
    }
    const mine = doomed.malloc(32);
    if (mine === 0) wrong ||= 'no memory';
    fill(mine, 8);
    own.push(mine);
    if (random(4) === 0) {
      const [gone] = own.splice(random(own.length), 1);
      check(gone, 8);
      thread.free(gone);
    }
  }
  for (const block of own) check(block, 8);
  let seen = 0;
  doomed.visitBlocks(() => {
    seen++;
  });
  if (seen !== own.length) wrong ||= `the heap has ${seen} blocks, not ${own.length}`;
  doomed.destroy();
  if (random(2) === 0) kept.delete();
  thread.detach();
}
parentPort?.postMessage(wrong);
