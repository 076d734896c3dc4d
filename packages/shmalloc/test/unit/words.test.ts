/** How the repository reads: widths of comments, and words that a reader would have to guess. */

import test from 'ava';
import { commentLines, documents, sources, textOf } from '../support/documents.js';

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
    textOf(file)
      .split('\n')
      .forEach((text, index) => {
        if (PRIVATE.test(text)) found.push(`${file}:${index + 1}: ${text.trim().slice(0, 120)}`);
      });
  t.deepEqual(found, []);
});
