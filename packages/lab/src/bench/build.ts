/**
 * Which build of our packages is measured: this checkout's own, or that of another one, whose compiled
 * packages are imported by their files.
 *
 * ```
 *   this one     import '@shmalloc/mimalloc'
 *   another one  import DIR/packages/mimalloc/dist/index.js     what that imports comes from DIR, too
 * ```
 *
 * The loops are this checkout's in both cases, so only the allocators differ.
 */

import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { UsageError } from '../errors.ts';

/** Within a checkout. */
const entryOf = (name: string): string => path.join('packages', name, 'dist', 'index.js');

/**
 * @param name - of a package, without the scope
 * @param build - folder of the checkout to take it from; this one when undefined
 * @internal
 */
export function packageOf<T>(name: string, build: string | undefined): Promise<T> {
  return import(
    build === undefined ? `@shmalloc/${name}` : pathToFileURL(path.join(build, entryOf(name))).href
  );
}

/**
 * Demands a checkout in which some packages are built.
 * @param text - what the user named
 * @param folder - the same as an absolute path
 * @param names - of the packages
 * @throws UsageError that names what is missing
 * @internal
 */
export function checkBuild(text: string, folder: string, names: readonly string[]): void {
  if (!existsSync(folder)) throw new UsageError(`no folder '${text}' to measure against`);
  if (!statSync(folder).isDirectory()) throw new UsageError(`'${text}' is a file, not a folder`);
  if (!existsSync(path.join(folder, 'packages'))) {
    throw new UsageError(`'${text}' is no checkout of this repository: it has no folder 'packages'`);
  }
  for (const name of names) {
    if (!existsSync(path.join(folder, 'packages', name))) {
      throw new UsageError(`'${text}' has no package '${name}'`);
    }
    if (!existsSync(path.join(folder, entryOf(name)))) {
      throw new UsageError(`'${text}' is not built: it has no ${entryOf(name)}`);
    }
  }
}
