import test from 'ava';
import {
  formatBytes,
  formatCount,
  formatMops,
  formatPercent,
  formatRatio,
  formatSeconds,
  plural,
} from '../../dist/units.js';

test('bytes read in binary units with three digits', (t) => {
  t.is(formatBytes(0), '0 B');
  t.is(formatBytes(812), '812 B');
  t.is(formatBytes(1024), '1.00 KiB');
  t.is(formatBytes(1536), '1.50 KiB');
  t.is(formatBytes(24 * 2 ** 20), '24.0 MiB');
  t.is(formatBytes(999.7 * 2 ** 20), '1000 MiB');
  t.is(formatBytes(2 ** 20 - 1), '1.00 MiB');
  t.is(formatBytes(5 * 2 ** 40), '5.00 TiB');
  t.is(formatBytes(5000 * 2 ** 40), '5000 TiB');
});

test('rates are millions of operations a second, and a dash where nothing was timed', (t) => {
  t.is(formatMops(1_234_000, 1), '1.23');
  t.is(formatMops(25e6, 0.5), '50.0');
  t.is(formatMops(62_300, 1), '0.062');
  t.is(formatMops(999_600, 1), '1.00');
  t.is(formatMops(0, 1), '0');
  t.is(formatMops(5, 0), '–');
});

test('times, shares, quotients and counts carry their unit', (t) => {
  t.is(formatSeconds(0.0000854), '85.4 µs');
  t.is(formatSeconds(0.0123), '12.3 ms');
  t.is(formatSeconds(4.56), '4.56 s');
  t.is(formatPercent(0, 10), '0 %');
  t.is(formatPercent(1, 0), '0 %');
  t.is(formatPercent(1, 100_000), '< 0.1 %');
  t.is(formatPercent(1, 8), '12.5 %');
  t.is(formatPercent(1, 800), '0.125 %');
  t.is(formatRatio(5, 4), '1.25');
  t.is(formatRatio(5, 0), '–');
  t.is(formatCount(1234567), '1,234,567');
  t.is(plural(1, 'thread'), '1 thread');
  t.is(plural(1200, 'thread'), '1,200 threads');
  t.is(plural(2, 'entry', 'entries'), '2 entries');
});
