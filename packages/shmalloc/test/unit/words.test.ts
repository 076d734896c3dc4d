/** How the repository reads: widths of comments, and words that a reader would have to guess. */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = fileURLToPath(new URL('../../../../', import.meta.url));

/** Files below a folder, of one kind; what is installed or built is not ours. */
function filesIn(folder: string, ending: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, '/'))
    .filter(
      (file) => !/(^|\/)(node_modules|dist|dist-test|compiled|generated|coverage|out|etc)\//.test(file),
    );
}

const sources = [...filesIn('packages', '.ts'), ...filesIn('examples', '.ts')];
const documents = [
  ...filesIn('docs', '.md'),
  ...filesIn('packages', '.md'),
  ...filesIn('examples', '.md'),
  'README.md',
  'CONTRIBUTING.md',
].filter((file) => !file.endsWith('.zh.md'));

/** The comments of a file, a line each, with its number. */
function commentLines(file: string): [line: number, text: string][] {
  const lines: [number, string][] = [];
  let inside = false;
  readFileSync(path.join(root, file), 'utf8')
    .split('\n')
    .forEach((text, index) => {
      const begins = /^\s*\/\*/.test(text);
      if (inside || begins || /^\s*\/\//.test(text)) lines.push([index + 1, text]);
      if (begins || inside) inside = !text.includes('*/');
    });
  return lines;
}

/** A thread, a heap, a page is "it". */
const PRIVATE = /\b(who|whoever|whomever|nobody|somebody|anew|lest|he|his)\b|\bfor ever\b/i;

const MOST_COLUMNS = 110;
/** Pictures and code within comments may be wider: a picture that is broken is none. */
const IN_A_FENCE = 132;

test('comments have at most 110 columns', (t) => {
  const wide: string[] = [];
  for (const file of sources) {
    let fence = false;
    for (const [line, text] of commentLines(file)) {
      if (/^\s*\* ```/.test(text)) fence = !fence;
      const isSolid =
        fence || /biome-ignore|^\s*\/\/ ──/.test(text) || !/\S \S.*\S \S/.test(text.slice(0, 100));
      if ([...text].length > (isSolid ? IN_A_FENCE : MOST_COLUMNS)) wide.push(`${file}:${line}`);
    }
  }
  t.deepEqual(wide, []);
});

test('comments and documents are written in plain words', (t) => {
  const found: string[] = [];
  for (const file of sources)
    for (const [line, text] of commentLines(file))
      if (PRIVATE.test(text)) found.push(`${file}:${line}: ${text.trim()}`);
  for (const file of documents)
    readFileSync(path.join(root, file), 'utf8')
      .split('\n')
      .forEach((text, index) => {
        if (PRIVATE.test(text)) found.push(`${file}:${index + 1}: ${text.trim().slice(0, 120)}`);
      });
  t.deepEqual(found, []);
});

test('files that documents name exist', (t) => {
  const missing: string[] = [];
  for (const file of documents) {
    const text = readFileSync(path.join(root, file), 'utf8');
    for (const [, target] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const place = path.join(root, path.dirname(file), target);
      try {
        readdirSync(path.dirname(place)).includes(path.basename(place)) || missing.push(`${file}: ${target}`);
      } catch {
        missing.push(`${file}: ${target}`);
      }
    }
  }
  t.deepEqual(missing, []);
});
