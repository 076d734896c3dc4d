import { AllocError, type AllocErrorCode } from '@shmalloc/allocator-api';
import type { ExecutionContext } from 'ava';

export const PAGE = 4096;

/** The seed of a random test: of the environment, or by the clock. It is printed. */
export function seedOf(t: ExecutionContext): number {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  t.log(`seed ${seed}`);
  return seed;
}

/** Numbers below `n`, from a linear congruential generator. */
export function randomOf(seed: number): (n: number) => number {
  let state = seed | 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return Math.floor(((state >>> 0) / 2 ** 32) * n);
  };
}

/** Demands an AllocError of this code; with `shown`, that its message names it. */
export function refused(t: ExecutionContext, code: AllocErrorCode, call: () => unknown, shown = ''): void {
  const error = t.throws(call, { instanceOf: AllocError });
  t.is(error?.code, code, error?.message);
  t.true(error?.message.includes(shown), `${error?.message} does not name ${shown}`);
}
