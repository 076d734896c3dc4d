/** What several threads do: the shape of a workload, and the list of them. One file each. */

import type { SharedHeap } from './contestant.ts';
import { larson } from './larson.ts';
import type { Stage } from './stage.ts';
import { xmalloc, xmallocSizes } from './xmalloc.ts';

/**
 * What a worker gets to play with.
 * @internal
 */
export interface Part {
  /** 0, 1, … */
  readonly worker: number;
  /** This thread's access to the heap. */
  readonly heap: SharedHeap;
  /** Another one, for a thread that succeeds this. */
  attach(): SharedHeap;
  readonly stage: Stage;
  /** What `share` of the workload has made. */
  readonly shared: SharedArrayBuffer;
  readonly seed: number;
  /** Operations after which a thread ends, in workloads where they do. */
  readonly life: number;
  /** Whether every block is stamped, and the stamp looked at before it is freed. For tests: it costs time. */
  readonly checked: boolean;
}

/**
 * What a worker has done in a round.
 * @internal
 */
export interface Played {
  /** Completed, of those that this worker counts. */
  readonly operations: number;
  /** Nanoseconds in which it had nothing to do. */
  readonly waited: number;
}

/**
 * A worker's part: plays one round.
 * @param seconds - for how long; then it ends soon
 * @internal
 */
export type Play = (seconds: number) => Played;

/**
 * A workload for several threads.
 * @public
 */
export interface ThreadWorkload {
  /** On the command line and in the JSON. */
  readonly name: string;
  /** Above its column. */
  readonly title: string;
  /** One line below the table. */
  readonly description: string;
  /** What is counted. */
  readonly unit: string;
  /** What each worker does, where they do not do the same. */
  readonly sides?: readonly string[];
  /** With how many workers it is measured: one round each, one after the other. */
  readonly crews: readonly number[];
  /** The numbers that it works through, for those that do the same work elsewhere. */
  draw(seed: number): readonly Uint16Array[];
  /** Makes what its workers share besides the heap. */
  share(): SharedArrayBuffer;
  /** Before a round, in the main thread. */
  clear(shared: SharedArrayBuffer, stage: Stage): void;
  /** In a worker: sets up its part. */
  start(part: Part): Play;
}

/** Every workload, in the order of the tables. @public */
export const THREAD_WORKLOADS: readonly ThreadWorkload[] = [xmalloc, xmallocSizes, larson];
