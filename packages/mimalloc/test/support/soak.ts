/**
 * The long run: rounds of random programs on real workers, each on a heap of its own, until so many
 * operations are done or the time is up.
 *
 * ```
 *   seed ─▶ round 0, 1, 2, …: its own numbers, so that one round alone can be played again
 *           nine of ten: 2 … 4 workers that do everything (soak-worker.ts), under the oracle
 *           the tenth:   3 workers, one of which is killed, reaped and replaced, some times (kill-play.ts)
 * ```
 */

import { isDeepStrictEqual } from 'node:util';
import type { MiMallocOptions } from '@shmalloc/mimalloc';
import { Crew } from './crew.ts';
import { GROWING } from './growing.ts';
import { type Judge, randomOf } from './harness.ts';
import { killMany } from './kill-play.ts';
import type { SoakJob } from './soak-worker.ts';

/** How long, and from where. */
export interface SoakPlan {
  readonly seed: number;
  /** The first round. */
  readonly round?: number | undefined;
  readonly operations: number;
  readonly hours?: number | undefined;
  /** Operations of each thread in a round. */
  readonly each?: number | undefined;
  /** Kills in a round of kills. */
  readonly kills?: number | undefined;
  /** Whether the memory grows. Default: in seven rounds of eight. */
  readonly growing?: boolean | undefined;
  /** Called after each round. */
  readonly progress?: ((done: number, round: number) => void) | undefined;
  /** Another package than the one that is tested. */
  readonly planted?: ConstructorParameters<typeof Crew>[1]['planted'];
}

/** How it went. */
export interface SoakResult {
  readonly operations: number;
  /** Rounds that were played. */
  readonly rounds: number;
  /** What went wrong in the last one; empty when nothing did. */
  readonly fault: string;
}

const WORKER = new URL('./soak-worker.js', import.meta.url);

/** Operations that a kill stands for: so long its workers are at it. */
const KILL_COSTS = 1000;

/** Every tenth round is one of kills: the second, so that a short run has one. */
const isKillRound = (round: number): boolean => round % 10 === 1;

/** Demands by throwing. */
export const STRICT: Judge = {
  log: () => {},
  is: (actual, expected, message = '') =>
    demand(Object.is(actual, expected), `${message}: ${actual}, not ${expected}`),
  deepEqual: (actual, expected, message = '') =>
    demand(isDeepStrictEqual(actual, expected), `${message} ${JSON.stringify(actual)}`),
  true: (actual, message = '') => demand(actual === true, message),
};

function demand(holds: boolean, sentence: string): void {
  if (!holds) throw new Error(sentence);
}

/** Plays rounds. */
export async function soak(plan: SoakPlan): Promise<SoakResult> {
  const { seed, round: first = 0, operations, hours = Number.POSITIVE_INFINITY } = plan;
  const end = Date.now() + hours * 3_600_000;
  let done = 0;
  let round = first;
  for (; done < operations && Date.now() < end; round++) {
    try {
      done += await playRound(plan, seed, round);
    } catch (error) {
      const fault = error instanceof Error ? error.message : String(error);
      return { operations: done, rounds: round - first + 1, fault };
    }
    plan.progress?.(done, round);
  }
  return { operations: done, rounds: round - first, fault: '' };
}

/** Plays one round. @returns how many operations it had */
async function playRound(
  { each = 30_000, kills = 10, planted, growing: grows }: SoakPlan,
  seed: number,
  round: number,
): Promise<number> {
  const own = (seed + Math.imul(round, 0x9e3779b1)) >>> 0;
  const random = randomOf(own);
  const options: MiMallocOptions = {
    backing: random(2) === 0 ? 'wasm' : 'sab',
    secure: random(4) === 0 ? 1 + random(4) : 0,
    segmentShift: 16 + random(3),
    purgeDelay: [-1, 0, 10][random(3)],
    reclaimOnFree: random(4) === 0,
    seed: own,
  };
  if (isKillRound(round)) {
    // From level 3 on a block that a death loses may be marked as free, and then its page stays: nothing
    // could be demanded at the end.
    const secure = Math.min(options.secure ?? 0, 2);
    await killMany(STRICT, kills, { ...options, ...GROWING, secure }, own);
    return kills * KILL_COSTS;
  }
  // One round in eight on memory that was there from the start.
  const growing = random(8) !== 0 ? (grows ?? true) : (grows ?? false);
  const workers = 2 + random(3);
  const crew = new Crew(
    STRICT,
    { bytes: GROWING.maxBytes, parcels: 16, capacity: 8, ...options, growing, planted },
    own,
  );
  const jobs = Array.from({ length: workers }, (): SoakJob => ({ operations: each }));
  const counts = await crew.run<number>(WORKER, jobs);
  crew.finish();
  return counts.reduce((sum, count) => sum + count, 0);
}
