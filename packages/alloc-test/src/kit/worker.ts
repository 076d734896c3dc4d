/**
 * A worker of the kit, for one job after another: it attaches to the heap and to the oracle, does the job,
 * detaches, and says how it went. An error is an answer too.
 */

import { parentPort } from 'node:worker_threads';
import type { HeapAlgorithm } from '@shmalloc/allocator-api';
import { CheckedAllocator } from '../oracle/checked-allocator.ts';
import { Oracle } from '../oracle/oracle.ts';
import { type Job, work } from './jobs.ts';

/** What a worker answers. */
export type Answer = { readonly operations: number } | { readonly error: string };

async function run(job: Job): Promise<number> {
  const algorithm = ((await import(job.module)) as Record<string, HeapAlgorithm>)[job.exportName];
  if (algorithm === undefined) throw new Error(`${job.module} exports no ${job.exportName}`);
  const heap = algorithm.attach(job.handle, job.lock === undefined ? {} : { lock: job.lock });
  // A wrong free would flood the console from every thread; the oracle sees it before the heap does.
  heap.registerError(() => {});
  try {
    return work(new CheckedAllocator(heap, Oracle.attach(job.oracle), job.thread), job);
  } finally {
    heap.detach();
  }
}

parentPort?.on('message', async (job: Job) => {
  const answer: Answer = await run(job).then(
    (operations) => ({ operations }),
    (error) => ({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
  parentPort?.postMessage(answer);
});
