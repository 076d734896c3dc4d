/**
 * The statistics as a text, laid out as mimalloc prints its own. A column that is not counted stays empty.
 *
 * ```
 * heap stats:        peak       total       freed     current        unit
 *   reserved:    16.0 MiB                            16.0 MiB
 *  committed:     1.4 MiB                             1.3 MiB
 *      pages:                      31           4          27
 * ```
 */

import type { MiStats } from './stats.ts';

/** The columns behind a line's name. */
interface Line {
  readonly peak?: string | number;
  readonly total?: string | number;
  readonly freed?: string | number;
  readonly current?: string | number;
  readonly unit?: string;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB'];

/** A number of bytes, as people read it. */
export function bytesText(bytes: number): string {
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

function row(name: string, { peak = '', total = '', freed = '', current = '', unit = '' }: Line): string {
  const columns = [peak, total, freed, current, unit].map((value) => String(value).padStart(12));
  return `${name.padStart(11)}:${columns.join('')}`.trimEnd();
}

/**
 * The whole text.
 * @param stats - what `stats` told
 * @returns lines, with an end at each
 */
export function statsText(stats: MiStats): string {
  const { counters } = stats;
  const lines = [
    row('heap stats', { peak: 'peak', total: 'total', freed: 'freed', current: 'current', unit: 'unit' }),
    row('reserved', { current: bytesText(stats.reservedBytes) }),
    row('committed', {
      peak: bytesText(stats.peakCommittedBytes),
      current: bytesText(stats.committedBytes),
    }),
    row('purged', { total: bytesText(stats.purgedBytes) }),
    row('used', { current: bytesText(stats.usedBytes) }),
    row('segments', {
      total: counters.segmentsClaimed,
      freed: counters.segmentsReleased,
      current: stats.segments,
    }),
    row('-abandoned', { current: stats.abandonedSegments }),
    row('pages', {
      total: counters.pages + counters.largePages + counters.hugePages,
      freed: counters.pagesFreed,
      current: stats.pages,
    }),
    row('-large', { total: counters.largePages, current: stats.large, unit: 'block' }),
    row('-huge', { total: counters.hugePages, current: stats.huge, unit: 'block' }),
    row('-extended', { total: counters.extended }),
    row('-retired', { total: counters.retired }),
    row('purges', { total: stats.purges }),
    row('searches', { total: counters.searches, unit: 'page' }),
    row('delayed', { total: counters.delayed, unit: 'block' }),
    row('failures', { total: counters.failures }),
    row('collections', { total: counters.collections }),
    row('errors', { total: stats.errors }),
    row('threads', { current: stats.threads.length }),
    row('heaps', { current: stats.heaps }),
    row('arenas', { current: stats.arenas }),
    row('secure', { current: stats.secure, unit: 'level' }),
  ];
  return `${lines.join('\n')}\n`;
}
