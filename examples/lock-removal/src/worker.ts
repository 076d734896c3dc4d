/**
 * What each thread of an experiment runs: it gets its allocator from the step's program, and then does what
 * it is told.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { Board } from './board.ts';
import { type Order, obey } from './orders.ts';
import type { Shared, StepModule } from './step.ts';

/** What a worker is started with. */
export interface WorkerData {
  /** Which program: `step-0`, … */
  readonly program: string;
  readonly shared: Shared;
  readonly board: SharedArrayBuffer;
}

const { program, shared, board }: WorkerData = workerData;
const { StepAllocator }: StepModule = await import(new URL(`./${program}.js`, import.meta.url).href);
const place = { allocator: new StepAllocator(shared), board: new Board(board), thread: shared.thread };

parentPort?.on('message', (order: Order) => {
  parentPort?.postMessage(obey(place, order));
});
// The first message: this thread is at its place, and what the heap calls it.
parentPort?.postMessage(place.allocator.heap.threadId);
