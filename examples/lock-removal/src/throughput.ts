/**
 * How fast each step is, with 1, 2 and 4 threads, all in one run.
 *
 * ```
 *   round 1:   step 0 · 1   step 1 · 1  step 1 · 2  step 1 · 4   step 2 · 1  …  step 6 · 4
 *   round 2:   the same again, on the same heaps and threads            the median of the rounds counts
 * ```
 *
 * Each step has a heap and threads of its own, so the engine sees one allocator in each of them.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { Crew, LONG_MS } from './crew.ts';
import { STEPS } from './steps.ts';

/**
 * One figure.
 * @public
 */
export interface Speed {
  readonly step: number;
  readonly threads: number;
  /** Pairs of malloc and free a second, of all threads together: the median. */
  readonly pairsPerSecond: number;
  /** Of each round. */
  readonly rounds: readonly number[];
  /** How often another thread was inside, for each pair: the median. */
  readonly refusedPerPair: number;
}

/**
 * How much is measured.
 * @public
 */
export interface Effort {
  readonly rounds: number;
  /** Of each figure in each round. */
  readonly milliseconds: number;
}

/**
 * Numbers of threads.
 * @public
 */
export const THREAD_COUNTS: readonly number[] = [1, 2, 4];

/** Milliseconds of each step before the first round. */
const WARM_UP_MS = 150;
/** Blocks that a thread holds. */
const HELD = 512;

/**
 * Measures every step. A step that corrupts or refuses is measured with one thread only.
 * @param steps - numbers of those to measure
 * @param progress - told before each round
 * @public
 */
export async function measureThroughput(
  steps: readonly number[],
  { rounds, milliseconds }: Effort,
  progress: (round: number) => void = () => {},
): Promise<Speed[]> {
  const chosen = STEPS.filter(({ step }) => steps.includes(step));
  const crews: Crew[] = [];
  try {
    for (const { program, forOne } of chosen)
      crews.push(await Crew.of(program, forOne ? 1 : Math.max(...THREAD_COUNTS)));
    // The engine compiles what it sees often: all threads at work, off the clock.
    for (const crew of crews) await measureOnce(crew, crew.hands.length, WARM_UP_MS);
    const samples = new Map<string, { rate: number; refused: number }[]>();
    for (let round = 0; round < rounds; round++) {
      progress(round);
      for (const [index, { step, forOne }] of chosen.entries()) {
        for (const threads of forOne ? [1] : THREAD_COUNTS) {
          const key = `${step} ${threads}`;
          const sample = await measureOnce(crews[index], threads, milliseconds);
          samples.set(key, [...(samples.get(key) ?? []), sample]);
        }
      }
    }
    return [...samples].map(([key, list]) => {
      const [step, threads] = key.split(' ').map(Number);
      const all = list.map(({ rate }) => rate);
      return {
        step,
        threads,
        pairsPerSecond: median(all),
        rounds: all,
        refusedPerPair: median(list.map(({ refused }) => refused)),
      };
    });
  } finally {
    await Promise.all(crews.map((crew) => crew.dismiss()));
  }
}

async function measureOnce(
  { hands, board }: Crew,
  threads: number,
  milliseconds: number,
): Promise<{ rate: number; refused: number }> {
  board.hold();
  const working = hands.slice(0, threads);
  for (const { thread } of working) board.tell(thread, 0);
  const answers = working.map((hand, seed) =>
    hand.tell({ what: 'churn', seed, slots: HELD, hugeEvery: 0 }, milliseconds + LONG_MS),
  );
  board.go();
  // One that does not get a processor at once is waited for: a thread that has done nothing has no rate.
  const late = performance.now() + LONG_MS;
  while (working.some(({ thread }) => board.progressOf(thread) === 0) && performance.now() < late)
    await sleep(1);
  await sleep(milliseconds);
  board.stop();
  let rate = 0;
  let pairs = 0;
  let refused = 0;
  for (const answer of await Promise.all(answers)) {
    if (answer === undefined) throw new Error(`a thread did not stop when it was told to`);
    rate += answer.pairs / answer.seconds;
    pairs += answer.pairs;
    refused += answer.refused;
  }
  return { rate, refused: pairs === 0 ? 0 : refused / pairs };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
