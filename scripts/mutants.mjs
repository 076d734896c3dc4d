/**
 * Writes `docs/mutants.md`: each fault that is planted on purpose, and the test that finds it. Reads what the
 * test runner has printed, so what stands there was found in that run:
 * `SCALE=medium npx ava > log; node scripts/mutants.mjs log`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const [file] = process.argv.slice(2);
if (file === undefined) {
  console.error('usage: node scripts/mutants.mjs <output of the test runner>');
  process.exit(2);
}

/** Titles of tests that plant something. */
const PLANTS =
  /^planted|planted:|found when|finds that|it is found that|fails on the|is found out\b|would be found|heap fails$|are found|is found, also|and a planted fault|can fail|is stopped$|is named where/;

const found = new Map();
for (const line of stripVTControlCharacters(readFileSync(file, 'utf8')).split('\n')) {
  const passed = line.match(/^ {2}✔ (.*?)(?: \([\d.]+m?s\))?$/)?.[1];
  if (passed === undefined) continue;
  const parts = passed.replace(/^packages › /, '').split(' › ');
  const title = parts.at(-1);
  if (!PLANTS.test(title)) continue;
  const place = parts
    .slice(0, -1)
    .filter((part) => part !== 'dist-test')
    .join('/');
  found.set(place, (found.get(place) ?? new Set()).add(title));
}

const total = [...found.values()].reduce((sum, titles) => sum + titles.size, 0);
const lines = [
  '# Planted faults',
  '',
  'A check that cannot fail proves nothing. So each checker is shown faults that are planted on purpose: in a copy of a package',
  '(a _mutant_), in a heap that is wrong, or in the memory itself. Each line is a test that has found one, or several. Written by',
  '`scripts/mutants.mjs` from the output of a run.',
  '',
  `${total} tests.`,
];
for (const place of [...found.keys()].sort()) {
  lines.push('', `## ${place}`, '');
  for (const title of found.get(place)) lines.push(`- ${title.replaceAll(/([<>*_|])/g, '\\$1')}`);
}
writeFileSync(path.join(root, 'docs', 'mutants.md'), `${lines.join('\n')}\n`);
console.log(`${total} tests in ${found.size} files`);
