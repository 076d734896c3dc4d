import { type Workload, wholeBatches } from './workload.ts';

/** V8 has compiled a loop for good long before this. */
const WARM_SECONDS = 0.1;

/**
 * How a workload is run until it is compiled and its heap has settled: in steps that double, and on the way
 * one learns how fast it is. It says how many pairs are next and is told how many milliseconds they took, so
 * that it serves loops here and in other processes.
 * @param workload - the workload
 * @param roundSeconds - how long a round shall take
 * @param limitSeconds - when to stop settling at the latest, for contestants that would take hours
 * @returns how many pairs fill a round, in whole batches
 * @public
 */
export function* settling(
  workload: Workload,
  roundSeconds: number,
  limitSeconds: number,
): Generator<number, number, number> {
  let total = 0;
  let seconds = 0;
  for (let pairs = workload.batch; ; pairs *= 2) {
    const milliseconds = yield pairs;
    total += pairs;
    seconds += milliseconds / 1000;
    const settled = seconds >= WARM_SECONDS && total >= workload.settle;
    if (settled || seconds >= limitSeconds) {
      // The last step is the longest one and the fastest code.
      const pairsPerSecond = (pairs * 1000) / Math.max(milliseconds, 1e-3);
      return wholeBatches(workload, pairsPerSecond * roundSeconds);
    }
  }
}

/**
 * The same for a loop in this thread.
 * @param run - the workload's loop
 * @param now - the clock, in milliseconds
 * @public
 */
export function settle(
  workload: Workload,
  run: (pairs: number) => void,
  roundSeconds: number,
  limitSeconds: number,
  now: () => number = () => performance.now(),
): number {
  const steps = settling(workload, roundSeconds, limitSeconds);
  let step = steps.next();
  while (!step.done) {
    const start = now();
    run(step.value);
    step = steps.next(now() - start);
  }
  return step.value;
}
