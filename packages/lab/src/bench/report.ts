/**
 * How the results read: a table for each workload, one of the garbage, one of the footprint, and the notes
 * below them.
 */

import type { Machine } from '../machine.ts';
import { type Column, colors, RULE, renderTable } from '../table.ts';
import { formatBytes, formatCount } from '../units.ts';
import { type Contestant, REFERENCES } from './contestant.ts';
import { formatNanoseconds, formatQuotient, formatSpread } from './figures.ts';
import type { Footprint } from './footprint/footprint.ts';
import { footprintTable } from './footprint/table.ts';
import type { Garbage } from './garbage.ts';
import type { Absence, Plan, Sample } from './measure.ts';
import type { Figure } from './summary.ts';
import type { Memory } from './threads/memory.ts';
import { memoryNotes, threadNotes } from './threads/notes.ts';
import type { Threads } from './threads/report.ts';
import { memoryTable, threadTables } from './threads/table.ts';
import type { Workload } from './workload.ts';

/**
 * What `out/bench.json` holds.
 * @public
 */
export interface BenchReport {
  readonly machine: Machine;
  readonly plan: { rounds: number; roundSeconds: number; settleSeconds: number; bytes: number; seed: number };
  /** The contestants that ratios are against. */
  readonly references: readonly string[];
  readonly figures: readonly Figure[];
  readonly garbage: readonly Garbage[];
  /** Null when it was left out, or no thread was chosen that has one. */
  readonly footprint: Footprint | null;
  /** Null when they were left out, or no thread was chosen that takes part. */
  readonly threads: Threads | null;
  /** Memory over time; null as {@link BenchReport.threads}. */
  readonly memory: Memory | null;
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
  const parts = plan.workloads.map((workload) => timeTable(report, plan.contestants, workload));
  if (report.garbage.length > 0) parts.push(garbageTable(report, plan));
  if (report.footprint !== null) parts.push(footprintTable(report.footprint, plan.contestants));
  if (report.threads !== null) parts.push(...threadTables(report.threads.figures));
  if (report.memory !== null) parts.push(memoryTable(report.memory.figures));
  parts.push(notes(report, plan));
  return parts.filter((part) => part !== '').join('\n\n');
}

/**
 * One workload: which contestants, how long, and how that compares with those references that took part.
 * Empty when none did.
 */
function timeTable(
  { figures }: BenchReport,
  contestants: readonly Contestant[],
  { name: workload, title }: Workload,
): string {
  const own = figures.filter((each) => each.workload === workload);
  const references = REFERENCES.filter(({ contestant }) =>
    own.some((each) => each.contestant === contestant),
  );
  const rows: (string[] | typeof RULE)[] = [];
  let lastKind: string | undefined;
  for (const { name, title, kind } of contestants) {
    const figure = own.find((each) => each.contestant === name);
    if (figure === undefined) continue;
    if (kind !== lastKind && rows.length > 0) rows.push(RULE);
    lastKind = kind;
    rows.push([
      title,
      ...figureCells(figure),
      ...references.map(({ contestant }) => ratioCell(figure, contestant)),
    ]);
  }
  if (rows.length === 0) return '';
  const columns: Column[] = [
    { head: title, align: 'left' },
    { head: 'ns a pair', align: 'point' },
    { head: 'spread', align: 'right' },
    ...references.map(({ head }): Column => ({ head, align: 'point' })),
  ];
  return renderTable(columns, rows);
}

function figureCells(figure: Figure): string[] {
  return [formatNanoseconds(figure.nanoseconds), formatSpread(figure)];
}

function ratioCell({ ratios }: Figure, reference: string): string {
  return reference in ratios ? formatQuotient(ratios[reference]) : DASH;
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

function notes(report: BenchReport, plan: Plan): string {
  const { machine, absences, footprint, threads, memory } = report;
  const title = (name: string): string => titleOf(plan.contestants, name);
  const lines = pairNotes(report, plan, title);
  if (footprint !== null) lines.push(...footprintNotes(footprint, title));
  if (threads !== null) lines.push(...threadNotes(threads));
  if (memory !== null) lines.push(...memoryNotes(memory));
  lines.push(`Seed ${plan.seed}; ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}.`);
  const absent = [
    absences,
    footprint?.absences ?? [],
    threads?.absences ?? [],
    memory?.absences ?? [],
  ].flat();
  for (const { contestant, workload, reason } of absent) {
    lines.push(`Not measured: ${contestant}${workload === undefined ? '' : ` in ${workload}`}: ${reason}`);
  }
  return lines.map((line) => colors.dim(line)).join('\n');
}

/** Those below the times of one thread. */
function pairNotes(report: BenchReport, plan: Plan, title: (name: string) => string): string[] {
  if (plan.workloads.length === 0) return [];
  const took = (name: string): boolean => report.figures.some(({ contestant }) => contestant === name);
  const lines = plan.workloads.map((workload) => `${workload.title}: ${workload.description}`);
  lines.push(
    `Medians of ${plan.rounds} interleaved rounds of about ${plan.roundSeconds * 1000} ms; a pair is a malloc and its free; spread: half the distance between the quartiles.`,
    '÷: time ÷ that of the other one in the same round; below 1 is quicker.',
    `Regions of ${formatBytes(plan.bytes)}.`,
  );
  if (took('harness')) {
    lines.push('Every time in JavaScript includes the harness’s own, which is the row “the harness alone”.');
  }
  const versions = versionsOf(report).map(([name, version]) => `${title(name)} ${version}`);
  if (versions.length > 0) lines.push(`Called from C: ${versions.join(', ')}.`);
  const missing = REFERENCES.filter(({ contestant }) => !took(contestant));
  if (missing.length > 0) {
    lines.push(
      `No ratios to ${missing.map(({ contestant }) => title(contestant)).join(', ')}: not measured.`,
    );
  }
  return lines;
}

function footprintNotes({ means }: Footprint, title: (name: string) => string): string[] {
  const lines = [
    'Footprint: one thread replays in the recorded order and fills every block. Ours in bytes of the region ever touched, C in resident pages.',
  ];
  const paged = means.flatMap(({ contestant, pageRatio }) =>
    pageRatio === undefined ? [] : [`${title(contestant)} ${pageRatio.toFixed(2)}`],
  );
  if (paged.length > 0) lines.push(`Ours in pages of 4 KiB, geometric mean: ${paged.join(' · ')}.`);
  return lines;
}

/** Of those that could tell, each once. */
function versionsOf({ samples }: BenchReport): [string, string][] {
  const versions = new Map<string, string>();
  for (const { contestant, version } of samples) if (version !== undefined) versions.set(contestant, version);
  return [...versions];
}
