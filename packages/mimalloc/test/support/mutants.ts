/**
 * The package with a fault planted: a copy of what was compiled in which one place reads otherwise. A test
 * that passes on the package and on a mutant of it has proved nothing.
 */

import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type * as Package from '@shmalloc/mimalloc';
import { writeCompiled } from '../../../alloc-test/dist-test/support/compiled.js';

export type { Package };

/** Beside the tests: from there the packages that the copies import can be found. */
const COPIES = new URL(`./mutants-${process.pid}/`, import.meta.url);

/** One fault. */
export interface Fault {
  readonly name: string;
  /** The compiled file. */
  readonly file: string;
  /** What stands there, exactly once, apart from spaces; and what is to stand there. */
  readonly from: string;
  readonly to: string;
}

/** What a worker imports. */
export const PACKAGE: string = import.meta.resolve('@shmalloc/mimalloc');

let copies = 0;

/** Plants a fault. Returns the URL of the package that has it. */
export function plant({ name, file, from, to }: Fault): string {
  const copy = new URL(`${++copies}/`, COPIES);
  const pattern = new RegExp(
    from
      .trim()
      .split(/\s+/)
      .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('\\s+'),
    'g',
  );
  let found = 0;
  writeCompiled('mimalloc', fileURLToPath(copy), (where, text) => {
    if (where !== file) return text;
    found = text.match(pattern)?.length ?? 0;
    return text.replace(pattern, () => to);
  });
  if (found !== 1) throw new Error(`${name}: what is to be broken stands ${found} times in ${file}`);
  return new URL('index.js', copy).href;
}

/** Takes the copies away. */
export function removeMutants(): void {
  rmSync(COPIES, { recursive: true, force: true });
}
