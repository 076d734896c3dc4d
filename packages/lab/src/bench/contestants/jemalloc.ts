import type { NativeContestant } from '../contestant.ts';
import { calledFromC } from '../native/seat.ts';

/** @public */
export const jemalloc: NativeContestant = calledFromC('jemalloc', 'jemalloc', {
  flags: ['-DJEMALLOC', '-ljemalloc'],
  debian: 'libjemalloc-dev',
});
