/**
 * Takes the steps of the lock's removal: every experiment, and then the throughput of all steps beside each
 * other.
 */

import { type Effort, measureThroughput, type Outcome, STEPS, type Step } from '@shmalloc/lock-removal';
import { describeMachine } from '../machine.ts';
import type { Progress } from '../progress.ts';
import type { StepsReport } from './report.ts';

/** How much is measured at leisure, and beside something else: 12 and 6 seconds. */
export const LEISURE: Effort = { rounds: 7, milliseconds: 80 };
/** @internal */
export const IN_PASSING: Effort = { rounds: 5, milliseconds: 40 };

/**
 * What to do.
 * @public
 */
export interface StepsJob {
  /** Which steps. */
  steps: readonly Step[];
  /** Whether to run their experiments, too. */
  experiments: boolean;
  effort: Effort;
  /** The command that does the same again. */
  command: string;
  progress: Progress;
  /** Told of each outcome when it is there. */
  onOutcome?: (step: Step, outcome: Outcome) => void;
}

/** How many steps {@link takeSteps} tells its progress about. */
export function progressOf({
  steps,
  experiments,
  effort,
}: Pick<StepsJob, 'steps' | 'experiments' | 'effort'>): number {
  return effort.rounds + (experiments ? steps.reduce((sum, step) => sum + step.experiments.length, 0) : 0);
}

/**
 * Takes them.
 * @public
 */
export async function takeSteps(job: StepsJob): Promise<StepsReport> {
  const { steps, experiments, effort, command, progress, onOutcome } = job;
  const begin = performance.now();
  const outcomes = new Map<number, Outcome[]>();
  if (experiments) {
    for (const step of steps) {
      const list: Outcome[] = [];
      outcomes.set(step.step, list);
      for (const experiment of step.experiments) {
        progress.step(`step ${step.step}: ${step.short}`);
        const outcome = await experiment();
        list.push(outcome);
        onOutcome?.(step, outcome);
      }
    }
  }
  const numbers = steps.map(({ step }) => step);
  const speeds = await measureThroughput(numbers, effort, (round) =>
    progress.step(`throughput of the steps, round ${round + 1}`),
  );
  return {
    command,
    machine: describeMachine(),
    seconds: (performance.now() - begin) / 1000,
    effort,
    steps: steps.map(({ step, short, guard, why }) => ({
      step,
      short,
      guard,
      why,
      outcomes: outcomes.get(step) ?? [],
      speeds: speeds.filter((speed) => speed.step === step),
    })),
  };
}

/** All steps, their throughput only: what the main job adds to its report. */
export function takeStepsInPassing(command: string, progress: Progress): Promise<StepsReport> {
  return takeSteps({ steps: STEPS, experiments: false, effort: IN_PASSING, command, progress });
}
