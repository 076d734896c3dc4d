/**
 * Replays on machines.
 *
 * ```
 *    a machine for each allocator, lock and trace      watched replay: samples, the oracle     →  violations, footprint, live bytes
 *    a machine for each allocator, lock and region     shortest trace: warm-ups · replay · …   →  seconds (the median)
 *                                                      the next one:   warm-up · replay · …    →  seconds
 * ```
 *
 * A machine has threads of its own, so each V8 isolate sees one allocator and one kind of heap, and what is
 * timed is compiled for it alone. A timed replay frees what its trace leaks, so the next one finds an empty
 * heap.
 */

import { Oracle } from '@shmalloc/alloc-test/oracle';
import { nextPowerOfTwo } from '@shmalloc/allocator-api';
import { boot, KernelPanic, type Machine } from '@shmalloc/kernel';
import {
  planReplay,
  type ReplayPlan,
  type ReplayResult,
  resetPlan,
  siblingPlan,
  type Trace,
} from '@shmalloc/trace';
import { JobError, oneLine } from '../errors.ts';
import type { Configuration } from '../job.ts';
import type { Result } from '../report/report.ts';
import type { ReplayTask } from './replay-program.ts';
import { mergeSamples } from './samples.ts';

const MIB = 2 ** 20;
const PROGRAM: URL = new URL('./replay-program.js', import.meta.url);
/**
 * What the region is larger than eight times the peak: room for headers and for traces of next to nothing.
 */
const SPARE_BYTES = 32 * MIB;
/** The largest region in whole MiB whose end is still an address. */
const MOST_BYTES = 4095 * MIB;
/**
 * How long a fresh machine replays until its code is compiled and its memory is there. A first replay that
 * takes longer has warmed up on the way.
 */
const WARM_SECONDS = 0.15;
/** How far CPUs may drift apart in the watched replay: a hundredth of the trace. */
const DRIFT = 0.01;
/** Violations that a result tells in words. */
const TOLD = 5;

/**
 * How much to measure.
 * @public
 */
export interface Effort {
  /** Whether the oracle checks the watched replay. */
  check: boolean;
  /** The most timed replays, warming up aside. */
  most: number;
  /** After so many seconds of them no other begins; one there is always. */
  seconds: number;
}

/** What a report is made with. @public */
export const CAREFUL: Effort = { check: true, most: 50, seconds: 0.05 };

/** Enough to see that everything works. @public */
export const QUICK: Effort = { check: true, most: 1, seconds: 0 };

/**
 * The region that a trace is replayed in: eight times what is live at its peak, so that even a wasteful
 * allocator has room, and something for the rest; a power of two, so that traces of similar size share one.
 * @param peakLiveBytes - of the recording
 * @returns bytes
 * @public
 */
export function regionFor(peakLiveBytes: number): number {
  const wanted = 8 * peakLiveBytes + SPARE_BYTES;
  return wanted > MOST_BYTES / 2 ? MOST_BYTES : nextPowerOfTwo(wanted);
}

/**
 * A machine to be: what stands on it, and how large it is.
 * @public
 */
export interface Site {
  configuration: Configuration;
  cpus: number;
  regionBytes: number;
}

/**
 * The plan for watched replays: CPUs keep close to the recorded order, so that footprint and live bytes are
 * those of the recorded program.
 * @public
 */
export function planClosely(trace: Trace, cpus: number): ReplayPlan {
  return planReplay(trace, cpus, { window: Math.max(1, Math.ceil((trace.operations * DRIFT) / 2)) });
}

/** What the watched replay finds. @public */
export type Watched = Pick<
  Result,
  | 'peakLiveBytes'
  | 'peakFootprintBytes'
  | 'failedAllocations'
  | 'violations'
  | 'checkedSeconds'
  | 'samples'
  | 'firstViolations'
>;

/**
 * Replays a trace once on a fresh machine and looks at everything but the clock, so other replays may be
 * under way, of the same plan too.
 * @param check - whether the oracle checks every block
 * @throws JobError when a CPU panics
 * @public
 */
export function watch(site: Site, trace: string, plan: ReplayPlan, check: boolean): Promise<Watched> {
  return onMachine(site, (machine) => watchOn(machine, describe(trace, site), siblingPlan(plan), check));
}

/**
 * A trace to be timed.
 * @public
 */
export interface Timed {
  name: string;
  plan: ReplayPlan;
}

/** What the timed replays of a trace find. @public */
export interface Timing {
  /** Seconds of each replay. */
  repetitions: number[];
  /** Requests answered with 0, in the replay that had most of them. */
  failedAllocations: number;
}

/**
 * Times traces on a fresh machine, one after the other, each several times when it is quick. Nothing else
 * should be at work meanwhile.
 * @param begin - called before each trace
 * @throws JobError when a CPU panics
 * @public
 */
export function time<T extends Timed>(
  site: Site,
  traces: readonly T[],
  effort: Effort,
  begin: (trace: T) => void,
): Promise<Timing[]> {
  return onMachine(site, async (machine) => {
    const all: Timing[] = [];
    for (const [index, trace] of traces.entries()) {
      begin(trace);
      const warmSeconds = index === 0 ? WARM_SECONDS : 0;
      all.push(await timeOn(machine, describe(trace.name, site), trace.plan, effort, warmSeconds));
    }
    return all;
  });
}

/** Names a replay for a message. */
function describe(trace: string, { configuration }: Site): string {
  return `${trace}, ${configuration.allocator}, ${configuration.lock}`;
}

async function onMachine<T>(site: Site, use: (machine: Machine) => Promise<T>): Promise<T> {
  const machine = await boot({
    ...site.configuration,
    cpus: site.cpus,
    bytes: site.regionBytes,
    // The program prints nothing; a panic comes back as an error.
    onPrint: () => {},
  });
  try {
    return await use(machine);
  } finally {
    await machine.halt();
  }
}

async function watchOn(machine: Machine, what: string, plan: ReplayPlan, check: boolean): Promise<Watched> {
  const oracle = check ? Oracle.create({ bytes: machine.memory.byteLength }) : null;
  const reports = await replay(machine, what, { plan, watch: true, oracle: oracle?.share() ?? null });
  const broken = brokenInvariant(machine);
  const found = oracle?.violations().map((violation) => violation.message) ?? [];
  return {
    // All CPUs count, so each knows the most that was live over all of them after an operation of its own.
    peakLiveBytes: Math.max(...reports.map((report) => report.peakLiveBytes ?? 0)),
    peakFootprintBytes: machine.allocator.footprintBytes(),
    failedAllocations: failuresOf(reports),
    violations: (oracle?.violationCount ?? 0) + broken.length,
    checkedSeconds: check ? secondsOf(reports) : 0,
    samples: mergeSamples(reports.map((report) => report.samples)),
    firstViolations: [...broken, ...found].slice(0, TOLD),
  };
}

/** The allocator's own opinion of itself, once all is done. */
function brokenInvariant(machine: Machine): string[] {
  try {
    machine.allocator.validate();
    return [];
  } catch (error) {
    return [`broken invariant: ${oneLine(error)}`];
  }
}

/**
 * Replays until the machine is warm, once at least, and then in earnest. A first replay so slow that it has
 * warmed up on the way is the only one, and counts.
 * @param warmSeconds - how long it takes until the machine is warm
 */
async function timeOn(
  machine: Machine,
  what: string,
  plan: ReplayPlan,
  { most, seconds }: Effort,
  warmSeconds: number,
): Promise<Timing> {
  let failedAllocations = 0;
  const once = async (): Promise<number> => {
    const reports = await replay(machine, what, { plan, watch: false, oracle: null });
    failedAllocations = Math.max(failedAllocations, failuresOf(reports));
    return secondsOf(reports);
  };
  const warmAt = performance.now() + 1000 * warmSeconds;
  const first = await once();
  if (first > Math.max(seconds, WARM_SECONDS)) return { repetitions: [first], failedAllocations };
  while (performance.now() < warmAt) await once();
  const repetitions: number[] = [];
  let spent = 0;
  do {
    const taken = await once();
    repetitions.push(taken);
    spent += taken;
  } while (repetitions.length < most && spent < seconds);
  return { repetitions, failedAllocations };
}

/** @param what - of which trace through what, for the message when a CPU panics */
async function replay(machine: Machine, what: string, task: ReplayTask): Promise<ReplayResult[]> {
  resetPlan(task.plan);
  try {
    return (await machine.run(PROGRAM, task)) as ReplayResult[];
  } catch (error) {
    if (!(error instanceof KernelPanic)) throw error;
    throw new JobError(`${what}: CPU ${error.cpu} panicked: ${oneLine(error)}`);
  }
}

/** The CPUs begin together; the last one to end ends the replay. */
function secondsOf(reports: readonly ReplayResult[]): number {
  return Math.max(...reports.map((report) => report.seconds));
}

function failuresOf(reports: readonly ReplayResult[]): number {
  return reports.reduce((sum, report) => sum + report.failedAllocations, 0);
}
