/** Invariants that do not hold: damage, in the same words everywhere. */

import { AllocError } from './error.ts';

/**
 * Demands an invariant.
 * @throws AllocError `Corrupted` with `sentence` unless it `holds`
 * @public
 */
export type Demand = (holds: boolean, sentence: string) => asserts holds;

/**
 * The error of an invariant that does not hold.
 * @param owner - whose it is: an algorithm's name
 * @param sentence - what is so instead, with the address or the number
 * @public
 */
export function broken(owner: string, sentence: string): AllocError {
  return new AllocError('Corrupted', `${owner} is broken: ${sentence}`);
}

/**
 * Makes the function that demands invariants of one owner.
 * @param owner - an algorithm's name
 * @public
 */
export function demandOf(owner: string): Demand {
  return (holds, sentence) => {
    if (!holds) throw broken(owner, sentence);
  };
}
