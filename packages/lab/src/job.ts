/**
 * The job behind `run` and `replay`: every trace through every allocator and lock, one after the other, into
 * one report.
 */

import os from 'node:os';
import type { LockKind } from '@shmalloc/allocator-api';
import type { AllocatorName } from '@shmalloc/kernel';
import { planReplay, type ReplayPlan, type Trace, traceInfo } from '@shmalloc/trace';
import { median } from 'simple-statistics';
import { describeMachine } from './machine.ts';
import type { Progress } from './progress.ts';
import {
  type Effort,
  planClosely,
  regionFor,
  type Timing,
  time,
  type Watched,
  watch,
} from './replay/measure.ts';
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
  /** One that is told about each step. */
  progress: Progress;
}

/** A trace made ready. */
interface Case {
  name: string;
  trace: Trace;
  summary: TraceSummary;
  regionBytes: number;
  /** For the timed replays: CPUs wait for each other only where a block passes between them. */
  plan: ReplayPlan;
}

/**
 * How many steps {@link runJob} tells its progress about.
 * @public
 */
export function stepsOf(workloads: readonly Workload[], configurations: readonly Configuration[]): number {
  return 2 * workloads.length * configurations.length;
}

/**
 * Does the whole job. First every trace is replayed watched through everything, several machines at a time
 * where there are processors for them; then everything is timed, one machine at a time and nothing else at
 * work.
 * @throws JobError when a CPU panics
 * @public
 */
export async function runJob(
  workloads: readonly Workload[],
  configurations: readonly Configuration[],
  options: JobOptions,
): Promise<Report> {
  const began = performance.now();
  const cases = workloads.map((workload) => makeReady(workload, options.cpus));
  const watched: Watched[][] = [];
  for (const each of cases) watched.push(await watchAll(each, configurations, options));
  const timed: Timing[][] = [];
  for (const configuration of configurations) timed.push(await timeAll(cases, configuration, options));
  const results = cases.flatMap(({ name, plan, regionBytes }, row) =>
    configurations.map((configuration, column): Result => {
      const { repetitions, failedAllocations } = timed[column][row];
      const seen = watched[row][column];
      return {
        ...configuration,
        trace: name,
        cpus: options.cpus,
        operations: plan.operations,
        seconds: median(repetitions),
        regionBytes,
        repetitions,
        ...seen,
        failedAllocations: Math.max(failedAllocations, seen.failedAllocations),
      };
    }),
  );
  return {
    schema: 1,
    command: options.command,
    machine: describeMachine(),
    seconds: (performance.now() - began) / 1000,
    traces: cases.map(({ summary }) => summary),
    results,
  };
}

function makeReady({ name, description, trace }: Workload, cpus: number): Case {
  const summary = summarize(name, description, trace);
  return {
    name,
    trace,
    summary,
    regionBytes: regionFor(summary.peakLiveBytes),
    plan: planReplay(trace, cpus),
  };
}

/** Watches one trace through everything. */
function watchAll(
  { name, trace, regionBytes }: Case,
  configurations: readonly Configuration[],
  { cpus, effort, progress }: JobOptions,
): Promise<Watched[]> {
  const plan = planClosely(trace, cpus);
  const atOnce = Math.floor(os.availableParallelism() / Math.min(cpus, trace.threads));
  return inParallel(configurations, atOnce, (configuration) => {
    progress.step(label(name, configuration, effort.check ? 'checking' : 'watching'));
    return watch({ configuration, cpus, regionBytes }, name, plan, effort.check);
  });
}

/**
 * Times all traces through one allocator and lock: those that have regions of one size on one machine, the
 * shortest first. By that one the code is compiled, and all others find it warm.
 */
async function timeAll(
  cases: readonly Case[],
  configuration: Configuration,
  { cpus, effort, progress }: JobOptions,
): Promise<Timing[]> {
  const timings = new Map<Case, Timing>();
  for (const regionBytes of new Set(cases.map((each) => each.regionBytes))) {
    const group = cases.filter((each) => each.regionBytes === regionBytes);
    group.sort((a, b) => a.plan.operations - b.plan.operations);
    const found = await time({ configuration, cpus, regionBytes }, group, effort, ({ name }) =>
      progress.step(label(name, configuration, 'timing')),
    );
    group.forEach((each, index) => {
      timings.set(each, found[index]);
    });
  }
  return cases.map((each) => timings.get(each) as Timing);
}

function label(trace: string, { allocator, lock }: Configuration, doing: string): string {
  return `${trace} · ${allocator} · ${lock} · ${doing}`;
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
