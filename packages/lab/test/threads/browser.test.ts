/** Opens the page in a real browser, where there is one. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { chromium } from 'playwright-core';
import { renderPage } from '../../dist/report/page/page.js';
import { madeUpReport } from '../support/report.js';

const CHROMIUM = '/usr/bin/chromium';
/** A browser that has not answered by then hangs. */
const PATIENCE_MS = 600_000;
const inBrowser = existsSync(CHROMIUM) ? test : test.skip;

inBrowser('the page draws its plots from disk, asks for nothing, and never overflows', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shmalloc-page-'));
  const file = path.join(folder, 'report.html');
  writeFileSync(file, renderPage(madeUpReport(2)));
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--headless', '--no-sandbox', '--disable-gpu'],
    timeout: PATIENCE_MS,
  });
  t.teardown(async () => {
    await browser.close();
    rmSync(folder, { recursive: true });
  });
  for (const { width, colorScheme } of [
    { width: 1200, colorScheme: 'light' as const },
    { width: 360, colorScheme: 'dark' as const },
  ]) {
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
    page.setDefaultTimeout(PATIENCE_MS);
    const complaints: string[] = [];
    const requests: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => complaints.push(message.text()));
    page.on('request', (request) => requests.push(request.url()));
    await page.goto(pathToFileURL(file).href);
    await page.waitForSelector('canvas');
    t.deepEqual(complaints, []);
    t.deepEqual(requests, [pathToFileURL(file).href]);
    t.is(await page.locator('canvas').count(), 2);
    t.true(
      await page.evaluate('document.documentElement.scrollWidth <= innerWidth'),
      `no overflow at ${width}`,
    );
    t.regex((await page.locator('.u-legend').first().textContent()) ?? '', /tlsf:?\s*peak \d/);
    await page.close();
  }
});
