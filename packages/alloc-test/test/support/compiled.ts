/**
 * A package's compiled files for a copy with changes, and with them those of `thread-heap`, which is a part
 * of the allocators with a heap for each thread: they lie in a folder of that name then, and the copy imports
 * them from there.
 *
 * ```
 *   packages/mimalloc/compiled/page/blocks.js      page/blocks.js        … from '../thread-heap/index.js'
 *   packages/thread-heap/compiled/names.js         thread-heap/names.js
 * ```
 */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const SHARED = 'thread-heap';
const PACKAGES = fileURLToPath(new URL('../../../', import.meta.url));

/** Paths below a package's `compiled`, with slashes. */
function filesOf(name: string): string[] {
  return (readdirSync(path.join(PACKAGES, name, 'compiled'), { recursive: true }) as string[])
    .filter((file) => file.endsWith('.js'))
    .map((file) => file.replaceAll(path.sep, '/'));
}

/** Each file of a copy: where it lies there, and its text. */
export function* compiledFiles(name: string): Generator<readonly [file: string, text: string]> {
  const read = (from: string, file: string): string =>
    readFileSync(path.join(PACKAGES, from, 'compiled', file), 'utf8');
  let shares = false;
  for (const file of filesOf(name)) {
    const home = path.posix.relative(path.posix.dirname(file), `${SHARED}/index.js`);
    const text = read(name, file).replaceAll(
      `'@shmalloc/${SHARED}'`,
      `'${home.startsWith('.') ? home : `./${home}`}'`,
    );
    shares ||= text !== read(name, file);
    yield [file, text];
  }
  if (shares) for (const file of filesOf(SHARED)) yield [`${SHARED}/${file}`, read(SHARED, file)];
}

/** Writes a copy. @param change - what is to be different */
export function writeCompiled(
  name: string,
  folder: string,
  change: (file: string, text: string) => string,
): void {
  for (const [file, text] of compiledFiles(name)) {
    const place = path.join(folder, file);
    mkdirSync(path.dirname(place), { recursive: true });
    writeFileSync(place, change(file, text));
  }
}
