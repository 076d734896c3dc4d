/** What a full machine did, as text. */

import type { ThreadReport, Told } from '@shmalloc/kernel';
import { type Column, renderTable } from '../table.ts';
import { formatCount, formatSeconds, plural } from '../units.ts';
import type { FullRun } from './full-machine.ts';

const COLUMNS: readonly Column[] = [
  { head: '', align: 'left' },
  { head: 'operations', align: 'right' },
  { head: 'lock\nwaits', align: 'right' },
  { head: 'slow path', align: 'right' },
  { head: 'page\ncalls', align: 'right' },
  { head: 'pages\nheld', align: 'right' },
  { head: 'remote\nfrees', align: 'right' },
];

/** What the columns mean. */
export const FULL_LEGEND: string = `operations: calls of the allocator. slow path: time spent on getting pages and giving them back, in so many page calls.
–: the algorithm cannot tell (a heap that all CPUs share has no pages of one CPU, nor remote frees). ≥: some of those in turn cannot.`;

/**
 * One run: a line about it, and a line for each CPU.
 * @public
 */
export function fullTable(run: FullRun): string {
  const { trace, allocators, swapEveryMs, swaps, replays, operations, seconds } = run;
  const how = swapEveryMs === null ? '' : `, ${plural(swaps, 'swap')}, one every ${swapEveryMs} ms`;
  const work = `${plural(operations, 'operation')} in ${plural(replays, 'replay')}, ${formatSeconds(seconds)}`;
  const { pagesBefore, pagesAfter, peakHeapPages } = run;
  return [
    `${trace} · ${allocators.join(' → ')}${how}: ${work}`,
    renderTable(COLUMNS, [...run.cpus.map((cpu, id) => row(`CPU ${id}`, cpu)), row('main', run.main)]),
    `pages in use: ${pagesBefore} before, at most ${peakHeapPages} in heaps, ${pagesAfter} after; ${plural(run.violations, 'violation')}, ${plural(run.failedAllocations, 'failed allocation')}`,
  ].join('\n');
}

function row(name: string, report: ThreadReport): string[] {
  return [
    name,
    formatCount(report.operations),
    formatTold(report.lockWaits),
    formatSeconds(report.slowSeconds),
    formatCount(report.slowCalls),
    formatTold(report.pagesHeld),
    formatTold(report.remoteFrees),
  ];
}

/**
 * A figure that not every algorithm can tell.
 * @public
 */
export function formatTold(told: Told): string {
  if (told === null) return '–';
  return `${told.whole ? '' : '≥ '}${formatCount(told.value)}`;
}
