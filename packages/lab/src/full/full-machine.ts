/**
 * Replays on a full machine: the byte allocators grow out of pages, every block is checked, and while the
 * CPUs are at it the allocator may be swapped under them. What every CPU has done with the memory is told at
 * the end.
 *
 * ```
 *    trace ──► CPU 0 ─┐  malloc, free      ┌────────────┐  pages   ┌───────┐
 *              CPU 1 ─┴──────────────────► │ allocator  │ ───────► │ pages │      used before = used after
 *    main  ── every MS: swap ────────────► │ a, b, c, … │          └───────┘
 *                                          └────────────┘
 * ```
 */

import { Oracle } from '@shmalloc/alloc-test/oracle';
import type { LockKind } from '@shmalloc/allocator-api';
import { type AllocatorName, boot, KernelPanic, type Machine, type ThreadReport } from '@shmalloc/kernel';
import { planReplay, type ReplayPlan, type ReplayResult, resetPlan, type Trace } from '@shmalloc/trace';
import { JobError, oneLine } from '../errors.ts';
import { regionFor } from '../replay/measure.ts';
import type { ReplayTask } from '../replay/replay-program.ts';

const PROGRAM: URL = new URL('../replay/replay-program.js', import.meta.url);
/**
 * With swaps a trace is replayed until all allocators have had their turn, but not for longer than this,
 * unless the machine is so slow that few swaps have been tried by then.
 */
const MOST_SECONDS = 10;
const LEAST_TRIES = 10;
/** Violations that are told in words. */
const TOLD = 5;

/**
 * What to do on a full machine.
 * @public
 */
export interface FullSite {
  /** The byte allocators: the first one boots, the others take turns. */
  readonly allocators: readonly AllocatorName[];
  /** The lock of those that need one; undefined: each its usual one. */
  readonly lock: LockKind | undefined;
  readonly cpus: number;
  /** Milliseconds between two swaps; undefined: none. */
  readonly swapEvery: number | undefined;
}

/**
 * What came of it.
 * @public
 */
export interface FullRun {
  readonly trace: string;
  readonly allocators: readonly AllocatorName[];
  /** How the CPUs were kept apart; null: each allocator's usual lock. */
  readonly lock: LockKind | null;
  /** How many bytes of physical memory. */
  readonly regionBytes: number;
  /** Milliseconds between two swaps; null: there were none. */
  readonly swapEveryMs: number | null;
  readonly swaps: number;
  /** How often the trace was replayed. */
  readonly replays: number;
  /** Operations of all replays, on all CPUs. */
  readonly operations: number;
  /** Seconds of all replays, under the oracle. */
  readonly seconds: number;
  readonly failedAllocations: number;
  readonly violations: number;
  /** The first few, in words. */
  readonly firstViolations: readonly string[];
  /** Pages that were handed out before the first replay, and after the last one, when all had been freed. */
  readonly pagesBefore: number;
  readonly pagesAfter: number;
  /** The most that the byte allocators had at once, those that were being swapped out included. */
  readonly peakHeapPages: number;
  /** What each CPU did. */
  readonly cpus: readonly ThreadReport[];
  /** What the main thread did: it makes the heaps that are swapped in. */
  readonly main: ThreadReport;
}

/**
 * Replays a trace on a full machine, under the oracle.
 * @param name - of the trace
 * @throws JobError when a CPU panics
 * @public
 */
export async function runFull(
  site: FullSite,
  name: string,
  trace: Trace,
  peakLiveBytes: number,
): Promise<FullRun> {
  const { allocators, lock, cpus, swapEvery } = site;
  const regionBytes = regionFor(peakLiveBytes);
  const machine = await boot({
    cpus,
    bytes: regionBytes,
    allocator: allocators[0],
    lock,
    paged: { swap: swapEvery === undefined ? false : allocators },
    onPrint: () => {},
  });
  try {
    const oracle = Oracle.create({ bytes: machine.memory.byteLength });
    const { allocator: first } = await machine.report();
    const pagesBefore = await quietPages(machine);
    const plan = planReplay(trace, cpus);
    const done = { replays: 0, seconds: 0, failedAllocations: 0, swaps: 0 };
    const swapper = swapEvery === undefined ? undefined : startSwaps(machine, allocators, swapEvery);
    try {
      do {
        const reports = await replay(machine, `${name}, ${allocators.join(' → ')}`, plan, oracle);
        done.replays++;
        done.seconds += Math.max(...reports.map((report) => report.seconds));
        done.failedAllocations += reports.reduce((sum, report) => sum + report.failedAllocations, 0);
      } while (swapper !== undefined && isDue(swapper, allocators.length, done.seconds));
    } finally {
      done.swaps = swapper?.stop() ?? 0;
    }
    const report = await machine.report();
    // Everything is freed, but a heap keeps the pages that it has grown by: with it they go.
    machine.swap(first);
    const pagesAfter = await quietPages(machine);
    const found = [
      ...broken(machine, pagesAfter - pagesBefore),
      ...oracle.violations().map(({ message }) => message),
    ];
    return {
      trace: name,
      allocators,
      lock: lock ?? null,
      regionBytes,
      swapEveryMs: swapEvery ?? null,
      ...done,
      operations: done.replays * plan.operations,
      violations: oracle.violationCount + found.length - oracle.violations().length,
      firstViolations: found.slice(0, TOLD),
      pagesBefore,
      pagesAfter,
      peakHeapPages: report.memory.peakHeapPages,
      cpus: report.cpus,
      main: report.main,
    };
  } finally {
    await machine.halt();
  }
}

/** Pages that are handed out once everybody has let go of what is not needed any more. */
async function quietPages(machine: Machine): Promise<number> {
  await machine.settle();
  machine.allocator.collect?.(true);
  return machine.physical.usedPages();
}

/** What the machine itself finds, now that nothing is allocated. */
function broken(machine: Machine, pagesMore: number): string[] {
  const found: string[] = [];
  try {
    machine.allocator.validate();
  } catch (error) {
    found.push(`broken invariant: ${oneLine(error)}`);
  }
  if (pagesMore > 0) found.push(`${pagesMore} pages have not come back`);
  return found;
}

/** Whether another replay is needed for the swaps that are missing, and may bring them. */
function isDue({ swaps, tries }: Swapper, allocators: number, seconds: number): boolean {
  return swaps() < allocators && (seconds < MOST_SECONDS || tries() < LEAST_TRIES * allocators);
}

interface Swapper {
  swaps(): number;
  /** Swaps, and those that were left out. */
  tries(): number;
  /** @returns how many swaps there were */
  stop(): number;
}

/** Swaps until it is stopped, in turn. A swap that finds no pages is left out: the one before goes on. */
function startSwaps(machine: Machine, allocators: readonly AllocatorName[], every: number): Swapper {
  let swaps = 0;
  let turn = 0;
  const timer = setInterval(() => {
    if (machine.state !== 'running') return;
    turn++;
    try {
      machine.swap(allocators[turn % allocators.length]);
      swaps++;
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'NoMemory') throw error;
    }
  }, every);
  return {
    swaps: () => swaps,
    tries: () => turn,
    stop: () => {
      clearInterval(timer);
      return swaps;
    },
  };
}

async function replay(
  machine: Machine,
  what: string,
  plan: ReplayPlan,
  oracle: Oracle,
): Promise<ReplayResult[]> {
  resetPlan(plan);
  const task: ReplayTask = { plan, watch: true, oracle: oracle.share(), freeLeaks: true };
  try {
    return (await machine.run(PROGRAM, task)) as ReplayResult[];
  } catch (error) {
    if (!(error instanceof KernelPanic)) throw error;
    throw new JobError(`${what}: CPU ${error.cpu} panicked: ${oneLine(error)}`);
  }
}
