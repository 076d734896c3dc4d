/** An allocator that is called from C, and the programs of `native/` made for it. */

import { compile } from './compiler.ts';

/**
 * What the compiler has to know of it. `native/allocator.h` knows the rest.
 * @public
 */
export interface CAllocator {
  /** Chooses it in `allocator.h`, and links with it. */
  readonly flags: readonly string[];
  /** Debian's package of it. */
  readonly debian: string;
}

/**
 * `-fno-builtin`, so that the compiler does not leave out a block that is only freed again. What else stands
 * here is what C programs are usually compiled with.
 */
const FLAGS: readonly string[] = ['-std=gnu11', '-O2', '-fno-builtin'];

/**
 * Compiles a program of `native/` for an allocator, once in the life of this process.
 * @param source - the program
 * @param allocator - what it shall call
 * @returns the path of the program
 * @throws Error of one line when there is no C compiler, or no such library
 * @internal
 */
export function programFor(
  source: 'seat.c' | 'replay.c' | 'threads.c',
  { flags, debian }: CAllocator,
): string {
  return compile({
    compiler: process.env.CC || 'cc',
    source,
    flags: [...FLAGS, ...flags],
    debian: `gcc libc6-dev ${debian}`.trim(),
  });
}
