/**
 * `npm run bounds [-- FILE …]`: the thread suites on packages whose every access is checked
 * (`ava.bounds.config.js`), or only these files of compiled tests. Fails when a test fails, when an access
 * leaves its view, when no access was checked, and, in a whole run, when nothing needs a declaration.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Finding } from './check.ts';
import { DECLARED } from './declared.ts';

const root = fileURLToPath(new URL('../../../../../', import.meta.url));
const files = process.argv.slice(2);
const folder = mkdtempSync(path.join(tmpdir(), 'shmalloc-bounds-'));
const log = path.join(folder, 'findings');

const ava = path.join(root, 'node_modules', '.bin', 'ava');
const { status } = spawnSync(ava, ['--config', 'ava.bounds.config.js', ...files], {
  cwd: root,
  env: { ...process.env, BOUNDS_LOG: log },
  stdio: 'inherit',
});

/** A line of the file: a file of a package was loaded with its checks, or an access left its view. */
type Line = { readonly loaded: string; readonly places: number } | Finding;
const lines = existsSync(log)
  ? readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line)
  : [];
rmSync(folder, { recursive: true });

const checked = new Map<string, number>();
const needed = new Set<number>();
const wrong = new Map<string, { readonly first: Finding; times: number }>();
for (const line of lines) {
  if ('loaded' in line) checked.set(line.loaded, line.places);
  else if (line.declared !== undefined) needed.add(line.declared);
  else {
    const place = `${line.file}:${line.line}: ${line.expression}`;
    const known = wrong.get(place);
    if (known === undefined) wrong.set(place, { first: line, times: 1 });
    else known.times++;
  }
}

const places = [...checked.values()].reduce((sum, count) => sum + count, 0);
console.log(`\n${places} accesses in ${checked.size} files were checked.`);
for (const [place, { first, times }] of wrong)
  console.log(`${place}: ${times} times or more; first at ${first.index} of ${first.length}`);
const idle = DECLARED.filter((_, nth) => !needed.has(nth));
for (const { file, expression } of idle)
  console.log(`${file}: nothing needed the declaration of ${expression}`);
console.log(
  `${wrong.size} places left their view, ${needed.size} of ${DECLARED.length} declarations were needed`,
);
const failed = status !== 0 || places === 0 || wrong.size > 0 || (files.length === 0 && idle.length > 0);
process.exit(failed ? 1 : 0);
