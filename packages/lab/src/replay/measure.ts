/**
 * One trace through one allocator behind one lock.
 *
 * ```
 *    machine 1, fresh     watched replay: samples, the oracle          →  violations, footprint, live bytes
 *    machine 2, fresh     warm-up · replay · replay · …                →  seconds (the median)
 * ```
 *
 * Every machine has threads of its own, so each V8 isolate sees one allocator and one kind of heap, and what is timed is compiled for it
 * alone.
 */

import { Oracle } from '@shmalloc/alloc-test/oracle';
import { boot, KernelPanic, type Machine } from '@shmalloc/kernel';
import { planReplay, type ReplayPlan, resetPlan, type Trace } from '@shmalloc/trace';
import { median } from 'simple-statistics';
import { JobError, oneLine } from '../errors.ts';
import type { Configuration } from '../job.ts';
import type { Result, TraceSummary } from '../report/report.ts';
import type { CpuReport, ReplayTask } from './replay-program.ts';
import { mergeSamples } from './samples.ts';

const MIB = 2 ** 20;
const PROGRAM: URL = new URL('./replay-program.js', import.meta.url);
/** What the region is larger than four times the peak: room for headers and for traces of next to nothing. */
const SPARE_BYTES = 16 * MIB;
/** The largest region in whole MiB whose end is still an address. */
const MOST_BYTES = 4095 * MIB;
/** A replay that takes longer has warmed up on the way. */
const LONG_SECONDS = 0.3;
/** Violations that a result tells in words. */
const TOLD = 5;

/**
 * How much to measure.
 * @public
 */
export interface Effort {
  /** Whether the oracle checks the watched replay. */
  check: boolean;
  /** The most timed replays, the warm-up aside. */
  most: number;
  /** After so many seconds of them no other begins; one there is always. */
  seconds: number;
}

/** What a report is made with. @public */
export const CAREFUL: Effort = { check: true, most: 15, seconds: 0.08 };

/** Enough to see that everything works. @public */
export const QUICK: Effort = { check: true, most: 1, seconds: 0 };

/**
 * The region that a trace is replayed in: four times what is live at its peak, so that even a wasteful allocator has room, and
 * something for the rest.
 * @param peakLiveBytes - of the recording
 * @returns bytes, whole MiB
 * @public
 */
export function regionBytes(peakLiveBytes: number): number {
  return Math.min(MOST_BYTES, Math.ceil((4 * peakLiveBytes + SPARE_BYTES) / MIB) * MIB);
}

/**
 * A trace made ready, twice.
 * @public
 */
export interface Plans {
  /** CPUs keep close to the recorded order, so that footprint and live bytes are those of the recorded program. For the watched replay. */
  close: ReplayPlan;
  /** CPUs wait for each other only where a block passes between them. For the timed replays. */
  free: ReplayPlan;
}

/** How far CPUs may drift apart in the watched replay: a hundredth of the trace. */
const DRIFT = 0.01;

/**
 * @param trace - in normal form
 * @param cpus - real threads
 * @public
 */
export function makePlans(trace: Trace, cpus: number): Plans {
  const window = Math.max(1, Math.ceil((trace.operations * DRIFT) / 2));
  return { close: planReplay(trace, cpus, { window }), free: planReplay(trace, cpus) };
}

/** The same plan with a state of its own, so that several replays of it may be under way. */
function sibling(plan: ReplayPlan): ReplayPlan {
  const fresh = (view: { byteLength: number }): SharedArrayBuffer => new SharedArrayBuffer(view.byteLength);
  return {
    ...plan,
    control: new Int32Array(fresh(plan.control)),
    table: new Uint32Array(fresh(plan.table)),
    live: new Float64Array(fresh(plan.live)),
  };
}

/**
 * What is measured: a trace, and what through.
 * @public
 */
export interface Subject {
  trace: TraceSummary;
  plans: Plans;
  configuration: Configuration;
  /** As many as the plans are for. */
  cpus: number;
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
 * Replays a trace once on a fresh machine and looks at everything but the clock, so other replays may be under way.
 * @param check - whether the oracle checks every block
 * @throws JobError when a CPU panics
 * @public
 */
export function watch(subject: Subject, check: boolean): Promise<Watched> {
  return onMachine(subject, (machine) => watchOn(machine, sibling(subject.plans.close), check));
}

/**
 * Replays a trace on a fresh machine, several times when it is quick. Nothing else should be at work meanwhile.
 * @returns seconds of each
 * @throws JobError when a CPU panics
 * @public
 */
export function time(subject: Subject, effort: Effort): Promise<number[]> {
  return onMachine(subject, (machine) => timeOn(machine, subject.plans.free, effort));
}

/**
 * Both as one entry of the report.
 * @public
 */
export function resultOf(
  { trace, plans, configuration, cpus }: Subject,
  watched: Watched,
  repetitions: number[],
): Result {
  return {
    ...configuration,
    trace: trace.name,
    cpus,
    operations: plans.free.operations,
    seconds: median(repetitions),
    regionBytes: regionBytes(trace.peakLiveBytes),
    repetitions,
    ...watched,
  };
}

async function onMachine<T>(subject: Subject, use: (machine: Machine) => Promise<T>): Promise<T> {
  const { trace, cpus } = subject;
  const { allocator, lock } = subject.configuration;
  const machine = await boot({
    cpus,
    bytes: regionBytes(trace.peakLiveBytes),
    allocator,
    lock,
    // The program prints nothing; a panic comes back as an error.
    onPrint: () => {},
  });
  try {
    return await use(machine);
  } catch (error) {
    if (!(error instanceof KernelPanic)) throw error;
    throw new JobError(`${trace.name}, ${allocator}, ${lock}: CPU ${error.cpu} panicked: ${oneLine(error)}`);
  } finally {
    await machine.halt();
  }
}

async function watchOn(machine: Machine, plan: ReplayPlan, check: boolean): Promise<Watched> {
  const oracle = check ? Oracle.create({ bytes: machine.memory.byteLength }) : null;
  const reports = await replay(machine, { plan, watch: true, oracle: oracle?.share() ?? null });
  const broken = brokenInvariant(machine);
  const found = oracle?.violations().map((violation) => violation.message) ?? [];
  return {
    peakLiveBytes: Math.max(...reports.map((report) => report.peakLiveBytes)),
    peakFootprintBytes: (machine.allocator.stats() as { footprintBytes: number }).footprintBytes,
    failedAllocations: sum(reports, 'failedAllocations'),
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

/** Seconds of each timed replay. The first is for the engine to warm up; it counts only when it was so slow that it shall be the only one. */
async function timeOn(machine: Machine, plan: ReplayPlan, { most, seconds }: Effort): Promise<number[]> {
  const once = async (): Promise<number> =>
    secondsOf(await replay(machine, { plan, watch: false, oracle: null }));
  const warmUp = await once();
  if (warmUp > Math.max(seconds, LONG_SECONDS)) return [warmUp];
  const all: number[] = [];
  let spent = 0;
  do {
    const taken = await once();
    all.push(taken);
    spent += taken;
  } while (all.length < most && spent < seconds);
  return all;
}

async function replay(machine: Machine, task: ReplayTask): Promise<CpuReport[]> {
  resetPlan(task.plan);
  return (await machine.run(PROGRAM, task)) as CpuReport[];
}

/** The CPUs begin together; the last one to end ends the replay. */
function secondsOf(reports: readonly CpuReport[]): number {
  return Math.max(...reports.map((report) => report.seconds));
}

function sum(reports: readonly CpuReport[], key: 'failedAllocations'): number {
  return reports.reduce((total, report) => total + report[key], 0);
}
