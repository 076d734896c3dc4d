/**
 * Waiting for another CPU's progress, and giving up together.
 *
 * A waiter looks a few times, then sleeps in `Atomics.wait`, always with a time limit. No wake-up is lost: a
 * sleeper announces itself before it looks at the value for the last time; a publisher stores the value
 * before it looks for sleepers. In the one order of all atomic operations, either the sleeper's look comes
 * after the store and it does not sleep, or the publisher's look comes after the announcement and it wakes
 * the sleeper. On a thread that may not block (a browser's main thread) a waiter only spins.
 */

import { backOff, MAY_BLOCK } from '@shmalloc/atomic-cell';
import {
  CONTROL_ABORT,
  CONTROL_FINISHED,
  CONTROL_SLEEPERS,
  CONTROL_STARTED,
  CONTROL_TAKEN,
  progressWord,
} from './plan.ts';

/**
 * Why a replay stopped.
 *
 * - `aborted`: another CPU has failed, or `abortReplay` was called
 * - `order`: a block was to be freed before it was allocated; the plan lacks a sync point
 * - `stale`: this CPU of the plan has been replayed, or is being replayed by another thread, and the plan has
 *   not been reset
 * @public
 */
export type ReplayErrorReason = 'aborted' | 'order' | 'stale';

/**
 * A replay that could not go on.
 * @public
 */
export class ReplayError extends Error {
  readonly reason: ReplayErrorReason;

  constructor(reason: ReplayErrorReason, message: string) {
    super(message);
    this.name = 'ReplayError';
    this.reason = reason;
  }
}

/** How a waiter waits. */
export interface Waiting {
  /** Whether this thread may sleep. */
  readonly mayBlock: boolean;
  /** Looks before the first sleep, with a back-off between each two. */
  readonly looks: number;
  /**
   * The time limit of one sleep, in milliseconds. It ends no wait; it bounds how long an abort can go
   * unnoticed.
   */
  readonly sleepMs: number;
}

/** Some 10 µs of looking before a sleep, about what a sleep and its wake-up cost. */
export const WAITING: Waiting = { mayBlock: MAY_BLOCK, looks: 16, sleepMs: 50 };

/**
 * Returns once `control[word]` has reached `target`. Progress: blocking; the thread that publishes the word
 * never waits for a waiter.
 * @throws ReplayError `aborted`
 */
export function waitFor(control: Int32Array, word: number, target: number, waiting: Waiting = WAITING): void {
  const { mayBlock, looks, sleepMs } = waiting;
  let round = 0;
  // Acquire: pairs with the store in publish and the addition in arrive, and receives what was written before
  // them: the block table.
  for (let look = 1; Atomics.load(control, word) < target; look++) {
    if (look < looks) round = backOff(round);
    else {
      checkAbort(control);
      if (mayBlock) sleep(control, word, target, sleepMs);
      else round = backOff(round);
    }
  }
}

function sleep(control: Int32Array, word: number, target: number, sleepMs: number): void {
  // Before the last look at the value; pairs with the look for sleepers in publish.
  Atomics.add(control, word + CONTROL_SLEEPERS, 1);
  const value = Atomics.load(control, word);
  if (value < target && Atomics.load(control, CONTROL_ABORT) === 0)
    Atomics.wait(control, word, value, sleepMs);
  Atomics.sub(control, word + CONTROL_SLEEPERS, 1);
}

/**
 * Stores a new value and wakes the thread that sleeps on it. Progress: wait-free but for the engine's own
 * lock around its wait queue.
 */
export function publish(control: Int32Array, word: number, value: number): void {
  // Release: pairs with the load in waitFor.
  Atomics.store(control, word, value);
  // After the store; pairs with the announcement in sleep.
  if (Atomics.load(control, word + CONTROL_SLEEPERS) !== 0) Atomics.notify(control, word);
}

/** Says that this CPU has come so far; the last one wakes those that wait for all. Does not wait itself. */
export function arrive(control: Int32Array, word: number, cpus: number): void {
  // Release: pairs with the load in waitFor. Each arrival changes the value, so no sleeper between its look
  // and its wait misses it.
  if (Atomics.add(control, word, 1) + 1 === cpus) Atomics.notify(control, word);
}

/**
 * Takes a CPU for the calling thread, until the plan is reset.
 * @throws ReplayError `stale` when it has been taken before
 */
export function take(control: Int32Array, cpu: number): void {
  // Of two threads that take the same CPU exactly one finds 0 here.
  if (Atomics.exchange(control, progressWord(cpu) + CONTROL_TAKEN, 1) === 0) return;
  throw new ReplayError(
    'stale',
    `CPU ${cpu} of this plan has been replayed, or is being replayed: reset the plan before another replay`,
  );
}

function checkAbort(control: Int32Array): void {
  const by = Atomics.load(control, CONTROL_ABORT);
  if (by === 0) return;
  throw new ReplayError('aborted', by > 0 ? `CPU ${by - 1} has failed` : 'the replay was aborted');
}

/**
 * Makes every CPU that waits, now or later, throw. `by` is a CPU's number plus one, or −1 for the caller. The
 * first one counts.
 */
export function raiseAbort(control: Int32Array, cpus: number, by: number): void {
  // Pairs with the loads in checkAbort and sleep. A thread that has looked and not gone to sleep yet misses
  // the notification; its time limit is for that.
  Atomics.compareExchange(control, CONTROL_ABORT, 0, by);
  Atomics.notify(control, CONTROL_STARTED);
  Atomics.notify(control, CONTROL_FINISHED);
  for (let cpu = 0; cpu < cpus; cpu++) Atomics.notify(control, progressWord(cpu));
}
