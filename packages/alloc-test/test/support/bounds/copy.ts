/**
 * One package with checks, as files beside the tests, so that a test can import it next to the real one, or
 * with a fault planted. What it imports from other packages is the real thing.
 */

import { rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeCompiled } from '../compiled.ts';
import type { Declaration } from './declared.ts';
import { rewrite } from './rewrite.ts';

let copies = 0;

/** A copy on disk. */
export interface Copy {
  /** Of its `index.js`. */
  readonly url: string;
  remove(): void;
}

/**
 * Writes the copy.
 * @param name - the package's folder
 * @param beside - `import.meta.url` of the test: the copy lies there, and finds what it imports from there
 * @param change - what is to be different
 */
export function writeChecked(
  name: string,
  beside: string,
  change: (file: string, text: string) => string = (_, text) => text,
  declared?: readonly Declaration[],
): Copy {
  const root = fileURLToPath(new URL(`./checked-${name}-${process.pid}-${++copies}/`, beside));
  writeCompiled(name, root, (file, text) => {
    const key = file.startsWith('thread-heap/') ? file : `${name}/${file}`;
    return rewrite(key, change(file, text), declared).text;
  });
  return {
    url: new URL(`file://${path.join(root, 'index.js')}`).href,
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
