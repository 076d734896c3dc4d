/** The main thread's part of a workload: one that runs it, how often, on what board. */
import type { ExecutionContext } from 'ava';
import { Crew, type CrewOptions } from './crew.ts';
import { type Job, XMALLOC_SIZES } from './workloads.ts';

/** A workload with its parameters. */
export interface Workload {
  /** What sets it apart from others of the same program. */
  readonly name: string;
  readonly job: Job;
  /** Generations of workers, one after the other. Default 1. */
  readonly generations?: number;
  /** Blocks of a parcel. */
  readonly capacity: number;
  /** Parcels, if not one for each worker. */
  readonly parcels?: number;
  /** Bytes of the region. */
  readonly bytes: number;
  /** How many workers, if that belongs to the workload. */
  readonly workers?: number;
}

const MIB = 2 ** 20;

/** How much of a program is run: the published parameters, or so much that it is done in a moment. */
export interface Scale {
  readonly larson: { readonly blocks: number; readonly replacements: number; readonly generations: number };
  readonly xmalloc: { readonly batch: number; readonly batches: number; readonly queue: number };
  readonly mstress: { readonly allocations: number; readonly retained: number; readonly generations: number };
  readonly rptest: { readonly live: number; readonly loops: number };
  readonly mleak: { readonly rounds: number; readonly workers: number | undefined; readonly blocks: number };
  readonly sh: { readonly groups: number; readonly group: number };
}

/** A few tenths of a second each. */
export const QUICK: Scale = {
  larson: { blocks: 1000, replacements: 8000, generations: 2 },
  xmalloc: { batch: 256, batches: 60, queue: 20 },
  mstress: { allocations: 6000, retained: 500, generations: 2 },
  rptest: { live: 250, loops: 100 },
  mleak: { rounds: 3, workers: undefined, blocks: 2000 },
  sh: { groups: 25, group: 500 },
};

/** The published parameters. */
export const FULL: Scale = {
  larson: { blocks: 5000, replacements: 500_000, generations: 4 },
  xmalloc: { batch: 4096, batches: 250, queue: 100 },
  mstress: { allocations: 200_000, retained: 10_000, generations: 10 },
  rptest: { live: 1000, loops: 5000 },
  mleak: { rounds: 100, workers: 10, blocks: 5000 },
  sh: { groups: 1000, group: 1000 },
};

/** Every workload at a scale. */
export function workloads({ larson, xmalloc, mstress, rptest, mleak, sh }: Scale): Workload[] {
  const { queue, ...batches } = xmalloc;
  return [
    {
      name: `larson: ${larson.blocks} blocks a thread, a successor inherits them after ${larson.replacements} replacements`,
      job: { program: 'larson', ...larson },
      generations: larson.generations,
      capacity: larson.blocks,
      bytes: 64 * MIB,
    },
    {
      name: `xmalloc-test: 64-byte blocks in batches of ${xmalloc.batch}`,
      job: { program: 'xmalloc-test', sizes: [64], ...batches },
      parcels: queue,
      capacity: xmalloc.batch,
      bytes: 128 * MIB,
    },
    {
      name: `xmalloc-test: ${XMALLOC_SIZES.length} sizes up to 2048 in batches of ${xmalloc.batch}`,
      job: { program: 'xmalloc-test', sizes: XMALLOC_SIZES, ...batches },
      parcels: queue,
      capacity: xmalloc.batch,
      bytes: 512 * MIB,
    },
    {
      name: `mstress: ${mstress.allocations} allocations a thread, a transfer buffer of 1000`,
      job: { program: 'mstress', ...mstress },
      generations: mstress.generations,
      parcels: 1000,
      capacity: 1,
      bytes: 512 * MIB,
    },
    {
      name: `rptest: ${rptest.live} live blocks of 16 … 16,000 bytes, a cross free every second of ${rptest.loops} loops`,
      job: { program: 'rptest', replaced: rptest.live / 10, ...rptest },
      capacity: rptest.live / 10,
      bytes: 128 * MIB,
    },
    {
      name: `mleak: ${mleak.rounds} rounds of threads that leave ${mleak.blocks} blocks behind`,
      job: { program: 'mleak', blocks: mleak.blocks },
      generations: mleak.rounds,
      capacity: mleak.blocks,
      bytes: 128 * MIB,
      ...(mleak.workers === undefined ? {} : { workers: mleak.workers }),
    },
    {
      name: `sh6bench: ${sh.groups} groups of ${sh.group}, freed in reverse by turns`,
      job: { program: 'sh6bench', largest: 1000, ...sh },
      capacity: 1,
      bytes: 64 * MIB,
    },
    {
      name: `sh8bench: ${sh.groups} groups of ${sh.group}, freed by the neighbour`,
      job: { program: 'sh8bench', largest: 1000, ...sh },
      capacity: sh.group,
      bytes: 64 * MIB,
    },
  ];
}

/**
 * The multi-thread test of the ArceOS course with its own numbers; every phase by threads that attach for it.
 */
export const multiThread = (rounds: number): Workload => ({
  name: `multi-thread test: 10 threads × ${rounds} rounds × 1000 slots, all of it freed by threads that come after`,
  job: { program: 'multi-thread', rounds, slots: 1000 },
  parcels: 20,
  capacity: 500,
  bytes: 128 * MIB,
  workers: 10,
});

/** After so many generations a program has what it needs. */
const SETTLED = 10;

const WORKER = new URL('./workload-worker.js', import.meta.url);

/** Runs a workload, and sees to it that nothing is left of it. */
export async function runWorkload(
  t: ExecutionContext,
  workload: Workload,
  workers: number,
  options: Partial<CrewOptions> = {},
): Promise<void> {
  const { job, generations = 1, parcels = workers, capacity, bytes } = workload;
  const crew = new Crew(t, { bytes, parcels, capacity, ...options });
  let allocated = 0;
  let early = 0;
  for (let generation = 0; generation < generations; generation++) {
    if (generation === SETTLED) early = crew.heap.footprintBytes();
    const jobs = Array.from({ length: workers }, () => job);
    for (const blocks of await crew.run<number>(WORKER, jobs)) allocated += blocks;
  }
  t.true(allocated > 0);
  t.log(`${allocated} blocks`);
  crew.finish();
  // What threads leave behind is used before new memory is.
  if (generations >= 4 * SETTLED) t.true(crew.heap.footprintBytes() < 1.5 * early, `${early} bytes early on`);
}
