/**
 * A thread of the test of `vmalloc` and `vmfree`: all share the slots, each of which holds a run of pages.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { AllocError, type Handle } from '@shmalloc/allocator-api';
import { PhysicalMemory } from '@shmalloc/kernel';

export interface PagesJob {
  readonly handle: Handle;
  /** The page's number times 8, and how many pages: 1 … 7. */
  readonly slots: Int32Array<SharedArrayBuffer>;
  readonly seed: number;
  /** 0: the slots hold runs, which all threads free at once; `seed` is how many threads. */
  readonly rounds: number;
}

const { handle, slots, seed, rounds } = workerData as PagesJob;
const memory = PhysicalMemory.attach(handle);
const counts = { dirty: 0, refused: 0, freed: 0 };

function free(run: number): void {
  try {
    memory.vmfree((run >>> 3) * 4096, (run & 7) * 4096);
    counts.freed++;
  } catch (error) {
    if (!(error instanceof AllocError) || error.code !== 'NotAllocated') throw error;
    counts.refused++;
  }
}

/** Frees all that the slots hold, as the other threads do at the same time. */
function freeAll(): void {
  // All begin together.
  Atomics.add(slots, 0, 1);
  while (Atomics.load(slots, 0) < seed) {}
  for (let slot = 1; slot < slots.length; slot++) free(slots[slot]);
}

let random = seed;
if (rounds === 0) freeAll();
for (let round = 0; round < rounds; round++) {
  random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
  const slot = (random >>> 8) % slots.length;
  const count = 1 + ((random >>> 16) % 5);
  const at = memory.vmalloc(0, count * 4096);
  if (at !== 0) {
    const words = memory.memory.i32.subarray(at / 4, at / 4 + count * 1024);
    if (words.some((word) => word !== 0)) counts.dirty++;
    if (round % 2 === 0) memory.touch(at, count * 4096);
    words.fill(round + 1);
  }
  const run = at === 0 ? 0 : (at / 4096) * 8 + count;
  const old = Atomics.exchange(slots, slot, run);
  if (old !== 0) free(old);
}
parentPort?.postMessage(counts);
