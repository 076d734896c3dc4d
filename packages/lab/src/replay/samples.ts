/** Samples of several CPUs: thinned where they are taken, brought into one order where they arrive. */

import type { ReplaySample } from '@shmalloc/trace';
import type { Samples } from '../report/report.ts';

/** How many samples of one CPU are kept. */
const KEPT = 240;

/**
 * One CPU's samples, a column each.
 * @internal
 */
export interface CpuSamples {
  /** Milliseconds on the clock that all CPUs share. */
  times: number[];
  /** Operations of this CPU alone. */
  operations: number[];
  /** Over all CPUs. */
  liveBytes: number[];
  footprintBytes: number[];
}

/**
 * Keeps of every stretch of samples the one with the most live bytes, so that no peak is lost, and the last of all.
 * @internal
 */
export class SampleThinner {
  readonly samples: CpuSamples = { times: [], operations: [], liveBytes: [], footprintBytes: [] };
  peakLiveBytes = 0;
  readonly #total: number;
  readonly #stretch: number;
  #seen = 0;
  #highest: { time: number; sample: ReplaySample } | undefined;

  /** @param total - how many samples will be added */
  constructor(total: number) {
    this.#total = total;
    this.#stretch = Math.max(1, Math.ceil(total / KEPT));
  }

  add(time: number, sample: ReplaySample): void {
    this.#seen++;
    if (this.#highest === undefined || sample.liveBytes >= this.#highest.sample.liveBytes)
      this.#highest = { time, sample };
    if (this.#seen % this.#stretch === 0 || this.#seen === this.#total) {
      this.#keep(this.#highest.time, this.#highest.sample);
      this.#highest = undefined;
    }
    if (this.#seen === this.#total) this.#keep(time, sample);
  }

  #keep(time: number, { operation, liveBytes, footprintBytes }: ReplaySample): void {
    const { times, operations } = this.samples;
    if (operations.at(-1) === operation) return;
    times.push(time);
    operations.push(operation);
    this.samples.liveBytes.push(liveBytes);
    this.samples.footprintBytes.push(footprintBytes);
    this.peakLiveBytes = Math.max(this.peakLiveBytes, liveBytes);
  }
}

/**
 * All CPUs' samples in the order of time, with the operations of all CPUs so far.
 * @internal
 */
export function mergeSamples(cpus: readonly CpuSamples[]): Samples {
  const order = cpus.flatMap(({ times }, cpu) => times.map((time, index) => ({ time, cpu, index })));
  order.sort((a, b) => a.time - b.time);
  const done = cpus.map(() => 0);
  const merged: Samples = { operations: [], liveBytes: [], footprintBytes: [] };
  let total = 0;
  let footprint = 0;
  for (const { cpu, index } of order) {
    const { operations, liveBytes, footprintBytes } = cpus[cpu];
    total += operations[index] - done[cpu];
    done[cpu] = operations[index];
    // Two clocks agree to some microseconds only; a footprint never shrinks.
    footprint = Math.max(footprint, footprintBytes[index]);
    merged.operations.push(total);
    merged.liveBytes.push(Math.max(0, liveBytes[index]));
    merged.footprintBytes.push(footprint);
  }
  return merged;
}
