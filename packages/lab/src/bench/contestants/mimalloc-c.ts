import type { NativeContestant } from '../contestant.ts';
import { calledFromC } from '../native/seat.ts';

/**
 * mimalloc as its users know it: C that calls `mi_malloc` and `mi_free` of the shared library. It works with
 * 64-bit addresses.
 * @public
 */
export const mimallocC: NativeContestant = calledFromC('mimalloc-c', 'C mimalloc', {
  flags: ['-DMIMALLOC', '-lmimalloc'],
  debian: 'libmimalloc-dev',
});
