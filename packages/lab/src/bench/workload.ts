/** What is measured: the shape of a workload, and the list of them. One file each in `workloads/`. */

import type { Subject } from './contestant.ts';
import { churn } from './workloads/churn.ts';
import { pairs, pairsFifo } from './workloads/pairs.ts';

/**
 * A workload for one thread, counted in pairs: one malloc and one free.
 * @public
 */
export interface Workload {
  /** On the command line and in the JSON. */
  readonly name: string;
  /** Above its column. */
  readonly title: string;
  /** One line below the table. */
  readonly description: string;
  /** How many pairs it takes until the heap looks the way it will look from then on. */
  readonly settle: number;
  /** Pairs come in multiples of this. */
  readonly batch: number;
  /**
   * The numbers that {@link Workload.start} works through, for those that do the same work elsewhere.
   * @param seed - the same for every contestant
   */
  draw(seed: number): readonly Uint16Array[];
  /**
   * Draws the numbers and fills the heap.
   * @param subject - a fresh heap
   * @param seed - the same for every contestant
   * @returns the measured loop: does at least `pairs` pairs, in whole batches, going on where it last stopped
   */
  start(subject: Subject, seed: number): (pairs: number) => void;
}

/** Every workload, in the order of the table. @public */
export const WORKLOADS: readonly Workload[] = [pairs, pairsFifo, churn];

/**
 * The pairs that `count` stands for, in whole batches.
 * @public
 */
export function wholeBatches(workload: Workload, count: number): number {
  return Math.max(1, Math.ceil(count / workload.batch)) * workload.batch;
}
