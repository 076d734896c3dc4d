/**
 * The size of things: no source file is longer than a reader's patience, and no passage stands twice.
 */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

/** Lines of a file. */
const MOST_LINES = 400;
/** Equal lines in a row that may stand in two places. */
const MOST_EQUAL = 12;

const PACKAGES = fileURLToPath(new URL('../../../', import.meta.url));

/** The text of every source file, by its path in `packages`. */
const SOURCES = new Map(
  readdirSync(PACKAGES)
    .flatMap((name) => {
      const src = path.join(PACKAGES, name, 'src');
      return (readdirSync(src, { recursive: true }) as string[]).map((file) => path.join(src, file));
    })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => [path.relative(PACKAGES, file), readFileSync(file, 'utf8')]),
);

function longFiles(sources: ReadonlyMap<string, string>): string[] {
  return [...sources]
    .filter(([, text]) => text.trimEnd().split('\n').length > MOST_LINES)
    .map(([file, text]) => `${file}: ${text.split('\n').length} lines`);
}

/** The lines that count: no comments, no blank ones, no imports or re-exports; spaces as one. */
function linesOf(text: string): string[] {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^(import|export (type )?\{)[^;]*?;/gm, '')
    .split('\n')
    .map((line) =>
      line
        .replace(/\/\/.*$/, '')
        .trim()
        .replace(/\s+/g, ' '),
    )
    .filter((line) => line !== '');
}

/** Pairs of files, or a file with itself, that share more than {@link MOST_EQUAL} lines in a row. */
function repeats(sources: ReadonlyMap<string, string>): string[] {
  const first = new Map<string, string>();
  const found = new Set<string>();
  for (const [file, text] of sources) {
    const lines = linesOf(text);
    for (let at = 0; at + MOST_EQUAL < lines.length; at++) {
      const passage = lines.slice(at, at + MOST_EQUAL + 1).join('\n');
      const other = first.get(passage);
      if (other === undefined) first.set(passage, file);
      else found.add(`${other} and ${file}: ${lines[at]}`);
    }
  }
  return [...found];
}

/** A role has one file name, in whichever wing it is. */
const ROLES = ['header.ts', 'thread-view.ts', 'create.ts', 'validate.ts', 'stats.ts'];

test('the roles that the algorithms with threads of their own have in common are in files of one name', (t) => {
  for (const [name, main] of [
    ['mimalloc', 'mimalloc.ts'],
    ['slab', 'slab.ts'],
    ['axalloc', 'axalloc.ts'],
  ])
    for (const role of [main, ...ROLES]) {
      const files = [...SOURCES.keys()].filter((file) => file.split(path.sep)[0] === name);
      const found = files.filter((file) => path.basename(file) === role);
      t.is(found.length, 1, `${role} of ${name}: ${found.join(', ') || 'none'}`);
    }
});

test('no source file has more than 400 lines', (t) => {
  t.true(SOURCES.size > 300);
  t.deepEqual(longFiles(SOURCES), []);
});

test('no two passages of more than 12 lines are equal', (t) => {
  t.deepEqual(repeats(SOURCES), []);
});

test('planted: a long file and a copied passage are found', (t) => {
  const line = (index: number): string => `const a${index} = ${index};`;
  const passage = Array.from({ length: MOST_EQUAL + 1 }, (_, index) => line(index)).join('\n');
  t.deepEqual(longFiles(new Map([['long.ts', 'a;\n'.repeat(401)]])), ['long.ts: 402 lines']);
  const copied = new Map([
    ['one.ts', `// here\n${passage}\n`],
    ['two.ts', passage.replaceAll('\n', ' // there\n\n  ')],
    ['three.ts', passage.split('\n').slice(1).join('\n')],
  ]);
  t.deepEqual(repeats(copied), [`one.ts and two.ts: ${line(0)}`]);
});
