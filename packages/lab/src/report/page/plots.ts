/** What the page's plots show: the samples of several replays brought onto one axis. */

import { distinct, type Report, type Result, type Samples } from '../report.ts';

/**
 * One trace's plot: footprint over time for each allocator, against the live bytes.
 * @public
 */
export interface Plot {
  trace: string;
  /** Operations replayed, the axis that all lines share. */
  operations: number[];
  /** Requested bytes in live blocks. */
  liveBytes: number[];
  /** Where the axis of bytes ends. */
  top: number;
  /** Allocators whose lines leave the plot at the top. */
  beyond: string[];
  /** One line an allocator. */
  lines: { allocator: string; hue: number; footprintBytes: number[] }[];
}

/** Points on the shared axis: one for about every three pixels of a plot. */
const POINTS = 320;

/** Above so many times what is live a line may leave the plot. */
const WASTEFUL = 2.5;

/**
 * @param report - what was found
 * @param hues - the colour of each allocator
 * @returns a plot for every trace that has samples
 * @public
 */
export function plotsOf(report: Report, hues: ReadonlyMap<string, number>): Plot[] {
  return report.traces.flatMap((trace) => {
    const ofTrace = report.results.filter((r) => r.trace === trace.name && r.samples.operations.length > 0);
    return ofTrace.length > 0 ? [plotOf(trace.name, ofTrace, hues)] : [];
  });
}

function plotOf(trace: string, results: readonly Result[], hues: ReadonlyMap<string, number>): Plot {
  const end = Math.max(...results.map((result) => result.samples.operations.at(-1) as number));
  const points = Math.min(POINTS, Math.max(2, end + 1));
  const operations = Array.from({ length: points }, (_, i) => Math.round((end * i) / (points - 1)));
  const liveBytes = resample(results[0].samples, 'liveBytes', operations);
  const lines = distinct(results, 'allocator').map((allocator) => {
    // The lock changes when a block is made, not where: one line an allocator, from the first lock.
    const { samples } = results.find((result) => result.allocator === allocator) as Result;
    const footprintBytes = resample(samples, 'footprintBytes', operations);
    return { allocator, hue: hues.get(allocator) ?? 0, footprintBytes };
  });
  return { trace, operations, liveBytes, lines, ...scaleOf(Math.max(...liveBytes), lines) };
}

/**
 * An allocator that wastes several times what is live would press all the others to the ground: then the axis
 * ends above the others, and its line leaves the plot.
 */
function scaleOf(live: number, lines: Plot['lines']): Pick<Plot, 'top' | 'beyond'> {
  const peaks = lines.map(({ allocator, footprintBytes }) => ({
    allocator,
    peak: Math.max(...footprintBytes),
  }));
  const modest = peaks.filter(({ peak }) => peak <= live * WASTEFUL);
  const shown = modest.length > 0 ? modest : peaks;
  const top =
    Math.max(1, live, ...shown.map(({ peak }) => peak)) * (shown.length < peaks.length ? 1.3 : 1.05);
  return { top, beyond: peaks.filter(({ peak }) => peak > top).map(({ allocator }) => allocator) };
}

/**
 * The value that held at each point: that of the last sample at or before it, 0 before the first.
 * @param samples - in order of operations
 * @param key - which column
 * @param points - operations, ascending
 * @public
 */
export function resample(
  samples: Samples,
  key: 'liveBytes' | 'footprintBytes',
  points: readonly number[],
): number[] {
  let next = 0;
  let value = 0;
  return points.map((point) => {
    while (next < samples.operations.length && samples.operations[next] <= point)
      value = samples[key][next++];
    return value;
  });
}
