/**
 * Counts the beats of ten pauses, with an `Atomics.pause` of its own that is there before the package is
 * loaded.
 */

import { answer } from '../team.ts';

let beats = 0;
Object.defineProperty(Atomics, 'pause', { configurable: true, value: () => void beats++ });
const { backOff } = await import('../../../dist/back-off.js');

const counts: number[] = [];
for (let wait = 0, round = 0; wait < 10; wait++) {
  beats = 0;
  round = backOff(round);
  counts.push(beats);
}
answer(counts);
