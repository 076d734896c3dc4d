/** How the results read: two tables and the notes below them. */

import type { Machine } from '../machine.ts';
import { type Column, colors, RULE, renderTable } from '../table.ts';
import { formatBytes, formatCount } from '../units.ts';
import type { Garbage } from './garbage.ts';
import type { Absence, Plan, Sample } from './measure.ts';
import type { Figure } from './summary.ts';

/**
 * What `out/bench.json` holds.
 * @public
 */
export interface BenchReport {
  readonly machine: Machine;
  readonly plan: { rounds: number; roundSeconds: number; settleSeconds: number; bytes: number; seed: number };
  /** The contestant that ratios are against. */
  readonly reference: string;
  readonly figures: readonly Figure[];
  readonly garbage: readonly Garbage[];
  readonly absences: readonly Absence[];
  readonly samples: readonly Sample[];
}

const DASH = '–';

/**
 * @param report - the results
 * @param plan - what was asked for; gives the order of rows and columns
 * @returns text for a terminal
 * @public
 */
export function renderReport(report: BenchReport, plan: Plan): string {
  const parts = [timeTable(report, plan)];
  if (report.garbage.length > 0) parts.push(garbageTable(report, plan));
  parts.push(notes(report, plan));
  return parts.join('\n\n');
}

function timeTable({ figures }: BenchReport, { contestants, workloads }: Plan): string {
  const columns: Column[] = [{ head: 'malloc + free, ns', align: 'left' }];
  for (const { title } of workloads) {
    columns.push(
      { head: title.replace(' ', '\n'), align: 'point' },
      { head: 'spread', align: 'right' },
      { head: 'ratio', align: 'point' },
    );
  }
  const rows: (string[] | typeof RULE)[] = [];
  let lastKind = contestants[0]?.kind;
  for (const { name, title, kind } of contestants) {
    const cells = workloads.map((workload) =>
      figures.find((each) => each.contestant === name && each.workload === workload.name),
    );
    if (cells.every((cell) => cell === undefined)) continue;
    if (kind !== lastKind && rows.length > 0) rows.push(RULE);
    lastKind = kind;
    rows.push([title, ...cells.flatMap(figureCells)]);
  }
  return renderTable(columns, rows);
}

function figureCells(figure: Figure | undefined): string[] {
  if (figure === undefined) return [DASH, DASH, DASH];
  const { nanoseconds, lower, upper, ratio } = figure;
  const spread = `±${((50 * (upper - lower)) / nanoseconds).toFixed(1)} %`;
  return [formatNanoseconds(nanoseconds), spread, ratio === null ? DASH : formatQuotient(ratio)];
}

function garbageTable({ garbage }: BenchReport, { contestants, workloads }: Plan): string {
  return renderTable(
    [
      { head: 'JS garbage', align: 'left' },
      { head: 'workload', align: 'left' },
      { head: 'operations', align: 'right' },
      { head: 'collections', align: 'right' },
      { head: 'bytes an operation', align: 'point' },
    ],
    garbage.map((each) => [
      titleOf(contestants, each.contestant),
      titleOf(workloads, each.workload),
      formatCount(each.operations),
      formatCount(each.collections),
      each.bytesPerOperation.toFixed(4),
    ]),
  );
}

function titleOf(list: readonly { name: string; title: string }[], name: string): string {
  return list.find((each) => each.name === name)?.title ?? name;
}

function notes({ machine, absences, figures, reference }: BenchReport, plan: Plan): string {
  const lines = plan.workloads.map((workload) => `${workload.title}: ${workload.description}`);
  lines.push(
    `Medians of ${plan.rounds} interleaved rounds of about ${plan.roundSeconds * 1000} ms; spread: half the distance between the quartiles.`,
    `ratio: time ÷ that of ${titleOf(plan.contestants, reference)} in the same round; below 1 is quicker.`,
    `Regions of ${formatBytes(plan.bytes)}; seed ${plan.seed}; ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}.`,
  );
  if (figures.some((figure) => figure.contestant === 'harness')) {
    lines.push('Every time includes the harness’s own, which is the row “the harness alone”.');
  }
  if (!figures.some((figure) => figure.contestant === reference)) {
    lines.push(`No ratios: ${reference} did not take part.`);
  }
  for (const { contestant, workload, reason } of absences) {
    lines.push(`Not measured: ${contestant}${workload === undefined ? '' : ` in ${workload}`}: ${reason}`);
  }
  return lines.map((line) => colors.dim(line)).join('\n');
}

function formatNanoseconds(value: number): string {
  return value < 1000 ? value.toFixed(1) : formatCount(Math.round(value));
}

function formatQuotient(value: number): string {
  return value < 100 ? value.toFixed(2) : formatCount(Math.round(value));
}
