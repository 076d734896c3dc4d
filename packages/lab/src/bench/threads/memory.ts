/**
 * Memory over time: workloads whose live blocks stay the same, for as long as one likes. A heap that finds
 * the blocks that others free, and the pages of threads that have ended, does not grow.
 *
 * `footprintBytes()` is the most that a heap ever had, so what a later moment adds is there in all later
 * samples.
 */

import type { Absence } from '../measure.ts';
import { reasonOf } from '../measure.ts';
import type { HeapContestant, SharedHeap } from './contestant.ts';
import { type CrewOrder, gatherCrew } from './crew.ts';
import { Leak, THREADS } from './mleak.ts';
import { xmalloc } from './xmalloc.ts';

/** Seconds after which a heap has settled, in runs that are long enough. */
const SETTLED_SECONDS = 10;
/** The same in others, as a part of the run. */
const SETTLED_PART = 1 / 3;
/** Samples in a second; ten in a run that is shorter than that. */
const RATE = 1;
const LEAST_SAMPLES = 10;

/**
 * One heap in one workload.
 * @public
 */
export interface MemoryFigure {
  readonly contestant: string;
  readonly workload: string;
  readonly seconds: number;
  /** Threads that there were. */
  readonly threads: number;
  /** Seconds after which {@link MemoryFigure.settledBytes} was read. */
  readonly settledSeconds: number;
  readonly settledBytes: number;
  readonly endBytes: number;
  /** Footprint over time, at even distances, the end included. */
  readonly samples: readonly number[];
  /** What the heap had at each of those moments, where it can tell: this may fall, too. */
  readonly committed: readonly number[];
}

/**
 * A workload that can go on for long.
 * @public
 */
export interface MemoryWorkload {
  /** On the command line and in the JSON. */
  readonly name: string;
  /** One line below the table. */
  readonly description: string;
  /** @internal */
  run(contestant: HeapContestant, order: MemoryOrder, sampler: Sampler): Promise<number>;
}

/** @public */
export interface MemoryOrder extends Omit<CrewOrder, 'workload'> {
  readonly seconds: number;
}

/** Memory only: what takes time here is that threads start. @public */
export const leak: MemoryWorkload = {
  name: 'mleak',
  description: `${THREADS} threads at a time leave blocks behind and end; later ones free them`,
  run: runLeak,
};

/** Every one, in the order of the table. @public */
export const MEMORY_WORKLOADS: readonly MemoryWorkload[] = [
  { name: xmalloc.name, description: xmalloc.description, run: runXmalloc },
  leak,
];

/**
 * Looks at a heap at even distances.
 * @internal
 */
export class Sampler {
  readonly samples: number[] = [];
  readonly committed: number[] = [];
  private timer: NodeJS.Timeout | undefined;
  private heap: SharedHeap | undefined;
  private readonly seconds: number;

  constructor(seconds: number) {
    this.seconds = seconds;
  }

  /** Seconds between two looks. */
  get distance(): number {
    return Math.min(1 / RATE, this.seconds / LEAST_SAMPLES);
  }

  start(heap: SharedHeap): void {
    this.heap = heap;
    this.timer = setInterval(() => this.look(), 1000 * this.distance);
  }

  /** Looks a last time. */
  stop(): void {
    clearInterval(this.timer);
    this.look();
  }

  private look(): void {
    const { heap } = this;
    if (heap === undefined) return;
    this.samples.push(heap.footprintBytes());
    const { committedBytes } = (heap.stats?.() ?? {}) as { committedBytes?: number };
    if (committedBytes !== undefined) this.committed.push(committedBytes);
  }
}

/** @returns how many threads there were */
async function runXmalloc(
  contestant: HeapContestant,
  { seconds, ...order }: MemoryOrder,
  sampler: Sampler,
): Promise<number> {
  const crew = await gatherCrew(contestant, xmalloc, { ...order, workload: xmalloc.name });
  sampler.start(crew.heap);
  try {
    await crew.round(2, seconds);
  } finally {
    sampler.stop();
    await crew.close();
  }
  return 2;
}

async function runLeak(
  contestant: HeapContestant,
  { seconds, bytes, seed }: MemoryOrder,
  sampler: Sampler,
): Promise<number> {
  const heap = (await contestant.load()).create(bytes);
  const generations = new Leak(contestant, heap.share(), seed);
  const end = performance.now() + 1000 * seconds;
  sampler.start(heap);
  try {
    do await generations.round();
    while (performance.now() < end);
  } finally {
    sampler.stop();
  }
  for (const block of generations.left) heap.free(block);
  heap.detach();
  return generations.rounds * THREADS;
}

/** @public */
export interface Memory {
  readonly figures: readonly MemoryFigure[];
  readonly absences: readonly Absence[];
}

/**
 * Runs every workload on every heap, one after the other.
 * @param step - called before each, with what it is
 * @public
 */
export async function watchMemory(
  contestants: readonly HeapContestant[],
  workloads: readonly MemoryWorkload[],
  order: MemoryOrder,
  step: (label: string) => void = () => {},
): Promise<Memory> {
  const figures: MemoryFigure[] = [];
  const absences: Absence[] = [];
  for (const { name: workload, run } of workloads) {
    for (const contestant of contestants) {
      step(`${contestant.title}, ${workload}: memory over ${order.seconds} s`);
      const sampler = new Sampler(order.seconds);
      try {
        const threads = await run(contestant, order, sampler);
        figures.push({
          contestant: contestant.name,
          workload,
          seconds: order.seconds,
          threads,
          ...settledOf(sampler, order.seconds),
        });
      } catch (error) {
        absences.push({
          contestant: contestant.name,
          workload: `memory of ${workload}`,
          reason: reasonOf(error),
        });
      }
    }
  }
  return { figures, absences };
}

function settledOf(
  { samples, committed, distance }: Sampler,
  seconds: number,
): Pick<MemoryFigure, 'settledSeconds' | 'settledBytes' | 'endBytes' | 'samples' | 'committed'> {
  const settledSeconds = Math.min(SETTLED_SECONDS, seconds * SETTLED_PART);
  const index = Math.min(samples.length - 1, Math.ceil(settledSeconds / distance) - 1);
  return {
    settledSeconds,
    settledBytes: samples[index],
    endBytes: samples[samples.length - 1],
    samples,
    committed,
  };
}
