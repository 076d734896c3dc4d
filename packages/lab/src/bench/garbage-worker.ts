/** The worker behind `garbage.ts`. */

import { PerformanceObserver } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parentPort, workerData } from 'node:worker_threads';
import { CONTESTANTS } from './contestant.ts';
import type { Garbage, GarbageData } from './garbage.ts';
import { settle } from './settle.ts';
import { WORKLOADS, wholeBatches } from './workload.ts';

/** Small enough that a few bytes an operation do not fill the young generation within one slice. */
const SLICE_PAIRS = 8192;
/** How many slices are looked at one by one. */
const SLICES = 64;

const order = workerData as GarbageData;
const contestant = CONTESTANTS.find((each) => each.name === order.contestant)!;
const workload = WORKLOADS.find((each) => each.name === order.workload)!;
if (!('open' in contestant)) throw new Error(`${order.contestant} is not called from JavaScript`);

/**
 * When the collector ran, in the clock of `performance.now()`. Entries arrive only when the loop below has
 * ended.
 */
const collections: number[] = [];
const observer = new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) collections.push(entry.startTime);
});
observer.observe({ entryTypes: ['gc'] });

/** Reading the heap's size makes an object itself; that much is taken off every slice. */
function heapBytes(): number {
  return getHeapStatistics().used_heap_size;
}

const run = workload.start(await contestant.open(order.bytes, order.prepared), order.seed);
/** Pairs between two looks at the clock, which are rare because each makes a few objects. */
const stretch = settle(workload, run, 0.1, order.limitSeconds);
const slice = wholeBatches(workload, Math.min(SLICE_PAIRS, stretch / 10));
const target = order.operations / 2;

const collect = exposeCollector();
for (let rehearsal = 0; rehearsal < 100; rehearsal++) heapBytes();
const looking = cheapestLook();

// First part, slice by slice: what does an operation allocate, if it allocates so much that the collector
// must run?
collect();
await setImmediate();
let bytes = 0;
let metered = 0;
for (let i = 0; i < SLICES; i++) {
  const before = heapBytes();
  run(slice);
  const added = heapBytes() - before;
  // The heap has shrunk: the collector ran in this slice, and what it allocated is not known.
  if (added < 0) continue;
  bytes += Math.max(0, added - looking);
  metered += slice;
}

// Second part, undisturbed: how often must the collector run? If it need not, the heap's growth is all that
// was ever allocated.
collect();
await setImmediate();
const before = heapBytes();
const start = performance.now();
const deadline = start + order.limitSeconds * 1000;
let done = 0;
while (done < target && performance.now() < deadline) {
  run(stretch);
  done += stretch;
}
const end = performance.now();
const growth = Math.max(0, heapBytes() - before - looking);
await setImmediate();
await setImmediate();
observer.disconnect();

const ran = collections.filter((time) => time >= start && time <= end).length;
parentPort!.postMessage({
  contestant: order.contestant,
  workload: order.workload,
  operations: 2 * done,
  collections: ran,
  bytesPerOperation: ran === 0 ? growth / (2 * done) : bytes / (2 * metered),
} satisfies Garbage);

/**
 * The collector as a function. Whatever went before has left objects behind; unless they are collected first,
 * V8 may do it in a task of its own in the middle of the measurement.
 */
function exposeCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

/** Bytes that one look at the heap costs when nothing else happens. */
function cheapestLook(): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 100; i++) {
    const before = heapBytes();
    const cost = heapBytes() - before;
    if (cost >= 0) least = Math.min(least, cost);
  }
  return least;
}
