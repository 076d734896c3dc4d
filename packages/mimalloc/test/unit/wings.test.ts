/**
 * The wings of `src/`: one direction of imports, those of types included, in the order of `src/README.md`.
 */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const SRC = fileURLToPath(new URL('../../src/', import.meta.url));

/** The wings that the table names, from the first on; what lies outside of them comes last. */
const ORDER = [...readFileSync(path.join(SRC, 'README.md'), 'utf8').matchAll(/^\| `([a-z]+)` /gm)].map(
  ([, wing]) => wing,
);
const FILES = (readdirSync(SRC, { recursive: true }) as string[])
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replaceAll(path.sep, '/'));

function levelOf(file: string): number {
  const wing = path.posix.dirname(file);
  return wing === '.' ? ORDER.length : ORDER.indexOf(wing);
}

/** The imports that go from a wing to a later one. */
function upward(files: Iterable<readonly [string, string]>): string[] {
  const found: string[] = [];
  for (const [file, text] of files)
    for (const [, target] of text.matchAll(/from '(\.[^']+)'/g)) {
      const imported = path.posix.join(path.posix.dirname(file), target);
      if (levelOf(imported) > levelOf(file)) found.push(`${file} imports ${imported}`);
    }
  return found;
}

test('every folder is a wing of the table, and every wing a folder of at most a dozen files', (t) => {
  const counts = new Map(ORDER.map((wing) => [wing, 0]));
  for (const file of FILES) {
    const wing = path.posix.dirname(file);
    if (wing !== '.') counts.set(wing, (counts.get(wing) ?? Number.NaN) + 1);
  }
  t.deepEqual(
    [...counts].filter(([, count]) => !(count >= 1 && count <= 12)),
    [],
  );
});

test('files import from their own wing and those above', (t) => {
  t.true(FILES.length > 60);
  t.deepEqual(upward(FILES.map((file) => [file, readFileSync(path.join(SRC, file), 'utf8')])), []);
});

test('planted: an import from a later wing is found', (t) => {
  t.deepEqual(upward([['layout/page.ts', "import type { MiMalloc } from '../api/mimalloc.ts';"]]), [
    'layout/page.ts imports api/mimalloc.ts',
  ]);
});
