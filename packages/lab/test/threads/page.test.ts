import { Script } from 'node:vm';
import test from 'ava';
import { sizeHistogram, sizeRange } from '../../dist/report/page/charts.js';
import { embedJson, escapeHtml, slug } from '../../dist/report/page/escape.js';
import { renderPage } from '../../dist/report/page/page.js';
import { resample } from '../../dist/report/page/plots.js';
import { madeUpReport } from '../support/report.js';

function embedded(page: string): {
  results: unknown[];
  plots: { trace: string; lines: unknown[] }[];
  machine: object;
} {
  const found = /<script type="application\/json" id="report-data">(.*?)<\/script>/s.exec(page);
  return JSON.parse((found as RegExpExecArray)[1]);
}

test('the page shows the machine, how to make it again, and every trace and allocator', (t) => {
  const report = madeUpReport(3);
  const page = renderPage(report);
  t.true(page.startsWith('<!doctype html>'));
  t.true(page.includes('Made-up CPU &lt;4&gt; &amp; co, 2 cores, 8.00 GiB'));
  t.true(page.includes('<code>npm start</code>'));
  t.true(page.includes('2001-02-03 04:05:06 UTC'));
  t.true(page.includes('<strong class="good">0 violations</strong>'));
  for (const trace of report.traces) {
    t.true(page.includes(`<section id="${slug(trace.name)}">`), trace.name);
    t.true(page.includes(`data-plot="${trace.name}"`), trace.name);
  }
  for (const name of ['basic-first', 'basic-best', 'basic-worst', 'tlsf'])
    t.true(page.includes(`>${name}</th>`), name);
});

test('the page needs no network: nothing in it is loaded from elsewhere', (t) => {
  const page = renderPage(madeUpReport(1));
  t.notRegex(page, /<(link|img|iframe|script)[^>]*(src|href)=/);
  t.notRegex(page, /@import|url\(|sourceMappingURL/);
  t.notRegex(page, /href="(?!#)/);
});

test('the data in the page is valid JSON with every result and a plot for every trace', (t) => {
  const report = madeUpReport(2);
  const data = embedded(renderPage(report));
  t.is(data.results.length, report.results.length);
  t.deepEqual(
    data.plots.map((plot) => [plot.trace, plot.lines.length]),
    report.traces.map((trace) => [trace.name, 4]),
  );
  t.deepEqual(data.machine, { ...report.machine });
});

test('a trace may have any name: it becomes text, never markup', (t) => {
  const report = madeUpReport(1);
  const evil = '</script><script>alert("1")</script>';
  report.traces[0].name = evil;
  for (const result of report.results) result.trace = evil;
  const page = renderPage(report);
  t.false(page.includes('<script>alert'));
  t.is(embedded(page).plots[0].trace, evil);
  t.is(escapeHtml(`<&>"'`), '&lt;&amp;&gt;&quot;&#39;');
  t.is(embedJson({ a: '<!--' }), '{"a":"\\u003c!--"}');
  t.is(slug('a b/c'), 'trace-a-b-c');
});

test('violations and failed allocations stand at the head of the page and with their trace', (t) => {
  const report = madeUpReport(1);
  report.results[0].violations = 2;
  report.results[0].failedAllocations = 1;
  report.results[0].firstViolations = ['malloc(24) gave 160, which overlaps'];
  const page = renderPage(report);
  t.true(
    page.includes(
      '<strong class="bad">2 violations</strong>, <strong class="bad">1 failed allocation</strong>',
    ),
  );
  t.true(page.includes('<li>basic-first (spin): malloc(24) gave 160, which overlaps</li>'));
  t.true(page.includes('<li>basic-first (spin): 1 failed allocation</li>'));
});

test('a report without results or sizes is still a page', (t) => {
  const report = madeUpReport(1);
  report.results = [];
  report.traces[0].sizes = [];
  const page = renderPage(report);
  t.true(page.includes('It allocates nothing.'));
  t.deepEqual(embedded(page).plots, []);
});

test('a result that is missing leaves a dash in the tables', (t) => {
  const report = madeUpReport(2);
  report.results = report.results.filter((r) => r.allocator !== 'tlsf' || r.trace !== report.traces[0].name);
  const page = renderPage(report);
  t.true(page.includes('<td class="first">–</td>'));
  t.true(page.includes('<td>–</td>'));
});

test('the scripts in the page parse', (t) => {
  const page = renderPage(madeUpReport(1));
  const [, library] = /<script>(.*?)<\/script>/s.exec(page) as RegExpExecArray;
  t.notThrows(() => new Script(library));
  const [, client] = /<script type="module">(.*?)<\/script>/s.exec(page) as RegExpExecArray;
  t.notThrows(() => new Script(client.replace(/^export \{\};$/m, '')));
});

test('samples are brought to given points by the last one before', (t) => {
  const samples = { operations: [2, 5, 9], liveBytes: [20, 50, 90], footprintBytes: [1, 2, 3] };
  t.deepEqual(resample(samples, 'liveBytes', [0, 2, 4, 5, 8, 20]), [0, 20, 20, 50, 50, 90]);
});

test('the histogram leaves room for classes that are empty, and names its ranges', (t) => {
  const html = sizeHistogram([
    { upTo: 8, blocks: 3, bytes: 20 },
    { upTo: 32, blocks: 1, bytes: 30 },
    { upTo: 2 ** 11, blocks: 1, bytes: 2000 },
    { upTo: 2 ** 20, blocks: 1, bytes: 2 ** 20 },
    { upTo: 2 ** 30, blocks: 1, bytes: 2 ** 30 },
  ]);
  t.true(html.includes('>16<') && html.includes('>2K<') && html.includes('>1M<') && html.includes('>1G<'));
  t.true(html.includes('0–8 B: 3 blocks'));
  t.is(sizeRange(2048), '1,025–2,048 B');
  t.notThrows(() => sizeHistogram([{ upTo: 8, blocks: 2, bytes: 0 }]));
});

test('a wasteful allocator leaves the plot, and the page says so, rather than press the others to the ground', (t) => {
  const report = madeUpReport(2);
  const [first] = report.results;
  first.samples.footprintBytes = first.samples.footprintBytes.map((bytes) => bytes * 20);
  const page = renderPage(report);
  t.regex(page, /Beyond the plot: basic-first \(to [\d.]+ MiB\)\./);
  const [plot, other] = embedded(page).plots as unknown as { top: number; beyond: string[] }[];
  t.deepEqual(plot.beyond, ['basic-first']);
  t.true(plot.top < 7 * 2 ** 20);
  t.deepEqual(other.beyond, []);
});

test('when every allocator is wasteful the plot shows them all', (t) => {
  const report = madeUpReport(1);
  for (const { samples } of report.results)
    samples.footprintBytes = samples.footprintBytes.map((bytes) => bytes * 20);
  t.false(renderPage(report).includes('Beyond the plot'));
});

test('a report of replays that nothing checked says so', (t) => {
  const report = madeUpReport(1);
  for (const result of report.results) Object.assign(result, { checkedSeconds: 0, cpus: 1 });
  const page = renderPage(report);
  t.true(page.includes('Not checked by the oracle:'));
  t.true(page.includes('1 CPU, each a worker thread'));
});
