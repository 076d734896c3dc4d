/** How the results with several threads read: a table for each workload, and one of the memory over time. */

import { type Column, RULE, renderTable } from '../../table.ts';
import { formatBytes, formatCount, formatSeconds } from '../../units.ts';
import { formatNanoseconds, formatQuotient, formatSpread } from '../figures.ts';
import { LOCK_REFERENCE, THREAD_CONTESTANTS, TIME_REFERENCE } from './contestant.ts';
import type { MemoryFigure } from './memory.ts';
import type { ThreadFigure } from './summary.ts';
import { THREAD_WORKLOADS, type ThreadWorkload } from './workload.ts';

const DASH = '–';

/**
 * @param figures - of any workloads
 * @returns a table for each workload that another thread was measured in
 * @public
 */
export function threadTables(figures: readonly ThreadFigure[]): string[] {
  return THREAD_WORKLOADS.map((workload) =>
    threadTable(
      workload,
      figures.filter((each) => each.workload === workload.name),
    ),
  ).filter((text) => text !== '');
}

/** The times of the largest crew; where smaller ones were measured, their throughput beside it. */
function threadTable(
  { title, unit, crews, sides = [] }: ThreadWorkload,
  own: readonly ThreadFigure[],
): string {
  const largest = Math.max(...crews);
  const has = (name: string): boolean => own.some(({ contestant }) => contestant === name);
  const [timed, locked] = [TIME_REFERENCE, LOCK_REFERENCE].map((each) => ({
    ...each,
    has: has(each.contestant),
  }));
  const rows: (string[] | typeof RULE)[] = [];
  let lastKind: string | undefined;
  for (const { name, title, kind } of THREAD_CONTESTANTS) {
    const figures = own.filter(({ contestant }) => contestant === name);
    const whole = figures.find(({ workers }) => workers === largest);
    if (whole === undefined) continue;
    if (kind !== lastKind && rows.length > 0) rows.push(RULE);
    lastKind = kind;
    rows.push([
      title,
      formatNanoseconds(whole.nanoseconds),
      formatSpread(whole),
      ...sides.map((_, worker) => formatNanoseconds(whole.busy[worker])),
      ...crews.map((crew) => rate(figures.find(({ workers }) => workers === crew))),
      ...(crews.length > 1 ? [whole.scaling === undefined ? DASH : formatQuotient(whole.scaling)] : []),
      ...(timed.has ? [quotient(whole.ratios[timed.contestant])] : []),
      ...(locked.has ? [quotient(1 / whole.ratios[locked.contestant])] : []),
    ]);
  }
  if (rows.length === 0) return '';
  const columns: Column[] = [
    { head: title, align: 'left' },
    { head: `ns a ${unit}`, align: 'point' },
    { head: 'spread', align: 'right' },
    ...sides.map((head): Column => ({ head, align: 'point' })),
    ...crews.map((crew): Column => ({ head: `M/s${crews.length > 1 ? `, ${crew}` : ''}`, align: 'point' })),
    ...(crews.length > 1 ? [{ head: `${largest} ÷ 1`, align: 'point' } as Column] : []),
    ...[timed, locked].filter((each) => each.has).map(({ head }): Column => ({ head, align: 'point' })),
  ];
  return renderTable(columns, rows);
}

function rate(figure: ThreadFigure | undefined): string {
  return figure === undefined ? DASH : (figure.perSecond / 1e6).toFixed(2);
}

function quotient(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? DASH : formatQuotient(value);
}

/**
 * @param figures - of any workloads
 * @returns the table; empty when there is no figure
 * @public
 */
export function memoryTable(figures: readonly MemoryFigure[]): string {
  if (figures.length === 0) return '';
  const { settledSeconds, seconds } = figures[0];
  return renderTable(
    [
      { head: 'memory over time', align: 'left' },
      { head: 'workload', align: 'left' },
      { head: 'threads', align: 'right' },
      { head: `after ${formatSeconds(settledSeconds)}`, align: 'right' },
      { head: `after ${formatSeconds(seconds)}`, align: 'right' },
      { head: 'growth', align: 'point' },
      { head: 'committed then', align: 'right' },
    ],
    figures.map((each) => [
      THREAD_CONTESTANTS.find(({ name }) => name === each.contestant)?.title ?? each.contestant,
      each.workload,
      formatCount(each.threads),
      formatBytes(each.settledBytes),
      formatBytes(each.endBytes),
      `${(100 * (each.endBytes / each.settledBytes - 1)).toFixed(1)} %`,
      each.committed.length > 0 ? formatBytes(each.committed[each.committed.length - 1]) : DASH,
    ]),
  );
}
