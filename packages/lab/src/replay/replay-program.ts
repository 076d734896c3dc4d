/**
 * The program that every CPU of the machine runs: it replays its stream of the plan onto the machine's
 * allocator.
 *
 * Watched, it takes samples and, with an oracle, checks every block. Bare, it does nothing but replay: that
 * is what is timed. A machine runs it either watched or bare, so that the engine sees one class of heap only.
 */

import { Oracle, type OracleHandle } from '@shmalloc/alloc-test/oracle';
import type { Cpu } from '@shmalloc/kernel';
import { ReplayError, type ReplayPlan, type ReplayResult, replayOn } from '@shmalloc/trace';

/** The most samples of one CPU: about one for every four pixels of a plot. */
const MOST_SAMPLES = 240;

/**
 * What a CPU is told.
 * @internal
 */
export interface ReplayTask {
  plan: ReplayPlan;
  /** Whether to take samples. */
  watch: boolean;
  /** Whom to ask about every block. */
  oracle: OracleHandle | null;
  /** Whether a watched replay frees what the trace leaks. One that is not watched always does. */
  freeLeaks?: boolean;
}

/**
 * @returns nothing when another CPU has failed: that one's panic is the news, not that this one had to stop
 * @internal
 */
export default function replayProgram(cpu: Cpu, argument: unknown): ReplayResult | undefined {
  try {
    const task = argument as ReplayTask;
    return task.watch ? watched(cpu, task) : bare(cpu, task);
  } catch (error) {
    if (error instanceof ReplayError && error.reason === 'aborted') return undefined;
    throw error;
  }
}

function bare({ id, allocator }: Cpu, { plan }: ReplayTask): ReplayResult {
  return replayOn(plan, id, allocator, { freeLeaks: true });
}

function watched({ id, allocator }: Cpu, { plan, oracle, freeLeaks }: ReplayTask): ReplayResult {
  return replayOn(plan, id, allocator, {
    ...(oracle && { oracle: Oracle.attach(oracle) }),
    freeLeaks,
    maxSamples: MOST_SAMPLES,
    footprint: () => allocator.footprintBytes(),
    // Threads have clocks of their own; the origin makes them one, so that their samples can be put in order.
    clock: () => performance.timeOrigin + performance.now(),
  });
}
