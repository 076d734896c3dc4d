/**
 * A worker that stops for good before one statement of mimalloc: it does everything that a thread can do,
 * over and over, until it comes there. It runs the rewritten package (`stepped.ts`).
 */

import { workerData } from 'node:worker_threads';
import type { MiMalloc } from '@shmalloc/mimalloc';
import type { FreezeOrder } from './freeze.ts';
import { randomOf } from './harness.ts';
import { importStepped, onStep } from './stepped.ts';

const { handle, url, file, statement, table, control, seed } = workerData as FreezeOrder;
const words = new Int32Array(table);
const flags = new Int32Array(control);
const random = randomOf(seed);

onStep(null);
const stepped = await importStepped(url);
onStep((inFile, text) => {
  if (inFile !== file || !text.startsWith(statement)) return;
  onStep(null);
  Atomics.store(flags, 0, 1);
  Atomics.notify(flags, 0);
  Atomics.wait(flags, 1, 0); // no thread ever calls
});

/** Puts a block where others find it, and frees what was there. */
function swap(heap: MiMalloc, block: number): void {
  const old = Atomics.exchange(words, random(words.length), block);
  if (old !== 0) heap.free(old >>> 0);
}

function work(heap: MiMalloc): void {
  for (let count = 0; count < 400; count++) swap(heap, heap.malloc([24, 100, 500, 3000][random(4)]));
  const own = Array.from({ length: 300 }, () => heap.malloc(500));
  const large = [20_000, 70_000, 600_000].map((size) => heap.malloc(size));
  large[2] = heap.realloc(large[2], 900_000);
  for (const block of [...own, ...large]) heap.free(block);
  const part = heap.heapNew();
  for (let count = 0; count < 50; count++) swap(heap, part.malloc(200));
  part.delete();
  heap.collect(true);
}

/** Leaves blocks behind in a thread of its own, which detaches, or is as good as dead. */
function leave(heap: MiMalloc, detaches: boolean): void {
  const other = stepped.MiMalloc.attach(heap.shareSlot());
  for (let count = 0; count < 200; count++) swap(other, other.malloc(500));
  swap(other, other.malloc(70_000));
  if (detaches) other.detach();
  else heap.reap(other.threadId);
}

let heap = stepped.MiMalloc.attach(handle);
for (let round = 0; round < 100; round++) {
  work(heap);
  leave(heap, round % 2 === 0);
  work(heap);
  if (round % 4 === 3) {
    const again = heap.share();
    heap.detach();
    heap = stepped.MiMalloc.attach(again);
  }
}
Atomics.store(flags, 0, 2);
Atomics.notify(flags, 0);
