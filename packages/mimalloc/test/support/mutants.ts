/**
 * The package with a fault planted: a copy of what was compiled in which one place reads otherwise. A test
 * that passes on the package and on a mutant of it has proved nothing.
 */

import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type * as Package from '@shmalloc/mimalloc';

export type { Package };

/** The compiled files, and beside the tests a place from which the packages that they import can be found. */
const DIST = new URL('../../compiled/', import.meta.url);
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
  cpSync(DIST, copy, { recursive: true, filter: (path) => !/\.(map|d\.ts|tsbuildinfo)$/.test(path) });
  const place = new URL(file, copy);
  const text = readFileSync(place, 'utf8');
  const pattern = new RegExp(
    from
      .trim()
      .split(/\s+/)
      .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('\\s+'),
    'g',
  );
  const found = text.match(pattern)?.length ?? 0;
  if (found !== 1) throw new Error(`${name}: what is to be broken stands ${found} times in ${file}`);
  writeFileSync(
    place,
    text.replace(pattern, () => to),
  );
  return new URL('index.js', copy).href;
}

/** Takes the copies away. */
export function removeMutants(): void {
  rmSync(COPIES, { recursive: true, force: true });
}
