/**
 * The garbage meter: how many bytes of JavaScript heap an operation allocates, and how often the collector
 * had to run.
 *
 * A worker with a young generation of 1 MiB runs the workload twice. First in a few slices, and reads the
 * heap's size between them: what a slice has added is what it allocated, to the byte, unless the collector
 * ran in it. Then undisturbed, and counts the collections; when there was none, the growth of the heap over
 * the whole run is the exact answer, one late compilation or another included.
 */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { IsolateContestant, SeatOrder } from './contestant.ts';
import type { IsolateData } from './isolate.ts';

/** @public */
export interface Garbage {
  readonly contestant: string;
  readonly workload: string;
  /** A malloc is one, a free is one. */
  readonly operations: number;
  /** Collections, major and minor, while they ran. */
  readonly collections: number;
  /** Bytes of JavaScript heap that an operation allocates. */
  readonly bytesPerOperation: number;
}

/** @public */
export interface GarbageOrder extends SeatOrder {
  readonly operations: number;
  /** When to stop at the latest. */
  readonly limitSeconds: number;
}

/** @public */
export interface GarbageData extends IsolateData {
  readonly operations: number;
  readonly limitSeconds: number;
}

/** Megabytes of new objects until the collector must run. */
const YOUNG_MB = 1;

/** @public */
export async function meterGarbage(contestant: IsolateContestant, order: GarbageOrder): Promise<Garbage> {
  const workerData: GarbageData = { ...order, contestant: contestant.name };
  const worker = new Worker(new URL('./garbage-worker.js', import.meta.url), {
    workerData,
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
  });
  const exit = once(worker, 'exit');
  const [garbage] = (await once(worker, 'message')) as [Garbage];
  await exit;
  return garbage;
}
