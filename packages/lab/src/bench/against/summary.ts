/**
 * From rounds to a verdict: does the ratio of two builds differ from 1 by more than it differs from round to
 * round?
 *
 * The median of the rounds' ratios is known to lie between two of them: of two equal builds each round is a
 * toss of a coin, so all ratios but few come out on the same side of 1 as seldom as so many coins do. Nothing
 * is assumed of how the times are spread.
 */

import { median } from 'simple-statistics';
import type { AgainstSample } from './measure.ts';

/** How often a row may call two equal builds different. */
const FALSE_ALARMS = 0.005;

/** @public */
export type Verdict = 'same' | 'slower' | 'faster' | 'too few rounds';

/** @public */
export interface AgainstFigure {
  readonly allocator: string;
  readonly workload: string;
  readonly rounds: number;
  /** Nanoseconds an operation: the medians over the rounds. */
  readonly here: number;
  readonly there: number;
  /** The median over the rounds of this build's time ÷ the other one's. */
  readonly ratio: number;
  /**
   * The spread of the same, without what chance may have put outside; all of it where the rounds are too few.
   */
  readonly lower: number;
  readonly upper: number;
  /** `same` when 1 lies within the spread. */
  readonly verdict: Verdict;
}

/** How many rounds a verdict needs. @internal */
export const ENOUGH_ROUNDS = 9;

/**
 * How often n coins come out with at most `few` on either one of the sides.
 * @internal
 */
export function chanceOf(n: number, few: number): number {
  let ways = 1;
  let sum = 1;
  for (let k = 1; k <= few; k++) {
    ways *= (n - k + 1) / k;
    sum += ways;
  }
  return sum / 2 ** (n - 1);
}

/**
 * How many of the lowest ratios, and of the highest, chance may have put on the wrong side of 1; undefined
 * when there are too few for a verdict.
 * @param n - the number of rounds
 * @internal
 */
export function outliersOf(n: number): number | undefined {
  if (chanceOf(n, 0) > FALSE_ALARMS) return undefined;
  let few = 0;
  while (chanceOf(n, few + 1) <= FALSE_ALARMS) few++;
  return few;
}

/** @public */
export function summarizeAgainst(samples: readonly AgainstSample[]): AgainstFigure[] {
  return samples.map(({ allocator, workload, here, there }) => {
    const ratios = here.map((time, round) => time / there[round]);
    const sorted = ratios.toSorted((a, b) => a - b);
    const outliers = outliersOf(ratios.length);
    const lower = sorted[outliers ?? 0];
    const upper = sorted[sorted.length - 1 - (outliers ?? 0)];
    return {
      allocator,
      workload,
      rounds: ratios.length,
      here: median(here),
      there: median(there),
      ratio: median(ratios),
      lower,
      upper,
      verdict: outliers === undefined ? 'too few rounds' : verdictOf(lower, upper),
    };
  });
}

function verdictOf(lower: number, upper: number): Verdict {
  if (lower > 1) return 'slower';
  return upper < 1 ? 'faster' : 'same';
}
