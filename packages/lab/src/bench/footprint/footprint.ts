/**
 * The second thing that is measured: how much memory a heap takes for what is live in it, on recorded
 * programs.
 *
 * ```
 *   a trace, its threads' operations ──┬──► our allocators, here     footprintBytes(), the most of it
 *   in the recorded order, one thread  │                                                              ÷  peak live bytes
 *                                      └──► native/replay.c, a fresh process    pages that it has more, the most of them
 * ```
 *
 * Both write every byte of every block. Ours is counted in bytes that were ever touched. In C it is pages of
 * the operating system that are there at a time: an allocator that gives pages back is better off by it, and
 * one that touches a little of many pages is worse off. What ours come to in pages is found too.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { ALLOCATORS, type AllocatorName } from '@shmalloc/kernel';
import { type Trace, traceInfo } from '@shmalloc/trace';
import { geometricMean } from 'simple-statistics';
import type { Contestant } from '../contestant.ts';
import { type Absence, reasonOf } from '../measure.ts';
import { replayNative } from './replay-native.ts';
import { replayOurs } from './replay-ours.ts';

/**
 * A trace to replay.
 * @public
 */
export interface NamedTrace {
  readonly name: string;
  load(): Trace;
}

/**
 * One heap after one trace.
 * @public
 */
export interface FootprintFigure {
  readonly contestant: string;
  readonly trace: string;
  /** The most bytes live, as asked for. */
  readonly peakLiveBytes: number;
  /** The most bytes that the heap took. */
  readonly footprintBytes: number;
  /** {@link FootprintFigure.footprintBytes} over {@link FootprintFigure.peakLiveBytes}. */
  readonly ratio: number;
  /**
   * The most bytes that it had committed, whether they were touched or not, by its own account; for those
   * that keep one.
   */
  readonly committedBytes?: number;
  /** Ours only: the pages of 4 KiB that hold anything at the end, in bytes; what C is counted in. */
  readonly pageBytes?: number;
}

/**
 * One heap over all traces.
 * @public
 */
export interface FootprintMean {
  readonly contestant: string;
  /** The geometric mean of its ratios. */
  readonly ratio: number;
  /** The same of what it had committed, for those that keep an account. */
  readonly committedRatio?: number;
  /** The same in pages, for ours. */
  readonly pageRatio?: number;
}

/** @public */
export interface Footprint {
  readonly traces: readonly { name: string; operations: number; peakLiveBytes: number }[];
  readonly figures: readonly FootprintFigure[];
  /** Of those that did every trace. */
  readonly means: readonly FootprintMean[];
  readonly absences: readonly Absence[];
}

/**
 * One that takes part: ours that the kernel knows by their name, and those that are called from C.
 * @public
 */
export function withFootprint(contestants: readonly Contestant[]): readonly Contestant[] {
  return contestants.filter(
    (each) => 'allocator' in each || (each.kind === 'ours' && each.name in ALLOCATORS),
  );
}

/**
 * Replays every trace on every heap. A thread that cannot take part is left out with the reason.
 * @param contestants - see {@link withFootprint}
 * @param traces - which
 * @param step - called before each of the traces for each contestant, with what it is
 * @public
 */
export async function measureFootprint(
  contestants: readonly Contestant[],
  traces: readonly NamedTrace[],
  step: (label: string) => void = () => {},
): Promise<Footprint> {
  const summaries: Footprint['traces'][number][] = [];
  const figures: FootprintFigure[] = [];
  const absences: Absence[] = [];
  for (const { name, load } of traces) {
    const trace = load();
    const { operations, peakLiveBytes } = traceInfo(trace);
    summaries.push({ name, operations, peakLiveBytes });
    for (const contestant of contestants) {
      step(`${contestant.title}, ${name}: footprint`);
      await nextTurn(); // ours works in this thread; what was told shall be seen before
      try {
        const found = await replay(contestant, trace, peakLiveBytes);
        const ratio = found.footprintBytes / peakLiveBytes;
        figures.push({ contestant: contestant.name, trace: name, peakLiveBytes, ...found, ratio });
      } catch (error) {
        absences.push({
          contestant: contestant.name,
          workload: `footprint of ${name}`,
          reason: reasonOf(error),
        });
      }
    }
  }
  const whole = contestants.filter(({ name }) => !absences.some(({ contestant }) => contestant === name));
  return {
    traces: summaries,
    figures,
    means: whole.map(({ name }) => meanOf(figures.filter(({ contestant }) => contestant === name))),
    absences: merged(absences, traces.length),
  };
}

type Found = Pick<FootprintFigure, 'footprintBytes' | 'committedBytes' | 'pageBytes'>;

async function replay(contestant: Contestant, trace: Trace, peakLiveBytes: number): Promise<Found> {
  if (!('allocator' in contestant)) return replayOurs(contestant.name as AllocatorName, trace, peakLiveBytes);
  const { footprintBytes, committedBytes } = await replayNative(contestant.allocator, trace, peakLiveBytes);
  return { footprintBytes, ...(committedBytes > 0 && { committedBytes }) };
}

function meanOf(figures: readonly FootprintFigure[]): FootprintMean {
  const committedRatio = meanRatio(figures, 'committedBytes');
  const pageRatio = meanRatio(figures, 'pageBytes');
  return {
    contestant: figures[0].contestant,
    ratio: geometricMean(figures.map(({ ratio }) => ratio)),
    ...(committedRatio !== undefined && { committedRatio }),
    ...(pageRatio !== undefined && { pageRatio }),
  };
}

function meanRatio(
  figures: readonly FootprintFigure[],
  what: 'committedBytes' | 'pageBytes',
): number | undefined {
  const ratios = figures.flatMap(({ [what]: bytes, peakLiveBytes }) =>
    bytes === undefined ? [] : [bytes / peakLiveBytes],
  );
  return ratios.length > 0 ? geometricMean(ratios) : undefined;
}

/** One that fails in every trace for the same reason is told of once. */
function merged(absences: readonly Absence[], traces: number): Absence[] {
  const same = ({ contestant, reason }: Absence): string => `${contestant}\0${reason}`;
  const counts = new Map<string, number>();
  for (const each of absences) counts.set(same(each), (counts.get(same(each)) ?? 0) + 1);
  const told = new Set<string>();
  return absences.flatMap((each) => {
    if (counts.get(same(each)) !== traces) return [each];
    if (told.has(same(each))) return [];
    told.add(same(each));
    return [{ ...each, workload: 'footprint' }];
  });
}
