/** Counts in a word that the lock guards, with plain loads and stores. */

import { workerData } from 'node:worker_threads';
import { type LockKind, type MemorySource, SharedMemory } from '@shmalloc/allocator-api';
import { PageLock } from '../../dist/page-lock.js';

const { source, kind, name, turns } = workerData as {
  source: MemorySource;
  kind: LockKind;
  name: number;
  turns: number;
};
const memory = SharedMemory.from(source);
const { i32 } = memory;
const lock = new PageLock(memory, 16, kind, name, () => true);

Atomics.add(i32, 2, 1);
while (Atomics.load(i32, 2) < 3) Atomics.wait(i32, 2, Atomics.load(i32, 2), 1);
let waits = 0;
for (let turn = 0; turn < turns; turn++) {
  if (lock.lock()) waits++;
  if (kind !== 'none' && (Atomics.load(i32, 16) & ~1) !== name) throw new Error('another one holds the lock');
  i32[0] = i32[0] + 1;
  lock.unlock();
}
Atomics.add(i32, 1, waits);
