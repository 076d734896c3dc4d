/** `shmalloc steps`, and the part of the report that is about the removal of the lock. */

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { STEPS } from '@shmalloc/lock-removal';
import test from 'ava';
import { chromium } from 'playwright-core';
import { renderPage } from '../../dist/report/page/page.js';
import { stepsPlot, stepsSection } from '../../dist/report/page/steps.js';
import type { Report } from '../../dist/report/report.js';
import { IN_PASSING, progressOf, takeStepsInPassing } from '../../dist/steps/job.js';
import { stepsTable } from '../../dist/steps/table.js';
import { madeUpReport } from '../support/report.js';
import { madeUpSteps } from '../support/steps.js';

const BIN = fileURLToPath(new URL('../../dist/bin.js', import.meta.url));
const CHROMIUM = '/usr/bin/chromium';
/** A browser that has not answered by then hangs. */
const PATIENCE_MS = 600_000;
const folder = mkdtempSync(path.join(tmpdir(), 'shmalloc-steps-'));
test.after.always(() => rmSync(folder, { recursive: true }));

function shmalloc(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { INIT_CWD: _1, npm_package_json: _2, ...env } = process.env;
  return new Promise((resolve) => {
    const options = { cwd: folder, env: { ...env, NO_COLOR: '1' } };
    execFile(process.execPath, [BIN, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

test.serial('steps 4 shows the lost page, prints its throughput, and writes its files', async (t) => {
  const { code, stdout, stderr } = await shmalloc('steps', '4');
  t.is(code, 0, stderr);
  t.regex(stdout, /^step 4: a heap per thread/);
  t.regex(stdout, /✓ a full page that only others free into is lost\n {4}\S/);
  t.regex(stdout, /\n4 +heap per thread( +[\d.]+){3}\n/);
  const steps = JSON.parse(readFileSync(path.join(folder, 'out', 'steps.json'), 'utf8'));
  t.is(steps.steps[0].outcomes[0].shown, true);
  const page = readFileSync(path.join(folder, 'out', 'report.html'), 'utf8');
  t.true(page.includes('<h1>shmalloc: removing the lock</h1>'));
  t.false(page.includes('<h2>Memory</h2>'), 'nothing was replayed');
});

test.serial('steps --json prints the results, and adds them to the report that is there', async (t) => {
  const out = path.join(folder, 'with-report');
  await shmalloc('steps', '2', '--out', out);
  writeFileSync(path.join(out, 'report.json'), JSON.stringify(madeUpReport(1)));
  const { code, stdout, stderr } = await shmalloc('steps', '2', '--json', '--out', out);
  t.is(code, 0, stderr);
  const printed = JSON.parse(stdout);
  t.is(printed.steps.length, 1);
  t.is(printed.steps[0].why, 'fails');
  t.deepEqual(
    printed.steps[0].speeds.map((speed: { threads: number }) => speed.threads),
    [1],
  );
  const report = JSON.parse(readFileSync(path.join(out, 'report.json'), 'utf8')) as Report;
  t.is(report.results.length, madeUpReport(1).results.length);
  t.is(report.steps?.steps[0].step, 2);
  const page = readFileSync(path.join(out, 'report.html'), 'utf8');
  t.true(page.includes('<section id="steps">') && page.includes('<h2>Memory</h2>'));
});

test.serial('in passing all steps are measured, and no experiment is run', async (t) => {
  const told: string[] = [];
  const progress = { step: (label: string) => told.push(label), note: () => {}, done: () => {} };
  const { steps, command } = await takeStepsInPassing('npm start', progress);
  t.is(command, 'npm start');
  t.is(steps.length, STEPS.length);
  t.true(steps.every(({ outcomes, speeds }) => outcomes.length === 0 && speeds.length > 0));
  t.is(told.length, progressOf({ steps: STEPS, experiments: false, effort: IN_PASSING }));
});

test('the table has a dash or a word where a step is not measured', (t) => {
  const lines = stepsTable(madeUpSteps()).split('\n');
  t.regex(lines[2], /^0 +none +45\.5 +corrupts +corrupts$/);
  t.regex(lines[4], /^6 +no lock +44\.0 +88\.0 +91\.5$/);
});

test('the section has every step and outcome, as text', (t) => {
  const html = stepsSection(madeUpSteps());
  t.true(html.includes('none &lt;at all&gt;') && html.includes('thread 1: &lt;overlap&gt;'));
  t.regex(html, /it is fast <span class="bad">\(not shown this time\)<\/span>/);
  t.true(html.includes('<td class="dim">corrupts</td>'));
  const plot = stepsPlot(madeUpSteps());
  t.deepEqual(plot.threads, [1, 2, 4]);
  t.deepEqual(plot.lines[0], { label: '0 none', hue: 0, rates: [45.5, null, null] });
});

test('a report without steps has no such section', (t) => {
  t.false(renderPage(madeUpReport(1)).includes('<section id="steps">'));
});

const inBrowser = existsSync(CHROMIUM) ? test : test.skip;

inBrowser('the page draws the throughput of the steps, and does not overflow', async (t) => {
  const file = path.join(folder, 'page.html');
  writeFileSync(file, renderPage({ ...madeUpReport(1), steps: madeUpSteps() }));
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--headless', '--no-sandbox', '--disable-gpu'],
    timeout: PATIENCE_MS,
  });
  t.teardown(() => browser.close());
  for (const { width, colorScheme } of [
    { width: 1200, colorScheme: 'light' as const },
    { width: 360, colorScheme: 'dark' as const },
  ]) {
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
    page.setDefaultTimeout(PATIENCE_MS);
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => complaints.push(message.text()));
    await page.goto(pathToFileURL(file).href);
    await page.waitForSelector('#steps-plot canvas');
    t.deepEqual(complaints, []);
    t.true(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), `at ${width}`);
    t.regex((await page.locator('#steps-plot .u-legend').textContent()) ?? '', /6 no lock:?\s*91\.5/);
    await page.close();
  }
});
