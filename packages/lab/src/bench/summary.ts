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
  /** Median over the rounds of own time ÷ the reference's time in the same round; null when the reference is absent. */
  readonly ratio: number | null;
}

/**
 * @param samples - what was measured
 * @param reference - the contestant that ratios are against
 * @public
 */
export function summarize(samples: readonly Sample[], reference: string): Figure[] {
  return samples.map(({ contestant, workload, pairs, rounds }) => {
    const base = samples.find((other) => other.contestant === reference && other.workload === workload);
    return {
      contestant,
      workload,
      pairs,
      rounds: rounds.length,
      nanoseconds: median(rounds),
      lower: quantile(rounds, 0.25),
      upper: quantile(rounds, 0.75),
      ratio: base === undefined ? null : median(rounds.map((time, round) => time / base.rounds[round])),
    };
  });
}
