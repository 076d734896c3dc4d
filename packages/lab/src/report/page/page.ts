/** The report as one page that opens from disk: everything that it needs is in it. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { formatBytes, formatCount, formatSeconds, plural } from '../../units.ts';
import {
  distinct,
  type Report,
  type Result,
  type TraceSummary,
  totalFailures,
  totalViolations,
} from '../report.ts';
import { sizeHistogram, throughputBars } from './charts.ts';
import { embedJson, escapeHtml, proseHtml, slug } from './escape.ts';
import { type Plot, plotsOf } from './plots.ts';
import { stepsPlot, stepsSection } from './steps.ts';
import { DASHES, HUE_COUNT, STYLE } from './style.ts';
import { ratioTable, throughputTable, traceTable } from './summary.ts';

/**
 * @param report - what was found
 * @returns the page
 * @public
 */
export function renderPage(report: Report): string {
  const hues = new Map(distinct(report.results, 'allocator').map((name, index) => [name, index % HUE_COUNT]));
  const plots = plotsOf(report, hues);
  const data = {
    machine: report.machine,
    traces: report.traces,
    results: report.results.map(({ samples: _, ...figures }) => figures),
    plots,
    steps: report.steps === undefined ? null : stepsPlot(report.steps),
    dashes: DASHES,
  };
  const { script, style } = plotLibrary();
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${title(report)}</title>
<style>${style}${STYLE}</style>
</head>
<body>
<main>
${header(report)}
${report.traces.length > 0 ? figures(report) : ''}
${report.steps === undefined ? '' : stepsSection(report.steps)}
${report.traces.length > 0 ? traces(report, hues, plots) : ''}
</main>
<script type="application/json" id="report-data">${embedJson(data)}</script>
<script>${script}</script>
<script type="module">${clientScript()}</script>
</body>
</html>
`;
}

function title({ traces }: Report): string {
  return traces.length > 0
    ? 'shmalloc: recorded programs through every allocator'
    : 'shmalloc: removing the lock';
}

/** The tables over all traces. */
function figures(report: Report): string {
  return `<h2>Throughput</h2>
<p class="note">Millions of operations a second (Mops/s): higher is better. Marked is the best of each row and what is within 5 % of it, since
the next run may order those again. Replays without checks: the median of several, or the only one where it is slow (point at a figure to see how many).</p>
${throughputTable(report)}
<h2>Memory</h2>
<p class="note">Peak footprint ÷ peak live bytes: lower is better, 1.00 would be no overhead at all. Footprint is every byte of the region that the
allocator has touched, its own header included; live bytes are those that the program asked for and has not freed. A region ends somewhere: what an
allocator touches cannot exceed it.</p>
${ratioTable(report)}`;
}

/** What was replayed, one after the other. */
function traces(report: Report, hues: ReadonlyMap<string, number>, plots: readonly Plot[]): string {
  return `<h2>The traces</h2>
${traceTable(report, formatBytes)}
${report.traces
  .map((trace) =>
    section(
      trace,
      report,
      hues,
      plots.find((plot) => plot.trace === trace.name),
    ),
  )
  .join('\n')}`;
}

function header(report: Report): string {
  const { machine, results } = report;
  const checked = results.filter((result) => result.checkedSeconds > 0);
  const operations = checked.reduce((sum, result) => sum + result.operations, 0);
  const violations = totalViolations(report);
  const failures = totalFailures(report);
  const facts: [string, string][] = [
    [
      'machine',
      `${machine.cpu}, ${plural(machine.cores, 'core')}, ${formatBytes(machine.memoryBytes)} of memory`,
    ],
    ['software', `Node ${machine.node} (V8 ${machine.v8}), ${machine.os}`],
    [
      'date',
      `${machine.date.replace('T', ' ').replace(/\.\d+Z$/, ' UTC')}; the job took ${formatSeconds(report.seconds)}`,
    ],
    ...(results.length > 0 ? [['threads', distinctCpus(results)] as [string, string]] : []),
  ];
  const reproduce = `<dt>make it again</dt><dd><code>${escapeHtml(report.command)}</code> in the repository of shmalloc</dd>`;
  const verdict = `<p class="verdict">${checked.length > 0 ? `${formatCount(operations)} operations checked by the oracle` : 'Not checked by the oracle'}: <strong class="${violations === 0 ? 'good' : 'bad'}">${plural(violations, 'violation')}</strong>, <strong class="${failures === 0 ? 'good' : 'bad'}">${plural(failures, 'failed allocation')}</strong>.</p>
`;
  return `<h1>${title(report)}</h1>
${report.traces.length > 0 ? verdict : ''}<dl class="facts">${facts.map(([term, text]) => `<dt>${term}</dt><dd>${escapeHtml(text)}</dd>`).join('')}${reproduce}</dl>`;
}

function distinctCpus(results: readonly Result[]): string {
  const cpus = [...new Set(results.map((result) => result.cpus))].sort((a, b) => a - b);
  return `${cpus.join(' or ')} ${cpus.at(-1) === 1 ? 'CPU' : 'CPUs'}, each a worker thread; recorded threads beyond that share them`;
}

function section(
  trace: TraceSummary,
  report: Report,
  hues: ReadonlyMap<string, number>,
  plot: Plot | undefined,
): string {
  const results = report.results.filter((result) => result.trace === trace.name);
  const regions = [...new Set(results.map((result) => formatBytes(result.regionBytes)))].join(' or ');
  const name = escapeHtml(trace.name);
  return `<section id="${slug(trace.name)}">
<h2>${name}</h2>
<p>${proseHtml(trace.description)}</p>
<p class="note">${plural(trace.operations, 'operation')}, ${plural(trace.threads, 'thread')}, ${plural(trace.crossThreadFrees, 'cross-thread free')},
peak live ${formatBytes(trace.peakLiveBytes)} as recorded; replayed in a region of ${regions || '–'}.</p>
${faults(results)}
<div class="pair">
<div><h3>Throughput, Mops/s</h3>${results.length > 0 ? throughputBars(results, hues) : ''}</div>
<div><h3>Block sizes</h3>${sizeHistogram(trace.sizes)}</div>
</div>
<div class="plot"><h3>Footprint over time, against live bytes</h3>${beyond(plot)}<div class="canvas" data-plot="${name}"><p class="dim">The plot needs JavaScript.</p></div></div>
</section>`;
}

/** Which lines end above the plot, and where. */
function beyond(plot: Plot | undefined): string {
  const lines = plot?.lines.filter((line) => plot.beyond.includes(line.allocator)) ?? [];
  if (lines.length === 0) return '';
  const ends = lines.map(
    (line) => `${escapeHtml(line.allocator)} (to ${formatBytes(Math.max(...line.footprintBytes))})`,
  );
  return `<p class="note">Beyond the plot: ${ends.join(', ')}.</p>`;
}

/** What went wrong on this trace, in words. */
function faults(results: readonly Result[]): string {
  const lines = results.flatMap((result) => {
    const who = `${result.allocator} (${result.lock})`;
    const failed =
      result.failedAllocations > 0
        ? [`${who}: ${plural(result.failedAllocations, 'failed allocation')}`]
        : [];
    const violated =
      result.violations > 0
        ? [
            `${who}: ${plural(result.violations, 'violation')}`,
            ...result.firstViolations.map((v) => `${who}: ${v}`),
          ]
        : [];
    return [...failed, ...violated];
  });
  if (lines.length === 0) return '';
  return `<ul class="violations bad">${lines.map((line) => `<li>${escapeHtml(line)}</li>`).join('')}</ul>`;
}

/** uPlot as it is published, licence line included. */
function plotLibrary(): { script: string; style: string } {
  const require = createRequire(import.meta.url);
  return {
    script: readFileSync(require.resolve('uplot/dist/uPlot.iife.min.js'), 'utf8'),
    style: readFileSync(require.resolve('uplot/dist/uPlot.min.css'), 'utf8'),
  };
}

function clientScript(): string {
  const compiled = readFileSync(new URL('./client.js', import.meta.url), 'utf8');
  return compiled.replace(/\n\/\/# sourceMappingURL=.*/, '');
}
