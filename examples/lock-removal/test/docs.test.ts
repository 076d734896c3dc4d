/** What the pages quote stands in the programs, and the programs differ by what their step is about. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const SOURCE = fileURLToPath(new URL('../src/', import.meta.url));
const DOCS = fileURLToPath(new URL('../../../docs/lock-removal/', import.meta.url));
const PAGES = readdirSync(DOCS).filter((name) => name.endsWith('.md'));
/** A line that stands for others that are left out. */
const GAP = '// …';

/** The code of a page, each piece with the file that the link above it leads to. */
function quotesOf(page: string): { file: string; code: string }[] {
  const text = readFileSync(path.join(DOCS, page), 'utf8');
  return [...text.matchAll(/\[`[^`]+`\]\(([^)]+)\)[^\n]*\n\n```ts\n(.*?)```/gs)].map(([, link, code]) => ({
    file: path.join(DOCS, link),
    code,
  }));
}

/** Whether each piece stands in the text, in this order, however deep it is indented. */
function stands(code: string, text: string): boolean {
  let from = 0;
  const all = flat(text);
  return code.split(GAP).every((lines) => {
    const piece = flat(lines);
    const at = all.indexOf(piece, from);
    from = at + piece.length;
    return at >= 0;
  });
}

function flat(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join('\n');
}

function source(name: string): string {
  return readFileSync(path.join(SOURCE, `${name}.ts`), 'utf8');
}

/** Lines of the second that are not in the first, comments aside. */
function news(before: string, after: string): string[] {
  const old = new Set(source(before).split('\n'));
  return source(after)
    .split('\n')
    .filter((line) => !old.has(line) && !/^\s*(\/\*\*|\*|\/\/)/.test(line));
}

test('there is a page for every step, in both languages, and an index', (t) => {
  for (const ending of ['.md', '.zh.md']) {
    const pages = PAGES.filter((page) => page.endsWith('.zh.md') === (ending === '.zh.md'));
    t.is(pages.length, 8, ending);
    for (let step = 0; step <= 6; step++)
      t.true(
        pages.some((page) => page.startsWith(`${step}-`)),
        `${step}`,
      );
    t.true(pages.includes(`README${ending}`));
  }
});

for (const page of PAGES) {
  test(`${page} quotes what stands in the programs`, (t) => {
    const quotes = quotesOf(page);
    const blocks = readFileSync(path.join(DOCS, page), 'utf8').split('```ts\n').length - 1;
    t.is(quotes.length, blocks, 'every piece of code has a link above it');
    if (!page.startsWith('README')) t.true(blocks > 0);
    for (const { file, code } of quotes) t.true(stands(code, readFileSync(file, 'utf8')), code);
  });

  test(`${page} leads to files that are there`, (t) => {
    const text = readFileSync(path.join(DOCS, page), 'utf8');
    for (const [, link] of text.matchAll(/\]\(([^)#]+)\)/g)) t.true(existsSync(path.join(DOCS, link)), link);
  });
}

test('a quotation that does not stand there is found', (t) => {
  t.false(stands('this.mutex.lock();', source('step-0')));
  t.false(stands(`this.mutex.unlock();\n${GAP}\nconstructor(`, source('step-1')));
  t.true(stands('this.mutex.lock();', source('step-1')));
});

test('both languages quote the same code', (t) => {
  for (const page of PAGES.filter((name) => name.endsWith('.zh.md')))
    t.deepEqual(quotesOf(page), quotesOf(page.replace('.zh.md', '.md')), page);
});

test('a step differs from the one before by what it is about', (t) => {
  t.true(
    news('step-0', 'step-1').every((line) =>
      /mutex|try|finally|SharedMemory|GUARD|words|^\s*[{}]|return|free/i.test(line),
    ),
  );
  // One word.
  t.deepEqual(
    news('step-2', 'step-3').map((line) => line.replaceAll('AtomicRefCell', 'RefCell')),
    source('step-2')
      .split('\n')
      .filter((line) => line.includes('RefCell') && !line.startsWith(' *')),
  );
  t.deepEqual(
    news('unchecked-flag', 'step-3').filter((line) => !/try|finally|return|inner|^ *}$/.test(line)),
    [],
  );
  // One mark.
  t.deepEqual(news('step-4', 'step-5'), [
    '    const crossings = new SegmentLock(SharedMemory.from(heap.memory), SharedMemory.from(words), GUARD);',
  ]);
  t.true(source('step-6').length < source('step-5').length);
});
