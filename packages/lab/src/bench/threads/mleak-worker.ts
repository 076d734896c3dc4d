/**
 * A thread of `mleak.ts`: frees what it inherits, allocates as much, leaves it behind and ends. Every block
 * bears its own address as a stamp.
 */

import { workerData } from 'node:worker_threads';
import { drawn } from '../random.ts';
import { THREAD_CONTESTANTS } from './contestant.ts';
import { LEFT, type LeakData } from './mleak.ts';

const MIN_BYTES = 8;
const MAX_BYTES = 1000;
/** Every so manieth block is so many times as large: some are in pages of another kind. */
const RARE = 100;
const FACTOR = 64;

const data = workerData as LeakData;
const contestant = THREAD_CONTESTANTS.find(({ name }) => name === data.contestant)!;
if (!('load' in contestant)) throw new Error(`${data.contestant} is not called from JavaScript`);
const heap = (await contestant.load()).attach(data.handle);
const sizes = drawn(LEFT, MIN_BYTES, MAX_BYTES, data.seed);
const inherits = new Uint32Array(data.inherits);
const leaves = new Uint32Array(data.leaves);

for (let i = 0; i < LEFT; i++) {
  const old = inherits[i];
  if (old !== 0) {
    const stamp = heap.memory.u32[old / 4];
    if (stamp !== old) throw new Error(`block ${old} has the stamp ${stamp}`);
    heap.free(old);
  }
  const size = i % RARE === 0 ? FACTOR * sizes[i] : sizes[i];
  const block = heap.malloc(size);
  if (block === 0) throw new Error(`no memory for ${size} bytes`);
  heap.memory.u32[block / 4] = block;
  leaves[i] = block;
}
heap.detach();
