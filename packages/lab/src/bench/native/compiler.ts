/**
 * Compiles the sources in `native/`, each once in the life of this process, into a folder that goes when the
 * process does.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** From `dist/bench/native` and from `src/bench/native` alike. */
const SOURCES: string = fileURLToPath(new URL('../../../native/', import.meta.url));

/**
 * What to compile.
 * @internal
 */
export interface Compilation {
  /** The command. */
  readonly compiler: string;
  /** A file of `native/`. */
  readonly source: string;
  /** Those for libraries included; they go behind the source. */
  readonly flags: readonly string[];
  /** The packages of Debian that all this takes, for the message. */
  readonly debian: string;
}

let folder: string | undefined;
const done = new Map<string, string>();

/**
 * A folder for what is compiled, and for other files that only this process needs.
 * @internal
 */
export function scratchFolder(): string {
  if (folder === undefined) {
    const fresh = mkdtempSync(path.join(tmpdir(), 'shmalloc-bench-'));
    process.on('exit', () => rmSync(fresh, { recursive: true, force: true }));
    folder = fresh;
  }
  return folder;
}

/**
 * Compiles.
 * @returns the path of what was made
 * @throws Error of one line that says what is missing and how Debian calls it
 * @internal
 */
export function compile({ compiler, source, flags, debian }: Compilation): string {
  const key = [compiler, process.env.PATH, source, ...flags].join('\0');
  const known = done.get(key);
  if (known !== undefined) return known;
  const output = path.join(scratchFolder(), `${path.parse(source).name}-${done.size}`);
  const args = ['-o', output, path.join(SOURCES, source), ...flags];
  const { error, status, stderr } = spawnSync(compiler, args, { encoding: 'utf8' });
  const advice = `(on Debian: apt-get install ${debian})`;
  if (error !== undefined) throw new Error(`needs a compiler: cannot run '${compiler}' ${advice}`);
  if (status !== 0)
    throw new Error(`'${compiler}' cannot compile it: ${complaint(stderr, status)} ${advice}`);
  done.set(key, output);
  return output;
}

/** The first line that says why, without the place in our source. */
function complaint(stderr: string, status: number | null): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const line = lines.find((text) => /error|cannot find|cannot open/.test(text)) ?? `exit code ${status}`;
  return line.replace(/^.*?error: /, '');
}
