/**
 * What the tests of C programs share. Where there is no compiler or no library, they are shown as skipped,
 * with the reason.
 */

import { fileURLToPath } from 'node:url';
import anyTest, { type ExecutionContext } from 'ava';
import { CONTESTANTS, type Contestant } from '../../dist/bench/contestant.js';

type Test = (title: string, run: (t: ExecutionContext) => Promise<void>) => void;

/** @returns the contestant of that name */
export function contestantOf<T extends Contestant>(name: string): T {
  return CONTESTANTS.find((each) => each.name === name) as T;
}

/**
 * Finds out one that can be prepared here; that takes a while, and a test file must have done it before its
 * first test.
 * @param names - the contestants that there are tests of
 * @returns for a name, `test` where it can; a test that is reported as skipped, and why, where not
 */
export async function testsWith(names: readonly string[]): Promise<(name: string) => Test> {
  const missing = new Map<string, string>();
  for (const name of names) {
    try {
      await contestantOf(name).prepare?.();
    } catch (error) {
      missing.set(name, (error as Error).message);
      console.warn(`${name} IS NOT TESTED: ${missing.get(name)}`);
    }
  }
  return (name) => {
    const reason = missing.get(name);
    if (reason === undefined) return (title, run) => anyTest.serial(title, run);
    return (title, run) => anyTest.skip(`${title} (SKIPPED: ${reason})`, run);
  };
}

/** An allocator that writes down what it is asked into the file that the environment's `LEDGER` names. */
export const LEDGER = {
  flags: [fileURLToPath(new URL('../../test/support/ledger.c', import.meta.url))],
  debian: '',
};
