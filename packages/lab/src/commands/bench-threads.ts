/** The part of `shmalloc bench` in which several threads play: what is planned, and what it comes to. */

import type { Absence } from '../bench/measure.ts';
import {
  LOCK_REFERENCE,
  THREAD_CONTESTANTS,
  TIME_REFERENCE,
  withMemory,
} from '../bench/threads/contestant.ts';
import { measureThreads, type ThreadPlan, threadSteps } from '../bench/threads/measure.ts';
import { MEMORY_WORKLOADS, type Memory, watchMemory } from '../bench/threads/memory.ts';
import type { Threads } from '../bench/threads/report.ts';
import { summarizeThreads } from '../bench/threads/summary.ts';
import { THREAD_WORKLOADS } from '../bench/threads/workload.ts';
import type { Progress } from '../progress.ts';
import { chosen } from './options.ts';

/** A hundred batches of the largest blocks fit, and what a heap needs besides. */
const REGION_BYTES = 1024 * 1024 * 1024;

/** How much is done, at leisure and in a hurry. */
const SCALES = {
  full: { rounds: 5, roundSeconds: 1, warmSeconds: 1, life: 500_000, memorySeconds: 60 },
  quick: { rounds: 3, roundSeconds: 0.1, warmSeconds: 0.2, life: 100_000, memorySeconds: 3 },
} as const;

/**
 * What of `shmalloc bench`'s options concerns it.
 * @internal
 */
export interface ThreadFlags {
  only?: string[];
  workload?: string[];
  rounds?: number;
  seed: number;
  quick?: boolean;
  threads: boolean;
  footprintSeconds?: number;
}

/**
 * What will be done.
 * @internal
 */
export interface ThreadJob {
  /** How many steps `run` will tell of. */
  readonly steps: number;
  /**
   * @param gone - names of contestants that are absent altogether and have been told of; they are not tried
   *   again
   * @returns null for what was left out, or no thread was chosen for
   */
  run(
    gone: ReadonlySet<string>,
    progress: Progress,
  ): Promise<{ threads: Threads | null; memory: Memory | null }>;
}

/** @internal */
export function threadJob(flags: ThreadFlags): ThreadJob {
  const { memorySeconds, ...scale } = flags.quick ? SCALES.quick : SCALES.full;
  const plan: ThreadPlan = {
    ...scale,
    contestants: flags.threads ? chosen(THREAD_CONTESTANTS, flags.only) : [],
    workloads: chosen(THREAD_WORKLOADS, flags.workload),
    rounds: flags.rounds ?? scale.rounds,
    bytes: REGION_BYTES,
    seed: flags.seed,
  };
  const seconds = flags.footprintSeconds ?? memorySeconds;
  const watched = seconds > 0 ? withMemory(plan.contestants) : [];
  const patient = chosen(MEMORY_WORKLOADS, flags.workload);
  return {
    steps: threadSteps(plan) + watched.length * patient.length,
    async run(gone, progress) {
      const step = (label: string): void => progress.step(label);
      const contestants = plan.contestants.filter(({ name }) => !gone.has(name));
      const { bytes, seed, life } = plan;
      return {
        threads: await threadsOf({ ...plan, contestants }, step),
        memory:
          watched.length * patient.length === 0
            ? null
            : await watchMemory(watched, patient, { bytes, seed, life, seconds }, step),
      };
    },
  };
}

async function threadsOf(plan: ThreadPlan, step: (label: string) => void): Promise<Threads | null> {
  const { contestants, workloads, ...parameters } = plan;
  if (contestants.length * workloads.length === 0) return null;
  const { samples, absences } = await measureThreads(plan, step);
  const references = [TIME_REFERENCE, LOCK_REFERENCE].map(({ contestant }) => contestant);
  return {
    plan: parameters,
    figures: summarizeThreads(samples, references),
    absences: merged(absences, workloads.length),
    samples,
  };
}

/** One that is absent in every workload for the same reason is told of once. */
function merged(absences: readonly Absence[], workloads: number): Absence[] {
  const same = (one: Absence, other: Absence): boolean =>
    one.contestant === other.contestant && one.reason === other.reason;
  return absences.flatMap((each, index) => {
    const alike = absences.filter((other) => same(each, other));
    if (alike.length < workloads) return [each];
    return absences.findIndex((other) => same(each, other)) === index
      ? [{ ...each, workload: 'several threads' }]
      : [];
  });
}
