/* c8 ignore start -- runs in the browser; the test of the page opens it in one */
/**
 * The part of the report that runs in the browser: it draws the plots with uPlot, which the page carries
 * along. It is inlined as it is compiled, so it imports nothing but types.
 */

import type UPlot from 'uplot';
import type { Plot } from './plots.ts';
import type { StepsPlot } from './steps.ts';

declare const uPlot: typeof UPlot;

/** What the page embeds for this script. */
interface PageData {
  plots: Plot[];
  steps: StepsPlot | null;
  dashes: number[][];
}

const data: PageData = JSON.parse(document.getElementById('report-data')?.textContent ?? '{}');
const BINARY_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB'];

/** The largest unit that is not above a value. */
function unitOf(value: number): number {
  return value < 1 ? 0 : Math.min(3, Math.floor(Math.log2(value) / 10));
}

function bytes(value: number): string {
  const unit = unitOf(value);
  const scaled = value / 1024 ** unit;
  return `${unit === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toPrecision(3)} ${UNITS[unit]}`;
}

/** All marks of one axis in one unit. */
function byteMarks(_self: unknown, ticks: number[]): string[] {
  const unit = unitOf(ticks[ticks.length - 1]);
  return ticks.map((tick) =>
    tick === 0 ? '0' : `${Number((tick / 1024 ** unit).toFixed(3))} ${UNITS[unit]}`,
  );
}

/** What the legend shows: the value under the cursor, and the highest while there is none. */
function bytesOrPeak(value: number | null, all: readonly number[]): string {
  return value === null ? `peak ${bytes(Math.max(...all))}` : bytes(value);
}

function count(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toFixed(2))} M`;
  return value >= 1e4 ? `${Number((value / 1e3).toFixed(1))} k` : value.toLocaleString('en-US');
}

function axisStyle(): UPlot.Axis {
  return {
    stroke: color('--dim'),
    font: '12px system-ui, sans-serif',
    labelFont: '12px system-ui, sans-serif',
    grid: { stroke: color('--grid'), width: 1 },
    ticks: { stroke: color('--rule'), width: 1, size: 5 },
  };
}

function options(plot: Plot, width: number): UPlot.Options {
  const axis = axisStyle();
  const colors = ['', color('--live'), ...plot.lines.map((line) => color(`--hue-${line.hue}`))];
  return {
    width,
    height: 280,
    padding: [10, 14, 0, 0],
    scales: { x: { time: false }, y: { range: () => [0, plot.top] } },
    legend: { markers: { width: 0, fill: (_self, index) => (index > 0 ? colors[index] : 'transparent') } },
    cursor: { drag: { x: true, y: false }, points: { size: 6 } },
    axes: [
      {
        ...axis,
        size: 30,
        label: 'operations replayed',
        labelSize: 18,
        labelGap: 2,
        values: (_self, ticks) => ticks.map(count),
      },
      { ...axis, size: 68, incrs: BINARY_STEPS, space: 36, values: byteMarks },
    ],
    series: [
      {
        label: 'operations',
        value: (_self, value) =>
          (value ?? plot.operations[plot.operations.length - 1]).toLocaleString('en-US'),
      },
      {
        label: 'live (requested)',
        stroke: colors[1],
        fill: color('--live-fill'),
        width: 1,
        points: { show: false },
        value: (_self, value) => bytesOrPeak(value, plot.liveBytes),
      },
      ...plot.lines.map(
        (line, index): UPlot.Series => ({
          label: line.allocator,
          stroke: colors[index + 2],
          width: 2,
          dash: data.dashes[line.hue],
          points: { show: false },
          value: (_self, value) => bytesOrPeak(value, line.footprintBytes),
        }),
      ),
    ],
  };
}

function draw(plot: Plot, place: HTMLElement): UPlot {
  const columns = [plot.operations, plot.liveBytes, ...plot.lines.map((line) => line.footprintBytes)];
  return new uPlot(options(plot, place.clientWidth), columns as UPlot.AlignedData, place);
}

/** Millions of pairs a second, three digits. */
function rate(value: number | null): string {
  return value === null ? '–' : String(Number(value.toPrecision(3)));
}

/**
 * Throughput by number of threads. The axis of threads has its marks evenly spaced: it is the positions 0, 1,
 * 2, …
 */
function drawSteps(plot: StepsPlot, place: HTMLElement): UPlot {
  const axis = axisStyle();
  const positions = plot.threads.map((_, index) => index);
  const threads = (index: number | null): string => (index === null ? '–' : String(plot.threads[index]));
  const last = positions.length - 1;
  return new uPlot(
    {
      width: place.clientWidth,
      height: 280,
      padding: [10, 14, 0, 0],
      scales: { x: { time: false, range: () => [-0.15, last + 0.15] }, y: { distr: 3 } },
      legend: {
        markers: {
          width: 0,
          fill: (_self, index) => (index > 0 ? stepColor(plot, index - 1) : 'transparent'),
        },
      },
      cursor: { drag: { x: false, y: false }, points: { size: 9 } },
      axes: [
        {
          ...axis,
          size: 30,
          label: 'threads',
          labelSize: 18,
          labelGap: 2,
          splits: () => positions,
          values: (_self, ticks) => ticks.map(threads),
        },
        {
          ...axis,
          size: 68,
          values: (_self, ticks) => ticks.map((tick) => (tick === null ? '' : rate(tick))),
        },
      ],
      series: [
        { label: 'threads', value: (_self, index) => threads(index) },
        ...plot.lines.map(
          (line, index): UPlot.Series => ({
            label: line.label,
            stroke: stepColor(plot, index),
            width: 2,
            dash: data.dashes[line.hue],
            points: { show: true, size: 7, fill: stepColor(plot, index) },
            value: (_self, value) => rate(value ?? Math.max(...line.rates.filter((each) => each !== null))),
          }),
        ),
      ],
    },
    [positions, ...plot.lines.map((line) => line.rates)] as UPlot.AlignedData,
    place,
  );
}

function stepColor(plot: StepsPlot, line: number): string {
  return color(`--hue-${plot.lines[line].hue}`);
}

/** Draws into a place, and again when its width or the colours change. */
function keepDrawn(place: HTMLElement | null, make: (place: HTMLElement) => UPlot): void {
  if (place === null) return;
  place.textContent = '';
  let chart = make(place);
  new ResizeObserver(() => {
    if (place.clientWidth !== chart.width) chart.setSize({ width: place.clientWidth, height: 280 });
  }).observe(place);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    chart.destroy();
    chart = make(place);
  });
}

for (const plot of data.plots) {
  keepDrawn(document.querySelector<HTMLElement>(`[data-plot="${CSS.escape(plot.trace)}"]`), (place) =>
    draw(plot, place),
  );
}
const { steps } = data;
if (steps !== null) keepDrawn(document.getElementById('steps-plot'), (place) => drawSteps(steps, place));
/* c8 ignore stop */
