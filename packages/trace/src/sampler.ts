/**
 * Samples of one CPU's replay: how much is live, how much is touched, when. They go into one array made
 * beforehand.
 */

import { AllocError, checkInteger } from '@shmalloc/allocator-api';
import type { LiveBytes } from './live.ts';
import type { ReplayOptions, ReplaySample } from './replay.ts';

const DEFAULT_SAMPLES = 512;
/** Numbers of a sample: operation, time, live bytes, their peak, footprint. */
const NUMBERS = 5;

export class Sampler {
  /** Operations between two samples; 0 for none but the last. */
  readonly every: number;
  readonly #live: LiveBytes;
  readonly #clock: () => number;
  readonly #footprint: (() => number) | undefined;
  readonly #numbers: Float64Array;
  #length = 0;

  /**
   * @param live - this CPU's account
   * @param operations - of its stream
   * @param options - whether and how often to sample
   * @param clock - milliseconds
   */
  constructor(live: LiveBytes, operations: number, options: ReplayOptions, clock: () => number) {
    const { footprint, sampleEvery, maxSamples = DEFAULT_SAMPLES } = options;
    if (checkInteger('maxSamples', maxSamples) === 0) {
      throw new AllocError('InvalidParam', 'maxSamples must be 1 at least, got 0');
    }
    const every = checkInteger('sampleEvery', sampleEvery ?? Math.ceil(operations / maxSamples));
    this.every = footprint === undefined ? 0 : every;
    this.#live = live;
    this.#clock = clock;
    this.#footprint = footprint;
    // One more for the end of the stream.
    const most = this.every === 0 ? 1 : Math.floor(operations / this.every) + 1;
    this.#numbers = new Float64Array(most * NUMBERS);
  }

  /** Takes a sample after so many operations of the stream, unless there is one already. */
  take(operation: number): void {
    if (this.#footprint === undefined || this.#numbers[this.#length - NUMBERS] === operation) return;
    const now = this.#live.now();
    this.#numbers[this.#length++] = operation;
    this.#numbers[this.#length++] = this.#clock();
    this.#numbers[this.#length++] = now;
    this.#numbers[this.#length++] = this.#live.recentPeak(now);
    this.#numbers[this.#length++] = this.#footprint();
  }

  samples(): ReplaySample[] {
    const samples: ReplaySample[] = [];
    for (let at = 0; at < this.#length; at += NUMBERS) {
      const [operation, time, liveBytes, peakLiveBytes, footprintBytes] = this.#numbers.subarray(at);
      samples.push({ operation, time, liveBytes, peakLiveBytes, footprintBytes });
    }
    return samples;
  }
}
