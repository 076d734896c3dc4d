/** What `steps.json` holds: the experiments of the lock's removal, and the throughput of its steps. */

import type { Effort, Outcome, Speed } from '@shmalloc/lock-removal';
import type { Machine } from '../machine.ts';

/**
 * The steps that were taken.
 * @public
 */
export interface StepsReport {
  /** The command that makes such a report again. */
  command: string;
  machine: Machine;
  /** How long all of it took. */
  seconds: number;
  /** How much was measured. */
  effort: Effort;
  /** What was taken, in order. */
  steps: StepResult[];
}

/**
 * One step.
 * @public
 */
export interface StepResult {
  /** 0 … 6. */
  step: number;
  /** What stands around the allocator: in a few words, and in full. */
  short: string;
  guard: string;
  /** Why several threads are not measured: what would happen. Empty where they are. */
  why: string;
  /** What the experiments have shown; none when only throughput was measured. */
  outcomes: Outcome[];
  /** Throughput by number of threads. */
  speeds: Speed[];
}
