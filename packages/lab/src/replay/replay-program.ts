/**
 * The program that every CPU of the machine runs: it replays its stream of the plan onto the machine's allocator.
 *
 * Watched, it takes samples after every operation and, with an oracle, checks every block. Bare, it does nothing but replay: that is what is
 * timed. A machine runs it either watched or bare, so that the engine sees one class of heap only.
 */

import { Oracle, type OracleHandle } from '@shmalloc/alloc-test/oracle';
import type { Cpu } from '@shmalloc/kernel';
import { ReplayError, type ReplayPlan, replayOn } from '@shmalloc/trace';
import { type CpuSamples, SampleThinner } from './samples.ts';

/** Above so many operations of one CPU not every one is followed by a sample. */
const MOST_SAMPLES = 250_000;

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
}

/**
 * What a CPU tells.
 * @internal
 */
export interface CpuReport {
  operations: number;
  /** From the moment when all CPUs were ready. */
  seconds: number;
  failedAllocations: number;
  /** The most live bytes over all CPUs that this one has seen. */
  peakLiveBytes: number;
  samples: CpuSamples;
}

/**
 * @returns nothing when another CPU has failed: that one's panic is the news, not that this one had to stop
 * @internal
 */
export default function replayProgram(cpu: Cpu, argument: unknown): CpuReport | undefined {
  try {
    const task = argument as ReplayTask;
    return task.watch ? watched(cpu, task) : bare(cpu, task);
  } catch (error) {
    if (error instanceof ReplayError && error.reason === 'aborted') return undefined;
    throw error;
  }
}

function bare(cpu: Cpu, { plan }: ReplayTask): CpuReport {
  return summary(replayOn(plan, cpu.id, cpu.allocator, { freeLeaks: true }), []);
}

function watched({ id, allocator }: Cpu, { plan, oracle }: ReplayTask): CpuReport {
  const times: number[] = [];
  const result = replayOn(plan, id, allocator, {
    ...(oracle && { oracle: Oracle.attach(oracle) }),
    sampleEvery: Math.max(1, Math.ceil(plan.streams[id].operations / MOST_SAMPLES)),
    footprint: () => {
      // Threads have clocks of their own; the origin makes them one, so that their samples can be put in order.
      times.push(performance.timeOrigin + performance.now());
      return (allocator.stats() as { footprintBytes: number }).footprintBytes;
    },
  });
  return summary(result, times);
}

function summary(result: ReturnType<typeof replayOn>, times: readonly number[]): CpuReport {
  const { operations, seconds, failedAllocations, samples } = result;
  const thinner = new SampleThinner(samples.length);
  for (const [index, sample] of samples.entries()) thinner.add(times[index], sample);
  return {
    operations,
    seconds,
    failedAllocations,
    peakLiveBytes: thinner.peakLiveBytes,
    samples: thinner.samples,
  };
}
