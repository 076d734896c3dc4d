/**
 * What a thread does between two looks at a word that another thread will change.
 *
 * Bounded exponential back-off: the first pause is one beat, each further one twice as long, up to
 * 2^MAX_ROUND beats. Threads that found the lock taken at the same moment so soon look at different times,
 * and the longer the wait, the less they disturb the holder's cache line. The bound keeps the time between
 * the release and the next look within a few microseconds.
 */

/** ES2026's `Atomics.pause` tells the CPU that this thread spins. Node has it from version 24. */
interface Pausing {
  readonly pause?: () => void;
}

/** The longest pause is 2^7 beats: 1 µs of loads, 4 µs of `Atomics.pause` (7 and 30 ns each, measured). */
const MAX_ROUND = 7;

/** A word that no other thread can reach. */
const own: Int32Array = /* @__PURE__ */ new Int32Array(1);

/**
 * One beat, chosen once in each thread. Where there is no pause, an atomic load: an engine may drop an empty
 * loop, but not this.
 */
const beat: () => void = (Atomics as Pausing).pause ?? (() => void Atomics.load(own, 0));

/**
 * Pauses once, for code that waits for a word to change: between two looks at it.
 *
 * Progress: wait-free. Cost: 2^round beats, 1 to 4 µs at most; no sleep, no turn for other threads.
 *
 * @example
 * ```ts
 * for (let round = 0; Atomics.load(words, 0) !== 1; ) round = backOff(round);
 * ```
 * @param round - how often the caller has paused in this wait, from 0
 * @returns what to pass the next time
 * @public
 */
export function backOff(round: number): number {
  for (let beats = 1 << round; beats > 0; beats--) beat();
  return round < MAX_ROUND ? round + 1 : MAX_ROUND;
}
