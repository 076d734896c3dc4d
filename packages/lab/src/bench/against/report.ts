/** How two builds read side by side: a table for each allocator, and the notes below them. */

import type { Machine } from '../../machine.ts';
import { type Column, colors, renderTable } from '../../table.ts';
import { formatBytes, formatCount } from '../../units.ts';
import { formatNanoseconds } from '../figures.ts';
import type { Absence } from '../measure.ts';
import { type AgainstPlan, type AgainstSample, COMPARABLE, type Row } from './measure.ts';
import { type AgainstFigure, chanceOf, ENOUGH_ROUNDS, outliersOf } from './summary.ts';

/**
 * What `out/bench-against.json` holds.
 * @public
 */
export interface AgainstReport {
  readonly machine: Machine;
  readonly plan: AgainstPlan;
  readonly figures: readonly AgainstFigure[];
  readonly absences: readonly Absence[];
  readonly samples: readonly AgainstSample[];
}

/**
 * @param report - the results
 * @param rows - what was asked for
 * @returns text for a terminal
 * @internal
 */
export function renderAgainst(report: AgainstReport, rows: readonly Row[]): string {
  const tables = COMPARABLE.map(({ name, title }) => {
    const own = report.figures.filter(({ allocator }) => allocator === name);
    return own.length === 0 ? '' : renderTable(columns(title), own.map(cells));
  });
  return [...tables.filter((text) => text !== ''), notes(report)].join('\n\n');

  function cells({ workload, here, there, ratio, lower, upper, verdict }: AgainstFigure): string[] {
    return [
      rows.find((row) => row.workload === workload)?.work ?? workload,
      formatNanoseconds(here),
      formatNanoseconds(there),
      ratio.toFixed(3),
      `${lower.toFixed(3)}–${upper.toFixed(3)}`,
      verdict,
    ];
  }
}

function columns(title: string): Column[] {
  return [
    { head: title, align: 'left' },
    { head: 'here, ns', align: 'point' },
    { head: 'there, ns', align: 'point' },
    { head: 'ratio', align: 'point' },
    { head: 'spread', align: 'right' },
    { head: 'here is', align: 'left' },
  ];
}

function notes({ machine, plan, absences }: AgainstReport): string {
  const { there, rounds, bytes, seed } = plan;
  const outliers = outliersOf(rounds);
  const lines = [
    `There: ${there}.`,
    `Medians of ${rounds} rounds, each with fresh heaps and workers for both builds, which take turns, of which the quickest counts; ratio: here ÷ there in the same round.`,
    outliers === undefined
      ? `A verdict needs ${ENOUGH_ROUNDS} rounds; spread: all ratios.`
      : `Spread: the ratios${outliers === 0 ? '' : ` but the ${outliers} lowest and the ${outliers} highest`}. The same: 1 lies within it; two equal builds leave it once in ${formatCount(Math.floor(1 / chanceOf(rounds, outliers)))} rows.`,
    `Regions of ${formatBytes(bytes)}. Seed ${seed}; ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}.`,
    ...absences.map(
      ({ contestant, workload, reason }) => `Not measured: ${contestant} in ${workload}: ${reason}`,
    ),
  ];
  return lines.map((line) => colors.dim(line)).join('\n');
}
