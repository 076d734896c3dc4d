/** Bars and columns as plain HTML: they need no script, print well, and fold with the page. */

import { formatBytes, formatCount, formatMops, formatPercent } from '../../units.ts';
import type { Result, SizeClass } from '../report.ts';
import { distinct } from '../report.ts';
import { throughput } from '../table.ts';
import { escapeHtml } from './escape.ts';

/** Above so many columns not every one has room for its label. */
const DENSE = 13;

/**
 * Throughput of each allocator and lock on one trace; all bars share one scale from 0.
 * @param results - those of one trace
 * @param hues - the colour of each allocator
 * @public
 */
export function throughputBars(results: readonly Result[], hues: ReadonlyMap<string, number>): string {
  const longest = Math.max(...results.map(throughput), Number.MIN_VALUE);
  const groups = distinct(results, 'allocator').map((allocator) => {
    const group = results.filter((result) => result.allocator === allocator);
    return group
      .map((result, index) => {
        const width = ((100 * throughput(result)) / longest).toFixed(1);
        const bar = `<span class="bar${index > 0 ? ' second' : ''}" style="width:${width}%;background:var(--hue-${hues.get(allocator) ?? 0})"></span>`;
        return `<span>${index === 0 ? escapeHtml(allocator) : ''}</span><span class="dim">${escapeHtml(result.lock)}</span><span class="track">${bar}<span>${formatMops(result.operations, result.seconds)}</span></span>`;
      })
      .join('\n');
  });
  return `<div class="bars">${groups.join('<span class="gap"></span>\n')}</div>`;
}

/**
 * The sizes that a trace asks for: for each power of two its share of the blocks and its share of the bytes.
 * @param sizes - ascending, with gaps where there is nothing
 * @public
 */
export function sizeHistogram(sizes: readonly SizeClass[]): string {
  const classes = withoutGaps(sizes);
  const blocks = classes.reduce((sum, size) => sum + size.blocks, 0);
  const bytes = classes.reduce((sum, size) => sum + size.bytes, 0);
  if (blocks === 0) return '<p class="dim">It allocates nothing.</p>';
  const share = (part: number, whole: number): number => (whole > 0 ? part / whole : 0);
  const highest = Math.max(...classes.map((c) => Math.max(share(c.blocks, blocks), share(c.bytes, bytes))));
  const top = Math.ceil(highest * 10) / 10;
  const columns = classes.map((size) => {
    const title = `${sizeRange(size.upTo)}: ${formatCount(size.blocks)} blocks (${formatPercent(size.blocks, blocks)}), ${formatBytes(size.bytes)} (${formatPercent(size.bytes, bytes)})`;
    return `<div title="${title}">${column('count', share(size.blocks, blocks) / top)}${column('bytes', share(size.bytes, bytes) / top)}</div>`;
  });
  const ticks = classes.map((size) => `<span><span>${shortSize(size.upTo)}</span></span>`);
  return `<p class="legend"><span><i class="key count"></i>share of blocks</span><span><i class="key bytes"></i>share of bytes</span></p>
<div class="frame">${gridLines(top)}<div class="columns">${columns.join('')}</div><div class="ticks${classes.length > DENSE ? ' dense' : ''}">${ticks.join('')}</div></div>
<p class="axis">block size, up to (bytes; K and M are binary)</p>`;
}

function column(kind: 'count' | 'bytes', height: number): string {
  return `<i class="${kind}${height > 0 ? ' some' : ''}" style="height:${(100 * height).toFixed(1)}%"></i>`;
}

/** Lines at the bottom, the middle and the top of the scale, in percent. */
function gridLines(top: number): string {
  const lines = [1, 0.5, 0].map((part) => {
    const offset = (100 * (1 - part)).toFixed(0);
    return `<b style="top:${offset}%">${Math.round(100 * top * part)} %</b>${part > 0 ? `<span style="top:${offset}%"></span>` : ''}`;
  });
  return `<div class="lines">${lines.join('')}</div>`;
}

/** Every power of two from the first class to the last. */
function withoutGaps(sizes: readonly SizeClass[]): SizeClass[] {
  if (sizes.length === 0) return [];
  const known = new Map(sizes.map((size) => [size.upTo, size]));
  const all: SizeClass[] = [];
  const last = sizes[sizes.length - 1].upTo;
  for (let upTo = sizes[0].upTo; upTo <= last; upTo *= 2)
    all.push(known.get(upTo) ?? { upTo, blocks: 0, bytes: 0 });
  return all;
}

function shortSize(bytes: number): string {
  if (bytes >= 2 ** 30) return `${bytes / 2 ** 30}G`;
  if (bytes >= 2 ** 20) return `${bytes / 2 ** 20}M`;
  return bytes >= 2 ** 10 ? `${bytes / 2 ** 10}K` : String(bytes);
}

/**
 * The sizes in a class, in words.
 * @public
 */
export function sizeRange(upTo: number): string {
  return upTo <= 8 ? '0–8 B' : `${formatCount(upTo / 2 + 1)}–${formatCount(upTo)} B`;
}
