/**
 * Waiting for another CPU's progress, and giving up together.
 *
 * A waiter looks a few times, then sleeps in `Atomics.wait`, always with a time limit. No wake-up is lost: a sleeper announces
 * itself before it looks at the value for the last time; a publisher stores the value before it looks for sleepers. In the one order of
 * all atomic operations, either the sleeper's look comes after the store and it does not sleep, or the publisher's look comes after
 * the announcement and it wakes the sleeper. On a thread that may not block (a browser's main thread) a waiter only spins.
 */

import { CONTROL_ABORT, CONTROL_FINISHED, CONTROL_SLEEPERS, CONTROL_STARTED, progressWord } from './plan.ts';

/** Looks before the first sleep: some 10 µs, about what a sleep and a wake-up cost. */
const SPINS = 400;
/** The time limit of one sleep. It ends no wait; it bounds how long an abort can go unnoticed. */
const SLEEP_MS = 50;

/**
 * Why a replay stopped.
 *
 * - `aborted`: another CPU has failed, or `abortReplay` was called
 * - `order`: a block was to be freed before it was allocated; the plan lacks a sync point
 * - `stale`: the plan has been replayed and not been reset
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

/** ES2026's `Atomics.pause`; Node has it from version 24. */
const pause: () => void = (Atomics as { pause?: () => void }).pause ?? (() => {});

/** Whether this thread may sleep, found out once by a wait that returns at once. */
const MAY_BLOCK: boolean = /* @__PURE__ */ (() => {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0);
    return true;
  } catch {
    return false;
  }
})();

/**
 * Returns once `control[word]` has reached `target`.
 * @throws ReplayError `aborted`
 */
export function waitFor(
  control: Int32Array,
  word: number,
  target: number,
  mayBlock: boolean = MAY_BLOCK,
): void {
  for (let spins = 0; ; spins++) {
    const value = Atomics.load(control, word);
    if (value >= target) return;
    if (spins < SPINS) pause();
    else {
      checkAbort(control);
      if (mayBlock) sleep(control, word, target);
    }
  }
}

function sleep(control: Int32Array, word: number, target: number): void {
  Atomics.add(control, word + CONTROL_SLEEPERS, 1);
  const value = Atomics.load(control, word);
  if (value < target && Atomics.load(control, CONTROL_ABORT) === 0)
    Atomics.wait(control, word, value, SLEEP_MS);
  Atomics.sub(control, word + CONTROL_SLEEPERS, 1);
}

/** Stores a new value and wakes whoever sleeps on it. */
export function publish(control: Int32Array, word: number, value: number): void {
  Atomics.store(control, word, value);
  if (Atomics.load(control, word + CONTROL_SLEEPERS) !== 0) Atomics.notify(control, word);
}

/**
 * Waits until all CPUs have arrived here.
 * @throws ReplayError `stale` when all of them had before, `aborted`
 */
export function arrive(control: Int32Array, word: number, cpus: number): void {
  const before = Atomics.add(control, word, 1);
  if (before >= cpus) {
    throw new ReplayError(
      'stale',
      `the plan has been replayed by all its ${cpus} CPUs: reset it before another replay`,
    );
  }
  if (before + 1 === cpus) Atomics.notify(control, word);
  else waitFor(control, word, cpus);
}

function checkAbort(control: Int32Array): void {
  const by = Atomics.load(control, CONTROL_ABORT);
  if (by === 0) return;
  throw new ReplayError('aborted', by > 0 ? `CPU ${by - 1} has failed` : 'the replay was aborted');
}

/** Makes every CPU that waits, now or later, throw. `by` is a CPU's number plus one, or −1 for the caller. The first one counts. */
export function raiseAbort(control: Int32Array, cpus: number, by: number): void {
  Atomics.compareExchange(control, CONTROL_ABORT, 0, by);
  Atomics.notify(control, CONTROL_STARTED);
  Atomics.notify(control, CONTROL_FINISHED);
  for (let cpu = 0; cpu < cpus; cpu++) Atomics.notify(control, progressWord(cpu));
}
