import { type Workload, wholeBatches } from './workload.ts';

/** V8 has compiled a loop for good long before this. */
const WARM_SECONDS = 0.1;

/**
 * Runs a workload until it is compiled and its heap has settled, in steps that double, and learns how fast it is on the way.
 * @param workload - the workload
 * @param run - its loop
 * @param roundSeconds - how long a round shall take
 * @param limitSeconds - when to stop settling at the latest, for contestants that would take hours
 * @param now - the clock, in milliseconds
 * @returns how many pairs fill a round, in whole batches
 * @public
 */
export function settle(
  workload: Workload,
  run: (pairs: number) => void,
  roundSeconds: number,
  limitSeconds: number,
  now: () => number = () => performance.now(),
): number {
  const start = now();
  let total = 0;
  for (let pairs = workload.batch; ; pairs *= 2) {
    const before = now();
    run(pairs);
    const after = now();
    total += pairs;
    const seconds = (after - start) / 1000;
    const settled = seconds >= WARM_SECONDS && total >= workload.settle;
    if (settled || seconds >= limitSeconds) {
      // The last step is the longest one and the fastest code.
      const pairsPerSecond = (pairs * 1000) / Math.max(after - before, 1e-3);
      return wholeBatches(workload, pairsPerSecond * roundSeconds);
    }
  }
}
