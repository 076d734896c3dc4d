/** What documents say that can be looked up: files, commands, names, options and their defaults. */

import path from 'node:path';
import test from 'ava';
import { codeOf, documents, files, pictureLines, sources, textOf } from '../support/documents.js';

/** Every word of the code, comments left out. */
const names = new Set(sources.flatMap((file) => codeOf(file).match(/[A-Za-z_$][\w$]*/g) ?? []));

/** A name of ours is told by the capital within it. */
const NAME = /\b[a-z]+[A-Z]\w*\b/g;

/** Names of settings of other programs. */
const FOREIGN = ['useDefineForClassFields'];

/** Words in backticks, outside fenced passages, with where they stand. */
function quoted(file: string): [place: string, text: string][] {
  let fence = false;
  return textOf(file)
    .split('\n')
    .flatMap((line, index) => {
      if (/^\s*```/.test(line)) fence = !fence;
      const found = fence ? [] : [...line.matchAll(/`([^`]+)`/g)];
      return found.map(([, text]): [string, string] => [`${file}:${index + 1}`, text]);
    });
}

/** The rows of the tables of a document whose first column has this title. */
function rowsOf(file: string, title: string): string[][] {
  let columns = 0;
  return textOf(file)
    .split('\n')
    .map((line) =>
      line.startsWith('|')
        ? line
            .split('|')
            .map((cell) => cell.trim())
            .slice(1, -1)
        : [],
    )
    .filter((cells) => {
      if (cells[0] === title) columns = cells.length;
      else if (cells.length === columns && columns > 0 && !/^-+$/.test(cells[0])) return true;
      else if (cells.length === 0) columns = 0;
      return false;
    });
}

test('the checks find what is looked for', (t) => {
  t.true(names.has('usableSize') && !names.has(['usable', 'Sized'].join('')));
  t.deepEqual(quoted('packages/slab/README.md').filter(([, text]) => text === 'pageBytes').length > 0, true);
  t.true(rowsOf('packages/slab/README.md', 'option').length >= 4);
  t.true(pictureLines('packages/mimalloc/src/alloc/malloc.ts').length > 3);
});

test('links and files that documents name exist', (t) => {
  const missing: string[] = [];
  for (const file of documents) {
    const folder = path.posix.dirname(file);
    const isThere = (name: string): boolean => files.has(path.posix.normalize(name));
    for (const [, target] of textOf(file).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g))
      if (!/^[a-z]+:/.test(target) && !isThere(path.posix.join(folder, target)))
        missing.push(`${file}: ${target}`);
    for (const [place, text] of quoted(file)) {
      // What is built or written by a run is not in the repository.
      if (!/^[\w@./-]+\/[\w.-]+\.(ts|mjs|json|md|c)$/.test(text) || /(^|\/)(out|dist\w*)\//.test(text))
        continue;
      const tried = [text, path.posix.join(folder, text), path.posix.join(folder, 'src', text)];
      const isKnown = tried.some(isThere) || [...files].some((each) => each.endsWith(`/${text}`));
      if (!isKnown) missing.push(`${place}: ${text}`);
    }
  }
  t.deepEqual(missing, []);
});

test('names in pictures and in backticks are names of the code', (t) => {
  const unknown: string[] = [];
  const look = (place: string, text: string): void => {
    for (const [name] of text.matchAll(NAME))
      if (!names.has(name) && !FOREIGN.includes(name)) unknown.push(`${place}: ${name}`);
  };
  for (const file of [...sources, ...documents])
    for (const [line, text] of pictureLines(file)) look(`${file}:${line}`, text);
  for (const file of documents) for (const [place, text] of quoted(file)) look(place, text);
  t.deepEqual(unknown, []);
});

test('commands of npm that documents name are there', (t) => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
  const unknown: string[] = [];
  for (const file of documents)
    for (const [, name] of textOf(file).matchAll(/\bnpm run (?:-s )?([a-z:]+)/g))
      if (!(name in scripts)) unknown.push(`${file}: npm run ${name}`);
  t.deepEqual(unknown, []);
});

test('variables of the environment that documents name are read', (t) => {
  const read = new Set(rowsOf('packages/mimalloc/README.md', 'option').map(([, variable]) => variable));
  const rules = codeOf('packages/mimalloc/src/region/options.ts').match(/^ {2}\w+(?=: \[)/gm) ?? [];
  const variables = rules.map((name) => `SHMALLOC_${name.trim().replace(/[A-Z]/g, '_$&').toUpperCase()}`);
  t.true(variables.length > 8);
  t.deepEqual(
    variables.filter((name) => !read.has(`\`${name}\``)),
    [],
    'each is in the table',
  );
  const known = new Set([
    ...variables,
    ...sources.flatMap((file) => codeOf(file).match(/\bSHMALLOC_\w+/g) ?? []),
  ]);
  const unknown = documents.flatMap((file) =>
    (textOf(file).match(/\bSHMALLOC_\w+/g) ?? []).filter((name) => !known.has(name)),
  );
  t.deepEqual(unknown, []);
});

/** An interface of options: where it is declared, and the document that lists them. */
const OPTIONS = [
  { document: 'packages/mimalloc/README.md', source: 'packages/mimalloc/src/region/options.ts' },
  { document: 'packages/slab/README.md', source: 'packages/slab/src/create.ts' },
];

for (const { document, source } of OPTIONS) {
  test(`the options of ${document} have the names and defaults that their declarations tell`, (t) => {
    for (const row of rowsOf(document, 'option')) {
      const name = row[0].replaceAll('`', '');
      const usual = row[row.length - 2].replaceAll('`', '');
      const declared = [source, 'packages/allocator-api/src/heap.ts']
        .map(
          (file) =>
            textOf(file).match(
              new RegExp(`/\\*\\*((?:(?!\\*/)[\\s\\S])*)\\*/\\s+(?:readonly )?${name}\\?: `),
            )?.[1],
        )
        .find((comment) => comment !== undefined);
      if (declared === undefined) {
        t.fail(`${name} is no option`);
        continue;
      }
      const said = declared.replaceAll(/\s*\n\s*\*\s*/g, ' ').match(/Default:? (.*)/i)?.[1] ?? declared;
      // Numbers, flags and names; where the default is told in words, the two need not use the same ones.
      if (/^('.*'|true|false|-?\d+( KiB)?)$/.test(usual))
        t.true(
          said.replaceAll('`', '').includes(usual),
          `${name}: ${usual} in ${document}, "${said}" in ${source}`,
        );
    }
  });
}
