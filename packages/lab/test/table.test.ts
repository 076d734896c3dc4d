import test from 'ava';
import { reportTable, worstRatio } from '../dist/report/table.js';
import { RULE, renderTable } from '../dist/table.js';
import { madeUpReport } from './fixtures/report.js';

test('a table has no frame, text to the left, figures to the right, and a rule under the head', (t) => {
  const text = renderTable(
    [
      { head: 'name', align: 'left' },
      { head: 'count', align: 'right' },
    ],
    [['a', '1'], RULE, ['longer', '23']],
  );
  t.deepEqual(text.split('\n'), [
    'name     count',
    '──────────────',
    'a            1',
    '──────────────',
    'longer      23',
  ]);
});

test('the report is one aligned table with every trace and allocator and a geometric mean', (t) => {
  const report = madeUpReport(2);
  const lines = reportTable(report).split('\n');
  t.regex(
    lines[0],
    /trace .*allocator .*Mops\/s spin .*Mops\/s mutex .*footprint .*÷ live .*failed .*violations/,
  );
  t.is(lines.filter((line) => line.includes('tlsf')).length, 3);
  t.is(lines.filter((line) => line.startsWith('geometric mean')).length, 1);
  t.true(new Set(lines.slice(1).map((line) => line.length)).size === 1, 'all lines have one width');
});

test('a single trace needs no mean, a lock that was not tried leaves a dash', (t) => {
  const report = madeUpReport(1);
  report.results = report.results.filter((result) => result.allocator !== 'tlsf' || result.lock === 'spin');
  const text = reportTable(report);
  t.false(text.includes('geometric'));
  t.regex(text, /tlsf .*–/);
});

test('what failed is counted in the table, and what never lived has no quotient', (t) => {
  const report = madeUpReport(2);
  report.results[0].violations = 7;
  report.results[0].failedAllocations = 3;
  for (const result of report.results) result.peakLiveBytes = 0;
  for (const result of report.results) result.seconds = 0;
  const text = reportTable(report);
  t.regex(text, /basic-first .* 3 +7/);
  t.is(worstRatio(report.results), 0);
  t.regex(text, /–/);
});
