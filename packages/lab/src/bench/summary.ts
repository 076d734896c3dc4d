/** From rounds to figures: medians, their spread, and ratios between rounds of the same number. */

import { median, quantile } from 'simple-statistics';
import type { Sample } from './measure.ts';

/** @public */
export interface Figure {
  readonly contestant: string;
  readonly workload: string;
  /** Pairs in a round. */
  readonly pairs: number;
  readonly rounds: number;
  /** Nanoseconds a pair: the median over the rounds. */
  readonly nanoseconds: number;
  /** The quartiles of the same. */
  readonly lower: number;
  readonly upper: number;
  /**
   * By reference, the median over the rounds of own time ÷ the reference's time in the same round. None to a
   * reference that is absent.
   */
  readonly ratios: Readonly<Record<string, number>>;
}

/**
 * @param samples - what was measured
 * @param references - the contestants that ratios are against
 * @public
 */
export function summarize(samples: readonly Sample[], references: readonly string[]): Figure[] {
  return samples.map(({ contestant, workload, pairs, rounds }) => {
    const ratios: Record<string, number> = {};
    for (const reference of references) {
      const base = samples.find((other) => other.contestant === reference && other.workload === workload);
      if (base) ratios[reference] = median(rounds.map((time, round) => time / base.rounds[round]));
    }
    return {
      contestant,
      workload,
      pairs,
      rounds: rounds.length,
      nanoseconds: median(rounds),
      lower: quantile(rounds, 0.25),
      upper: quantile(rounds, 0.75),
      ratios,
    };
  });
}
