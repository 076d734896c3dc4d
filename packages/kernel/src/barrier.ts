/**
 * The barrier of a machine: everyone waits until all have arrived.
 *
 * The last to arrive sets `arrived` back to 0 and then starts a new `generation`; the others sleep until the
 * generation changes. A thread that leaves early enough to arrive again finds `arrived` at 0 already.
 * Stopping the machine starts a new generation too, so no thread sleeps through it.
 *
 * `finished` counts the CPUs whose program has ended, over all runs, and is never set back: before run r
 * (counted from 0) it is r · CPUs at most, less for a CPU that has answered but not yet counted itself, and
 * only more when a CPU has ended run r.
 */

import { ARRIVED, type Board, FINISHED, GENERATION } from './board.ts';

/** Milliseconds between two looks at whether a CPU's program has ended, which makes the wait hopeless. */
const PERIOD = 50;

/**
 * This CPU's program has ended: it arrives no more in this run. To be called after the CPU has said how it
 * ended, so that the panic of another thread that waits for it does not come before its own.
 */
export function leaveBarrier(board: Board): void {
  Atomics.add(board.words, FINISHED, 1);
  Atomics.notify(board.words, GENERATION);
}

/**
 * Waits for the others. Blocks.
 * @param run - how many runs there were before this one
 * @returns `'open'` when all have arrived, `'stopped'` when the machine stops, `'hopeless'` when a CPU's
 *   program has ended
 */
export function waitAtBarrier(board: Board, run: number): 'open' | 'stopped' | 'hopeless' {
  const { words } = board;
  // Read before arriving: afterwards the last one may open the barrier at any time.
  const generation = Atomics.load(words, GENERATION);
  if (!board.running) return 'stopped';
  if (Atomics.add(words, ARRIVED, 1) + 1 === board.cpus) {
    // In this order: the thread that sees the new generation may arrive again, and must count from 0.
    Atomics.store(words, ARRIVED, 0);
    Atomics.add(words, GENERATION, 1);
    Atomics.notify(words, GENERATION);
    return 'open';
  }
  for (;;) {
    // Looked at before the generation: a program that has ended after it opened the barrier has changed the
    // generation first.
    const finished = Atomics.load(words, FINISHED);
    if (Atomics.load(words, GENERATION) !== generation) return board.running ? 'open' : 'stopped';
    if (((finished - run * board.cpus) | 0) > 0) return 'hopeless';
    // Does not sleep when the generation has changed since the look, so no opening is missed. The end of a
    // program changes another word and may ring just before the sleep: the period bounds how long that goes
    // unnoticed.
    Atomics.wait(words, GENERATION, generation, PERIOD);
  }
}
