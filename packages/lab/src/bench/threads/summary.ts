/**
 * From rounds to figures. Quotients are taken between rounds of the same number, and of the same size of
 * crew.
 */

import { median, quantile } from 'simple-statistics';
import type { ThreadSample } from './measure.ts';

/** @public */
export interface ThreadFigure {
  readonly contestant: string;
  readonly workload: string;
  /** How many played. */
  readonly workers: number;
  readonly rounds: number;
  /**
   * Nanoseconds for each operation of all workers together: wall time ÷ operations, the median over the
   * rounds.
   */
  readonly nanoseconds: number;
  /** The quartiles of the same. */
  readonly lower: number;
  readonly upper: number;
  /**
   * Of those nanoseconds, in which each worker had something to do: the medians. The larger one is what the
   * others wait for.
   */
  readonly busy: readonly number[];
  /** Operations a second of all workers together. */
  readonly perSecond: number;
  /**
   * By reference, the median over the rounds of own time ÷ the reference's time. None to a reference that is
   * absent.
   */
  readonly ratios: Readonly<Record<string, number>>;
  /**
   * The median over the rounds of throughput ÷ that of one worker. Where the workload is measured with one.
   */
  readonly scaling?: number;
}

/**
 * @param samples - what was measured
 * @param references - the contestants that ratios are against
 * @public
 */
export function summarizeThreads(
  samples: readonly ThreadSample[],
  references: readonly string[],
): ThreadFigure[] {
  return samples.map((sample) => {
    const { contestant, workload, workers, rounds } = sample;
    const other = (name: string, crew: number): ThreadSample | undefined =>
      samples.find((each) => each.contestant === name && each.workload === workload && each.workers === crew);
    const ratios: Record<string, number> = {};
    for (const reference of references) {
      const base = other(reference, workers);
      if (base) ratios[reference] = quotient(rounds, base.rounds);
    }
    const alone = other(contestant, 1);
    const nanoseconds = median(rounds);
    return {
      contestant,
      workload,
      workers,
      rounds: rounds.length,
      nanoseconds,
      lower: quantile(rounds, 0.25),
      upper: quantile(rounds, 0.75),
      busy: Array.from({ length: workers }, (_, worker) => median(sample.busy.map((each) => each[worker]))),
      perSecond: 1e9 / nanoseconds,
      ratios,
      ...(alone && { scaling: quotient(alone.rounds, rounds) }),
    };
  });
}

function quotient(times: readonly number[], bases: readonly number[]): number {
  return median(times.map((time, round) => time / bases[round]));
}
