/** What damage to the maps looks like, and what it is called. `header.ts` has the picture. */

import { type AllocError, broken, maskOf, trailingZeros } from '@shmalloc/allocator-api';
import type { Geometry } from './header.ts';

type Words = Int32Array<SharedArrayBuffer>;

/**
 * How often a unit has to look wrong. To look wrong four times while all is well it would have to change
 * hands between each two neighbouring loads of eleven, which are nanoseconds apart, and a change takes two
 * atomic operations.
 */
const LOOKS = 4;

/** The error of a unit that is in two states, or in none. */
export function brokenUnit(unit: number, states: string): AllocError {
  return broken('bitmap', `unit ${unit} is ${states}`);
}

/** How many words with free units their hint, or its own in `top`, does not tell of. */
export function countHidden(words: Words, { free, hints, top, words: leafWords }: Geometry): number {
  let count = 0;
  for (let at = 0; at < leafWords; at++) {
    const told = words[hints + (at >>> 5)] & (1 << at) && words[top + (at >>> 10)] & (1 << (at >>> 5));
    if (words[free + at] !== 0 && told === 0) count++;
  }
  return count;
}

/**
 * The first unit that is in two maps, or has a bit beyond the last; null when all is well. A unit that goes
 * from one map to the next between two loads looks as if it were in both. It is not so again and again: see
 * LOOKS.
 * @param quiet - whether no thread is at work, so that a unit that is in no map is lost
 */
export function findBroken(
  words: Words,
  geometry: Geometry,
  quiet: boolean,
): { bit: number; states: string } | null {
  for (let at = 0; at < geometry.words; at++) {
    const wrong = wrongAt(words, geometry, at, quiet);
    if (wrong === 0) continue;
    const bit = trailingZeros(wrong);
    return { bit: at * 32 + bit, states: statesOf(words, geometry, at * 32 + bit) };
  }
  return null;
}

/** Units of a word that were wrong at every look. */
function wrongAt(words: Words, { free, used, absent, bits }: Geometry, at: number, quiet: boolean): number {
  const inside = maskOf(0, bits - at * 32);
  let wrong = -1;
  for (let look = 0; look < LOOKS && wrong !== 0; look++) {
    const [one, two, three] = [words[free + at], words[used + at], words[absent + at]];
    let seen = (one & two) | (one & three) | (two & three) | ((one | two | three) & ~inside);
    if (quiet) seen |= ~(one | two | three) & inside;
    wrong &= seen;
  }
  return wrong;
}

function statesOf(words: Words, { free, used, absent, bits }: Geometry, bit: number): string {
  const states = Object.entries({ free, used, absent })
    .filter(([, map]) => (words[map + (bit >>> 5)] >>> (bit & 31)) & 1)
    .map(([name]) => name);
  if (bit >= bits) states.push('behind the last');
  return states.join(' and ') || 'neither free, used nor absent';
}
