/**
 * Files that a user names. Where a relative name starts from, and one clear line when a file cannot be read
 * or written.
 */

import { existsSync, mkdirSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { oneLine, UsageError } from './errors.ts';

/**
 * The folder that relative names start from: where the user stands. npm runs a script in the folder of its
 * package.json and leaves the user's in `INIT_CWD`; a script that changed the folder itself means the one
 * that it changed to.
 * @public
 */
export function userFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const { INIT_CWD: initial, npm_package_json: manifest } = environment;
  if (!initial) return process.cwd();
  const moved = manifest !== undefined && existsSync(manifest) && real(path.dirname(manifest)) !== real('.');
  return moved ? process.cwd() : initial;
}

/**
 * @param name - as the user wrote it
 * @returns the absolute path
 * @public
 */
export function userPath(name: string): string {
  return path.resolve(userFolder(), name);
}

/**
 * Where a command writes. Under npm the current folder is the root of the workspace, and what the user did
 * not name belongs there.
 * @param preset - where it goes when the user named nothing
 * @param name - as the user wrote it
 * @returns the absolute path
 * @public
 */
export function outPath(preset: string, name: string | undefined): string {
  return name === undefined ? path.resolve(preset) : userPath(name);
}

/**
 * Demands a file that can be read.
 * @param name - as the user wrote it
 * @returns its absolute path
 * @throws UsageError naming the file and the reason
 * @public
 */
export function readablePath(name: string): string {
  const full = userPath(name);
  try {
    if (statSync(full).isDirectory()) throw new UsageError(`cannot read ${name}: it is a folder`);
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`cannot read ${name}: ${reason(error)}`);
  }
  return full;
}

/**
 * @param name - as the user wrote it
 * @returns the file's bytes
 * @throws UsageError naming the file and the reason
 * @public
 */
export function readFile(name: string): Uint8Array {
  const full = readablePath(name);
  try {
    return readFileSync(full);
  } catch (error) {
    throw new UsageError(`cannot read ${name}: ${reason(error)}`);
  }
}

/**
 * Writes a file and the folders on the way to it.
 * @param full - an absolute path
 * @throws UsageError naming the file and the reason
 * @public
 */
export function writeFile(full: string, contents: string | Uint8Array): void {
  try {
    mkdirSync(path.dirname(full), { recursive: true });
    writeFileSync(full, contents);
  } catch (error) {
    throw new UsageError(`cannot write ${full}: ${reason(error)}`);
  }
}

function real(folder: string): string {
  return realpathSync(folder);
}

/** What the operating system says, in words. */
function reason(error: unknown): string {
  const words: Record<string, string> = {
    ENOENT: 'there is no such file',
    EACCES: 'permission denied',
    ENOTDIR: 'part of its path is no folder',
    EISDIR: 'it is a folder',
    EEXIST: 'part of its path is no folder',
  };
  return words[(error as NodeJS.ErrnoException).code ?? ''] ?? oneLine(error);
}
