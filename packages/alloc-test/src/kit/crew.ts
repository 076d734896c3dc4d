/**
 * A crew of real workers on one heap, with a watchdog: a broken allocator may send a worker round in circles
 * without end.
 */

import { Worker } from 'node:worker_threads';
import type { Oracle } from '../oracle/oracle.ts';
import type { Job } from './jobs.ts';
import type { Answer } from './worker.ts';

/** How one worker ended. */
export type Outcome =
  | { readonly end: 'done'; readonly operations: number }
  | { readonly end: 'failed'; readonly error: string }
  | { readonly end: 'stopped' };

/** How long the crew may work. */
export interface CrewOptions {
  /** Seconds until workers that still run are terminated. */
  readonly seconds: number;
  /**
   * Seconds of processor time that this process may use meanwhile, for work that may go wrong and need not
   * end: on a machine that does other things the crew gets as much done with them as on one that does not.
   */
  readonly workSeconds?: number;
  /** Stop everyone as soon as this oracle has found something. */
  readonly untilViolation?: Oracle;
}

const POLL_MS = 20;

/** Workers that have done their job well, and wait for another: to start one costs as much as a short job. */
const idle: Worker[] = [];

/** Starts one worker for each job and waits until all have done it, or have been stopped. Never rejects. */
export async function runCrew(jobs: readonly Job[], options: CrewOptions): Promise<Outcome[]> {
  const { workSeconds = Number.POSITIVE_INFINITY } = options;
  const experienced = idle.splice(0, jobs.length);
  const fresh = jobs.slice(experienced.length).map(() => new Worker(new URL('./worker.js', import.meta.url)));
  const workers = [...experienced, ...fresh];
  let stopped = false;
  const working = new Set(workers);
  const outcomes = workers.map(async (worker, index) => {
    const outcome = await outcomeOf(worker, jobs[index], () => stopped);
    working.delete(worker);
    if (outcome.end === 'done' && !stopped) idle.push(worker);
    return outcome;
  });
  const stopAll = (): void => {
    if (stopped) return;
    stopped = true;
    for (const worker of working) void worker.terminate();
  };
  // The clock starts when the last worker has: on a busy machine that alone can take a second.
  let offline = fresh.length;
  let deadline = Number.POSITIVE_INFINITY;
  let used = 0;
  const startClock = (): void => {
    deadline = Date.now() + options.seconds * 1000;
    used = processorSeconds();
  };
  if (offline === 0) startClock();
  for (const worker of fresh) worker.once('online', () => --offline === 0 && startClock());
  const watchdog = setInterval(() => {
    const isOver = Date.now() > deadline || processorSeconds() - used > workSeconds;
    if ((offline === 0 && isOver) || (options.untilViolation?.violationCount ?? 0) > 0) stopAll();
  }, POLL_MS);
  // Others may wait for a worker that has failed.
  for (const outcome of outcomes) void outcome.then(({ end }) => end === 'failed' && stopAll());
  try {
    return await Promise.all(outcomes);
  } finally {
    clearInterval(watchdog);
  }
}

/** Of this process, all threads together. */
function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Has a worker do a job. One that has done it waits for the next; one that has failed in any way ends. */
function outcomeOf(worker: Worker, job: Job, wasStopped: () => boolean): Promise<Outcome> {
  return new Promise((resolve) => {
    let outcome: Outcome | undefined;
    worker.on('message', (answer: Answer) => {
      outcome = 'error' in answer ? { end: 'failed', ...answer } : { end: 'done', ...answer };
      if (outcome.end === 'failed') void worker.terminate();
      // What was said just before the end: it will not do another job.
      if (outcome.end === 'failed' || wasStopped()) return;
      // By name: the engine listens to a worker, too.
      for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
      worker.unref();
      resolve(outcome);
    });
    worker.on('error', (error) => {
      outcome = { end: 'failed', error: String(error) };
    });
    worker.on('exit', (code) => {
      const silent = { end: 'failed', error: `it exited with code ${code} and without an answer` } as const;
      resolve(outcome ?? (wasStopped() ? { end: 'stopped' } : silent));
    });
    worker.ref();
    worker.postMessage(job);
  });
}
