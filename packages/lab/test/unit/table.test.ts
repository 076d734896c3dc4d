import { stripVTControlCharacters } from 'node:util';
import test from 'ava';
import { reportTable, worstRatio } from '../../dist/report/table.js';
import { RULE, renderTable } from '../../dist/table.js';
import { madeUpReport } from '../support/report.js';

test('a table has no frame, text to the left, figures to the right, and a rule under the head', (t) => {
  const text = renderTable(
    [
      { head: 'name', align: 'left' },
      { head: 'count', align: 'right' },
    ],
    [['a', '1'], RULE, ['longer', '23']],
  );
  t.deepEqual(text.split('\n'), [
    'name    count',
    '─────────────',
    'a           1',
    '─────────────',
    'longer     23',
  ]);
});

test('figures with decimals stand one point below the other, and a head may have several lines', (t) => {
  const text = renderTable(
    [
      { head: 'name', align: 'left' },
      { head: 'speed\nin m/s', align: 'point' },
      { head: 'x', align: 'right' },
    ],
    [
      ['snail', '0.013', 'a'],
      ['light', '299,792,458', 'b'],
      ['cheetah', '\u001b[32m29.0\u001b[39m', 'c'],
      ['stone', '–', 'd'],
    ],
  );
  t.deepEqual(stripVTControlCharacters(text).split('\n'), [
    '                   speed',
    'name              in m/s  x',
    '───────────────────────────',
    'snail              0.013  a',
    'light    299,792,458      b',
    'cheetah           29.0    c',
    'stone              –      d',
  ]);
});

test('the report is one aligned table with every trace and allocator and a geometric mean', (t) => {
  const report = madeUpReport(2);
  const lines = reportTable(report).split('\n');
  t.regex(lines[0], /peak live +Mops\/s +Mops\/s +peak$/);
  t.regex(lines[1], /^trace +operations +bytes +allocator +spin +mutex +footprint +÷ live$/);
  t.is(lines.filter((line) => line.includes('tlsf')).length, 3);
  t.is(lines.filter((line) => line.startsWith('geomean')).length, 1);
  t.is(new Set(lines.slice(1).map((line) => line.length)).size, 1, 'all lines have one width');
  t.true(reportTable(madeUpReport(1)).split('\n')[1].length <= 80);
});

test('a single trace needs no mean, a lock that was not tried leaves a dash', (t) => {
  const report = madeUpReport(1);
  report.results = report.results.filter((result) => result.allocator !== 'tlsf' || result.lock === 'spin');
  const text = reportTable(report);
  t.false(text.includes('geomean'));
  t.regex(text, /tlsf .*–/);
});

test('what failed has columns in the table only when something did, and what never lived has no quotient', (t) => {
  const report = madeUpReport(2);
  report.results[0].violations = 7;
  report.results[0].failedAllocations = 3;
  for (const result of report.results) result.peakLiveBytes = 0;
  for (const result of report.results) result.seconds = 0;
  const text = reportTable(report);
  t.regex(text, /basic-first .* 3 +7/);
  t.regex(text, /÷ live +allocations +violations\n/);
  t.is(worstRatio(report.results), 0);
  t.regex(text, /–/);
});
