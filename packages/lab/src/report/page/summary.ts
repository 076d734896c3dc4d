/** The tables at the head of the page: traces down, allocators across. */

import { formatCount, formatMops, formatRatio, plural } from '../../units.ts';
import { distinct, findResult, type Report, type Result } from '../report.ts';
import { isAmongBest, meanRatio, meanThroughput, throughput, worstRatio } from '../table.ts';
import { escapeHtml, slug } from './escape.ts';

/** One column of a table: an allocator, and for throughput a lock. */
interface Configuration {
  allocator: string;
  lock: string;
}

/**
 * Millions of operations a second, for every trace, allocator and lock; the best of a row is marked, and what
 * is about as good.
 * @public
 */
export function throughputTable(report: Report): string {
  const { results } = report;
  const columns = configurations(results);
  const byColumn = columns.map(({ allocator, lock }) => {
    const all = results.filter((result) => result.allocator === allocator && result.lock === lock);
    const mean = meanThroughput(all);
    const texts = all.map(({ operations, seconds }) => formatMops(operations, seconds));
    return { mean, decimals: Math.max(0, ...[mean, ...texts].map(decimalsOf)) };
  });
  const body = report.traces.map(({ name }) => {
    const row = columns.map(({ allocator, lock }) => findResult(results, allocator, lock, name));
    const best = Math.max(...row.map((result) => (result ? throughput(result) : 0)));
    const cells = row.map((result, index) => {
      const first = startsGroup(columns, index);
      if (result === undefined) return cell('–', first);
      const text = figure(formatMops(result.operations, result.seconds), byColumn[index].decimals);
      return cell(text, first, isAmongBest(throughput(result), best), spread(result));
    });
    return tableRow(rowHead(name), cells);
  });
  const means = byColumn.map(({ mean, decimals }, index) =>
    cell(figure(mean, decimals), startsGroup(columns, index)),
  );
  return scrollTable(throughputHead(columns), body, means, 130 + 70 * columns.length);
}

/**
 * Peak footprint ÷ peak live bytes, for every trace and allocator (the worst of its locks); the best of a row
 * is marked.
 * @public
 */
export function ratioTable(report: Report): string {
  const { results } = report;
  const allocators = distinct(results, 'allocator');
  const head = `<tr><th scope="col">trace</th>${allocators.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join('')}</tr>`;
  const body = report.traces.map(({ name }) => {
    const row = allocators.map((allocator) =>
      worstRatio(results.filter((result) => result.allocator === allocator && result.trace === name)),
    );
    const best = formatRatio(Math.min(...row.filter((ratio) => ratio > 0)), 1);
    const cells = row.map((ratio) => (ratio > 0 ? formatRatio(ratio, 1) : '–'));
    return tableRow(
      rowHead(name),
      cells.map((text) => cell(text, false, text === best)),
    );
  });
  const means = allocators.map((allocator) =>
    cell(meanRatio(results.filter((result) => result.allocator === allocator))),
  );
  return scrollTable(head, body, means, 130 + 100 * allocators.length);
}

/**
 * What each trace asks for.
 * @public
 */
export function traceTable(report: Report, bytes: (value: number) => string): string {
  const head = ['trace', 'operations', 'threads', 'peak live', 'cross-thread frees'];
  const body = report.traces.map((trace) =>
    tableRow(rowHead(trace.name), [
      cell(formatCount(trace.operations)),
      cell(formatCount(trace.threads)),
      cell(bytes(trace.peakLiveBytes)),
      cell(formatCount(trace.crossThreadFrees)),
    ]),
  );
  return scrollTable(
    `<tr>${head.map((name) => `<th scope="col">${name}</th>`).join('')}</tr>`,
    body,
    [],
    700,
  );
}

function configurations(results: readonly Result[]): Configuration[] {
  return distinct(results, 'allocator').flatMap((allocator) =>
    distinct(
      results.filter((result) => result.allocator === allocator),
      'lock',
    ).map((lock) => ({ allocator, lock })),
  );
}

/** Two lines: the allocators over their locks. */
function throughputHead(columns: readonly Configuration[]): string {
  const allocators = [...new Set(columns.map((column) => column.allocator))];
  const upper = allocators.map((allocator) => {
    const span = columns.filter((column) => column.allocator === allocator).length;
    return `<th scope="colgroup" colspan="${span}" class="first">${escapeHtml(allocator)}</th>`;
  });
  const lower = columns.map(
    ({ lock }, index) =>
      `<th scope="col" class="lock${startsGroup(columns, index) ? ' first' : ''}">${escapeHtml(lock)}</th>`,
  );
  return `<tr><th scope="col" rowspan="2">trace</th>${upper.join('')}</tr><tr>${lower.join('')}</tr>`;
}

function startsGroup(columns: readonly Configuration[], index: number): boolean {
  return index === 0 || columns[index].allocator !== columns[index - 1].allocator;
}

function decimalsOf(text: string): number {
  return text.split('.')[1]?.length ?? 0;
}

/**
 * A figure in a column with so many decimals, where the points stand one below the other: what it lacks is
 * there unseen.
 */
function figure(text: string, decimals: number): string {
  const own = decimalsOf(text);
  if (own === decimals) return text;
  return `${text}<s>${own === 0 ? '.' : ''}${'0'.repeat(decimals - own)}</s>`;
}

function cell(text: string, first = false, best = false, title = ''): string {
  const classes = [first && 'first', best && 'best'].filter(Boolean).join(' ');
  return `<td${classes && ` class="${classes}"`}${title && ` title="${title}"`}>${text}</td>`;
}

/** What the median was taken of. */
function spread({ operations, repetitions }: Result): string {
  const slowest = formatMops(operations, Math.max(...repetitions));
  const fastest = formatMops(operations, Math.min(...repetitions));
  return `${plural(repetitions.length, 'replay')}, ${slowest} to ${fastest} Mops/s`;
}

function rowHead(trace: string): string {
  return `<th scope="row"><a href="#${slug(trace)}">${escapeHtml(trace)}</a></th>`;
}

function tableRow(head: string, cells: readonly string[]): string {
  return `<tr>${head}${cells.join('')}</tr>`;
}

/**
 * A single trace needs no mean.
 * @param width - in pixels, below which it scrolls
 */
function scrollTable(head: string, body: readonly string[], means: readonly string[], width: number): string {
  const mean =
    means.length > 0 && body.length > 1
      ? `<tr class="mean"><th scope="row">geomean</th>${means.join('')}</tr>`
      : '';
  return `<div class="scroll"><table style="min-width:${width}px"><thead>${head}</thead><tbody>${body.join('\n')}${mean}</tbody></table></div>`;
}
