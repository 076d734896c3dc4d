/**
 * The measurement with several threads: for each workload every contestant gathers its crew, then the rounds
 * go round, as in `../measure.ts`. Where a workload has more than one size of crew, these play one directly
 * after the other, so that what one thread does and what two do are compared within a moment.
 *
 * ```
 *   round 1   MiMalloc: 1 worker, 2 workers    Mutex: 1 worker, 2 workers   …
 *   round 2                                    Mutex …                          MiMalloc …
 * ```
 *
 * The main thread sleeps meanwhile.
 */

import type { Absence } from '../measure.ts';
import { reasonOf, rotated } from '../measure.ts';
import type { ThreadContestant } from './contestant.ts';
import { type Crew, type CrewOrder, gatherCrew } from './crew.ts';
import { gatherNativeCrew } from './native-crew.ts';
import type { ThreadWorkload } from './workload.ts';

/** @public */
export interface ThreadPlan {
  readonly contestants: readonly ThreadContestant[];
  readonly workloads: readonly ThreadWorkload[];
  readonly rounds: number;
  readonly roundSeconds: number;
  /** How long everybody plays before anything counts. */
  readonly warmSeconds: number;
  /** Size of each region in bytes. */
  readonly bytes: number;
  readonly seed: number;
  /** Operations after which a thread ends, in workloads where they do. */
  readonly life: number;
}

/**
 * What one contestant did in one workload with one size of crew.
 * @public
 */
export interface ThreadSample {
  readonly contestant: string;
  readonly workload: string;
  readonly workers: number;
  /** Nanoseconds for each operation of all workers together, round by round. */
  readonly rounds: number[];
  /** Of those, in which each worker had something to do, round by round. */
  readonly busy: number[][];
  /**
   * Processor time ÷ busy time, round by round. Well below 1: the threads did not run although they had
   * something to do, because something else did, or one lay asleep in a lock.
   */
  readonly cpu: number[];
  /** Of the contestant, where its crew can tell. */
  readonly version?: string;
}

/** @public */
export interface ThreadMeasurement {
  readonly samples: ThreadSample[];
  readonly absences: Absence[];
}

/** How many steps {@link measureThreads} will tell of. @public */
export function threadSteps({ contestants, workloads, rounds }: ThreadPlan): number {
  return contestants.length * workloads.length * (1 + rounds);
}

/** @internal */
export function gather(
  contestant: ThreadContestant,
  workload: ThreadWorkload,
  order: CrewOrder,
): Promise<Crew> {
  return 'load' in contestant
    ? gatherCrew(contestant, workload, order)
    : gatherNativeCrew(contestant, workload, order);
}

/**
 * Measures everybody. A thread that cannot take part is left out with the reason; no thread stops the others.
 * @param plan - which contestants, and what
 * @param step - called before each step, with what it is
 * @public
 */
export async function measureThreads(
  plan: ThreadPlan,
  step: (label: string) => void = () => {},
): Promise<ThreadMeasurement> {
  const { bytes, seed, life } = plan;
  const samples: ThreadSample[] = [];
  const absences: Absence[] = [];
  for (const workload of plan.workloads) {
    let table: { contestant: ThreadContestant; crew: Crew; own: ThreadSample[] }[] = [];
    const leave = (contestant: ThreadContestant, error: unknown): void => {
      absences.push({ contestant: contestant.name, workload: workload.name, reason: reasonOf(error) });
    };
    for (const contestant of plan.contestants) {
      step(`${contestant.title}, ${workload.title}: warm up`);
      let crew: Crew | undefined;
      try {
        crew = await gather(contestant, workload, { workload: workload.name, bytes, seed, life });
        for (const workers of workload.crews) await crew.round(workers, plan.warmSeconds);
        const { version } = crew;
        const own = workload.crews.map(
          (workers): ThreadSample => ({
            contestant: contestant.name,
            workload: workload.name,
            workers,
            rounds: [],
            busy: [],
            cpu: [],
            ...(version !== undefined && { version }),
          }),
        );
        table.push({ contestant, crew, own });
      } catch (error) {
        leave(contestant, error);
        await crew?.close();
      }
    }
    for (let round = 0; round < plan.rounds; round++) {
      for (const place of rotated(table, round)) {
        const { contestant, crew, own } = place;
        step(`${contestant.title}, ${workload.title}: round ${round + 1}`);
        try {
          for (const { workers, rounds, busy, cpu } of own) {
            const tally = await crew.round(workers, plan.roundSeconds);
            rounds.push(tally.nanoseconds / tally.operations);
            busy.push(tally.busy.map((each) => each / tally.operations));
            cpu.push(tally.cpu / tally.busy.reduce((sum, each) => sum + each, 0));
          }
        } catch (error) {
          leave(contestant, error);
          await crew.close();
          table = table.filter((other) => other !== place);
        }
      }
    }
    for (const { crew, own } of table) {
      samples.push(...own);
      await crew.close();
    }
  }
  return { samples, absences };
}
