/** The job behind `run` and `replay`: every trace through every allocator and lock, one after the other, into one report. */

import os from 'node:os';
import type { AllocatorName, LockKind } from '@shmalloc/kernel';
import { type Trace, traceInfo } from '@shmalloc/trace';
import { describeMachine } from './machine.ts';
import type { Progress } from './progress.ts';
import { type Effort, makePlans, resultOf, type Subject, time, watch } from './replay/measure.ts';
import { sizeClasses } from './replay/sizes.ts';
import type { Report, Result, TraceSummary } from './report/report.ts';

/**
 * A trace to replay.
 * @public
 */
export interface Workload {
  name: string;
  description: string;
  trace: Trace;
}

/**
 * What to replay it through.
 * @public
 */
export interface Configuration {
  allocator: AllocatorName;
  lock: LockKind;
}

/**
 * How to do the job.
 * @public
 */
export interface JobOptions {
  /** Real threads. */
  cpus: number;
  /** How much to measure. */
  effort: Effort;
  /** The command that does the same job again. */
  command: string;
  /** Who is told about each step. */
  progress: Progress;
}

/**
 * How many steps {@link runJob} tells its progress about.
 * @public
 */
export function stepsOf(workloads: readonly Workload[], configurations: readonly Configuration[]): number {
  return 2 * workloads.length * configurations.length;
}

/**
 * Does the whole job. First a trace is replayed watched through everything, several machines at a time where there are processors for
 * them; then it is timed, one machine at a time and nothing else at work.
 * @public
 */
export async function runJob(
  workloads: readonly Workload[],
  configurations: readonly Configuration[],
  { cpus, effort, command, progress }: JobOptions,
): Promise<Report> {
  const began = performance.now();
  const results: Result[] = [];
  const traces: TraceSummary[] = [];
  for (const { name, description, trace } of workloads) {
    const summary = summarize(name, description, trace);
    const plans = makePlans(trace, cpus);
    const subjects = configurations.map(
      (configuration): Subject => ({ trace: summary, plans, configuration, cpus }),
    );
    const tell = ({ configuration }: Subject, doing: string): void => {
      progress.step(`${name} · ${configuration.allocator} · ${configuration.lock} · ${doing}`);
    };
    const atOnce = Math.floor(os.availableParallelism() / Math.min(cpus, trace.threads));
    const watched = await inParallel(subjects, atOnce, (subject) => {
      tell(subject, effort.check ? 'checking' : 'watching');
      return watch(subject, effort.check);
    });
    for (const [index, subject] of subjects.entries()) {
      tell(subject, 'timing');
      results.push(resultOf(subject, watched[index], await time(subject, effort)));
    }
    traces.push(summary);
  }
  const seconds = (performance.now() - began) / 1000;
  return { schema: 1, command, machine: describeMachine(), seconds, traces, results };
}

/**
 * Works on items, a few at a time.
 * @param width - how many; at least one
 * @returns what came of each, in their order
 * @throws the first error, once nothing is under way any more
 * @public
 */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const errors: unknown[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length && errors.length === 0) {
      const index = next++;
      try {
        results[index] = await work(items[index]);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, width) }, lane));
  if (errors.length > 0) throw errors[0];
  return results;
}

function summarize(name: string, description: string, trace: Trace): TraceSummary {
  const { operations, threads, peakLiveBytes, crossThreadFrees } = traceInfo(trace);
  return {
    name,
    description,
    operations,
    threads,
    peakLiveBytes,
    crossThreadFrees,
    sizes: sizeClasses(trace),
  };
}
