/**
 * What tests with threads have in common, in every package: random numbers that come again, a place to meet,
 * and what a worker has to say.
 */

import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';

/**
 * The seed of a test: `SEED` of the environment, or by the clock. It is logged, so that a failure can be run
 * again.
 */
export function seedOf(t: { log(...values: unknown[]): void }): number {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  t.log(`seed ${seed}`);
  return seed;
}

/** Numbers below `n`, the same for the same seed. */
export type Random = (n: number) => number;

/** A generator with 32 bits of state (mulberry32). */
export function randomOf(seed: number): Random {
  let state = seed | 0;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return Math.floor((((x ^ (x >>> 14)) >>> 0) / 2 ** 32) * n);
  };
}

/** Puts an array into random order. */
export function shuffle<T>(items: T[], random: Random): T[] {
  for (let left = items.length; left > 1; ) {
    const pick = random(left--);
    [items[left], items[pick]] = [items[pick], items[left]];
  }
  return items;
}

/** The next message of a worker. Its failure, and its end before there is one, are errors. */
export async function answerOf<T>(worker: Worker): Promise<T> {
  const answered = new AbortController();
  const { signal } = answered;
  const message = once(worker, 'message', { signal });
  const exit = once(worker, 'exit', { signal });
  try {
    return (await Promise.race([message, exit.then(([code]) => failed(code))]))[0] as T;
  } finally {
    answered.abort();
  }
}

function failed(code: number): never {
  throw new Error(`a worker ended with code ${code} and without an answer`);
}

export { Barrier } from '../../dist/kit/jobs.js';
