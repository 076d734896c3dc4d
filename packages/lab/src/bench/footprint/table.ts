/** How the footprint reads: a row for each trace, a column for each heap, what they come to below. */

import { type Column, RULE, renderTable } from '../../table.ts';
import { formatBytes } from '../../units.ts';
import type { Contestant } from '../contestant.ts';
import type { Footprint } from './footprint.ts';

const DASH = '–';

/**
 * @param footprint - what was found
 * @param contestants - the order of the columns
 * @returns text for a terminal; empty when there is nothing to show
 * @public
 */
export function footprintTable(
  { traces, figures, means }: Footprint,
  contestants: readonly Contestant[],
): string {
  const columns: Column[] = [
    { head: 'footprint ÷\npeak live', align: 'left' },
    { head: 'peak live', align: 'right' },
  ];
  const rows: string[][] = traces.map(({ name, peakLiveBytes }) => [name, formatBytes(peakLiveBytes)]);
  const last = ['geometric mean', ''];
  for (const { name, title } of contestants) {
    const own = figures.filter(({ contestant }) => contestant === name);
    if (own.length === 0) continue;
    const mean = means.find(({ contestant }) => contestant === name);
    add(title.replaceAll(' ', '\n'), mean?.ratio, (trace) => own.find((each) => each.trace === trace)?.ratio);
    if (own.some(({ committedBytes }) => committedBytes !== undefined)) {
      add(`${title}\ncommitted`, mean?.committedRatio, (trace) => {
        const { committedBytes, peakLiveBytes } = own.find((each) => each.trace === trace) ?? {};
        return committedBytes === undefined ? undefined : committedBytes / (peakLiveBytes as number);
      });
    }
  }
  return columns.length > 2 ? renderTable(columns, [...rows, RULE, last]) : '';

  function add(head: string, mean: number | undefined, of: (trace: string) => number | undefined): void {
    columns.push({ head, align: 'point' });
    traces.forEach(({ name }, index) => {
      rows[index].push(format(of(name)));
    });
    last.push(format(mean));
  }
}

function format(ratio: number | undefined): string {
  return ratio === undefined ? DASH : ratio.toFixed(2);
}
