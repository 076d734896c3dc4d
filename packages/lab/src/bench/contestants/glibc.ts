import type { NativeContestant } from '../contestant.ts';
import { calledFromC } from '../native/seat.ts';

/**
 * The allocator that C programs on Linux get when they ask for none.
 * @public
 */
export const glibc: NativeContestant = calledFromC('glibc', 'glibc malloc', {
  flags: [],
  debian: '',
});
