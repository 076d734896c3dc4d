/** Samples of several CPUs brought into one order. */

import type { ReplaySample } from '@shmalloc/trace';
import type { Samples } from '../report/report.ts';

/**
 * All CPUs' samples in the order of time, with the operations of all CPUs so far.
 * @param cpus - the samples of each, with times on a clock that all share
 * @internal
 */
export function mergeSamples(cpus: readonly (readonly ReplaySample[])[]): Samples {
  const order = cpus.flatMap((samples, cpu) => samples.map((sample) => ({ cpu, sample })));
  order.sort((a, b) => a.sample.time - b.sample.time);
  const done = cpus.map(() => 0);
  const merged: Samples = { operations: [], liveBytes: [], footprintBytes: [] };
  let total = 0;
  let footprint = 0;
  for (const { cpu, sample } of order) {
    total += sample.operation - done[cpu];
    done[cpu] = sample.operation;
    // The clocks agree to some microseconds only; a footprint never shrinks.
    footprint = Math.max(footprint, sample.footprintBytes);
    merged.operations.push(total);
    merged.liveBytes.push(sample.peakLiveBytes);
    merged.footprintBytes.push(footprint);
  }
  return merged;
}
