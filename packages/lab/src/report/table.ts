/** The report as one table on the terminal. */

import { geometricMean, max } from 'simple-statistics';
import { type Column, colors, RULE, renderTable } from '../table.ts';
import { formatBytes, formatCount, formatMops, formatRatio } from '../units.ts';
import { distinct, findResult, type Report, type Result } from './report.ts';

/** As good as the best: measured again, the order may be another. */
const AS_GOOD = 0.95;

/**
 * One line for each trace and allocator, with a column of throughput for each lock; the last group is the
 * geometric mean over the traces. Throughput is in millions of operations a second. What went wrong has
 * columns only when something did, so that the table fits into 80 characters otherwise.
 * @public
 */
export function reportTable(report: Report): string {
  const { results } = report;
  const locks = distinct(results, 'lock');
  const allocators = distinct(results, 'allocator');
  const faults = FAULTS.filter(({ key }) => sum(results, key) > 0);
  const rows: (string[] | typeof RULE)[] = [];
  for (const trace of distinct(results, 'trace')) {
    if (rows.length > 0) rows.push(RULE);
    const ofTrace = results.filter((result) => result.trace === trace);
    const best = max(ofTrace.map(throughput));
    let first = true;
    for (const allocator of allocators) {
      const row = ofTrace.filter((result) => result.allocator === allocator);
      if (row.length === 0) continue;
      rows.push([
        first ? colors.bold(trace) : '',
        first ? formatCount(row[0].operations) : '',
        first ? formatBytes(max(row.map((result) => result.peakLiveBytes))) : '',
        allocator,
        ...locks.map((lock) => throughputCell(findResult(row, allocator, lock, trace), best)),
        formatBytes(max(row.map((result) => result.peakFootprintBytes))),
        formatRatio(worstRatio(row), 1),
        ...faults.map(({ key }) => countCell(sum(row, key))),
      ]);
      first = false;
    }
  }
  if (distinct(results, 'trace').length > 1) rows.push(RULE, ...meanRows(results, allocators, locks, faults));
  return renderTable(columns(locks, faults), rows);
}

/** What can go wrong. */
interface Fault {
  key: 'failedAllocations' | 'violations';
  head: string;
}

const FAULTS: readonly Fault[] = [
  { key: 'failedAllocations', head: 'failed\nallocations' },
  { key: 'violations', head: 'violations' },
];

function columns(locks: readonly string[], faults: readonly Fault[]): Column[] {
  return [
    { head: 'trace', align: 'left' },
    { head: 'operations', align: 'right' },
    { head: 'peak live\nbytes', align: 'right' },
    { head: 'allocator', align: 'left' },
    ...locks.map((lock): Column => ({ head: `Mops/s\n${lock}`, align: 'point' })),
    { head: 'peak\nfootprint', align: 'right' },
    { head: '÷ live', align: 'right' },
    ...faults.map(({ head }): Column => ({ head, align: 'right' })),
  ];
}

/**
 * What the columns mean, and whether more is better.
 * @public
 */
export const TABLE_LEGEND: string = [
  'Mops/s: million operations a second, more is better.',
  ...(colors.isColorSupported ? ['Green: the best of a trace, and what is within 5 % of it.'] : []),
  'Footprint: bytes that the allocator has touched. ÷ live: less is better, 1 is ideal.',
].join('\n');

/** The geometric means, so that no single trace outweighs the others. */
function meanRows(
  results: readonly Result[],
  allocators: readonly string[],
  locks: readonly string[],
  faults: readonly Fault[],
): string[][] {
  return allocators.map((allocator, index) => {
    const row = results.filter((result) => result.allocator === allocator);
    return [
      index === 0 ? colors.bold('geomean') : '',
      '',
      '',
      allocator,
      ...locks.map((lock) => meanThroughput(row.filter((result) => result.lock === lock))),
      '',
      meanRatio(row),
      ...faults.map(({ key }) => countCell(sum(row, key))),
    ];
  });
}

/**
 * The geometric mean of throughput over results, in millions of operations a second.
 * @returns the figure without its unit; a dash where there is nothing
 * @public
 */
export function meanThroughput(results: readonly Result[]): string {
  const figures = results.map(throughput).filter((figure) => figure > 0);
  return figures.length > 0 ? formatMops(geometricMean(figures), 1) : '–';
}

/**
 * The geometric mean of peak footprint ÷ peak live over results.
 * @returns the quotient; a dash where there is nothing
 * @public
 */
export function meanRatio(results: readonly Result[]): string {
  const figures = results.filter((result) => result.peakLiveBytes > 0 && result.peakFootprintBytes > 0);
  if (figures.length === 0) return '–';
  return formatRatio(geometricMean(figures.map((r) => r.peakFootprintBytes / r.peakLiveBytes)), 1);
}

/**
 * Operations a second; 0 when nothing was timed.
 * @public
 */
export function throughput(result: Result): number {
  return result.seconds > 0 ? result.operations / result.seconds : 0;
}

/**
 * The largest peak footprint ÷ peak live among results; 0 when there is none.
 * @public
 */
export function worstRatio(results: readonly Result[]): number {
  const live = results.filter((result) => result.peakLiveBytes > 0);
  return live.length > 0 ? max(live.map((result) => result.peakFootprintBytes / result.peakLiveBytes)) : 0;
}

/**
 * Whether a throughput is the best of a row, or so close to it that the order may be another the next time.
 * @public
 */
export function isAmongBest(figure: number, best: number): boolean {
  return figure > 0 && figure >= AS_GOOD * best;
}

function throughputCell(result: Result | undefined, best: number): string {
  if (result === undefined) return '–';
  const text = formatMops(result.operations, result.seconds);
  return isAmongBest(throughput(result), best) ? colors.green(text) : text;
}

function countCell(count: number): string {
  return count === 0 ? '0' : colors.red(formatCount(count));
}

function sum(results: readonly Result[], key: Fault['key']): number {
  return results.reduce((total, result) => total + result[key], 0);
}
