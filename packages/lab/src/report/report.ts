/** The shape of `report.json`: what the main job found, by allocator, lock and trace. */

import type { Machine } from '../machine.ts';
import type { StepsReport } from '../steps/report.ts';

/**
 * Everything that a job found.
 * @public
 */
export interface Report {
  /** Version of this shape. */
  schema: 1;
  /** The command that makes such a report again. */
  command: string;
  /** What it ran on. */
  machine: Machine;
  /** How long the whole job took. */
  seconds: number;
  /** What was replayed. */
  traces: TraceSummary[];
  /** One entry for every allocator, lock and trace. */
  results: Result[];
  /** The removal of the lock, when that was measured, too. */
  steps?: StepsReport;
}

/**
 * One trace: where it comes from, and what it asks of an allocator.
 * @public
 */
export interface TraceSummary {
  name: string;
  /** Which program was recorded and how, in a sentence. */
  description: string;
  /** Allocations, reallocations and frees. */
  operations: number;
  /** Threads that were recorded. */
  threads: number;
  /** The most bytes that were live at once, in the recorded order. */
  peakLiveBytes: number;
  /** Frees (and reallocations) of a block by a thread that did not allocate it. */
  crossThreadFrees: number;
  /** How large the blocks are that it asks for. */
  sizes: SizeClass[];
}

/**
 * Blocks of similar size: above half of `upTo` and not above it.
 * @public
 */
export interface SizeClass {
  /** The largest size in this class, in bytes: a power of two. */
  upTo: number;
  /** How many such blocks were asked for. */
  blocks: number;
  /** Their bytes together. */
  bytes: number;
}

/**
 * One trace replayed through one allocator behind one lock.
 * @public
 */
export interface Result {
  allocator: string;
  lock: string;
  trace: string;
  /** Real threads that replayed it. */
  cpus: number;
  /** Operations of one replay, on all CPUs together. */
  operations: number;
  /**
   * Time of one replay, from the first operation of any CPU to the last of all: the median of `repetitions`.
   */
  seconds: number;
  /** The most bytes that were live at once in the checked replay, as requested. */
  peakLiveBytes: number;
  /** Bytes of the region that the allocator had ever touched by the end. */
  peakFootprintBytes: number;
  /** Requests that were answered with 0, in the replay that had most of them. */
  failedAllocations: number;
  /** What the oracle found in the checked replay. */
  violations: number;

  /** The region that the allocator had. */
  regionBytes: number;
  /** Seconds of each timed replay, in order. */
  repetitions: number[];
  /** Seconds of the checked replay. */
  checkedSeconds: number;
  /** Live bytes and footprint on the way, from the checked replay. */
  samples: Samples;
  /** The first few violations, in words. */
  firstViolations: string[];
}

/**
 * Figures on the way through a replay, one column each.
 * @public
 */
export interface Samples {
  /** Operations done so far by all CPUs. */
  operations: number[];
  /** Requested bytes in live blocks: the most since the sample before. */
  liveBytes: number[];
  /** Bytes of the region touched so far. */
  footprintBytes: number[];
}

/**
 * @returns violations of all results
 * @public
 */
export function totalViolations(report: Pick<Report, 'results'>): number {
  return report.results.reduce((sum, result) => sum + result.violations, 0);
}

/**
 * @returns failed allocations of all results
 * @public
 */
export function totalFailures(report: Pick<Report, 'results'>): number {
  return report.results.reduce((sum, result) => sum + result.failedAllocations, 0);
}

/**
 * The values of one field over the results, each once, in order of appearance.
 * @public
 */
export function distinct<K extends 'allocator' | 'lock' | 'trace'>(
  results: readonly Result[],
  key: K,
): string[] {
  return [...new Set(results.map((result) => result[key]))];
}

/**
 * @returns the result of this allocator, lock and trace, if there is one
 * @public
 */
export function findResult(
  results: readonly Result[],
  allocator: string,
  lock: string,
  trace: string,
): Result | undefined {
  return results.find((r) => r.allocator === allocator && r.lock === lock && r.trace === trace);
}
