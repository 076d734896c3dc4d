/**
 * Turns `recorder/recorder.c` into a library that a program can be started with, once per version of the
 * source.
 */

import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { RecordError } from './error.ts';

/** From `dist/record` and from `src/record` alike. */
const SOURCE: string = fileURLToPath(new URL('../../recorder/recorder.c', import.meta.url));

const FLAGS: readonly string[] = ['-O2', '-fPIC', '-shared', '-fno-builtin', '-pthread'];

/**
 * The recorder, compiled.
 * @param compiler - the C compiler; default `$CC`, else `cc`
 * @param cache - directory that keeps the library; default `~/.cache/shmalloc` (or under `$XDG_CACHE_HOME`)
 * @param platform - where we run; only tests say something else than the truth
 * @returns the path of the shared library
 * @throws RecordError when this is not Linux with glibc on a little-endian machine, or there is no compiler
 * @internal
 */
export function recorderLibrary(
  compiler: string = process.env.CC || 'cc',
  cache: string = defaultCache(),
  platform: string = process.platform,
): string {
  if (platform !== 'linux') {
    throw new RecordError(`recording needs Linux with glibc, this is ${platform}`);
  }
  const source = readFileSync(SOURCE);
  const digest = createHash('sha256').update(source).update(`${FLAGS} ${compiler} ${process.arch}`);
  const name = `recorder-${digest.digest('hex').slice(0, 16)}.so`;
  const directory = writableDirectory(cache);
  const library = path.join(directory, name);
  if (existsSync(library)) return library;

  // Two processes may compile at once: each writes a file of its own, and the thread that renames last wins
  // with the same contents.
  const fresh = path.join(directory, `${randomBytes(6).toString('hex')}.so`);
  const { error, status, stderr } = spawnSync(compiler, [...FLAGS, '-o', fresh, SOURCE, '-ldl'], {
    encoding: 'utf8',
  });
  if (error !== undefined) {
    throw new RecordError(
      `recording needs a C compiler: cannot run '${compiler}' (on Debian: apt-get install gcc libc6-dev)`,
    );
  }
  if (status !== 0) {
    const line = stderr.split('\n').find((text) => text.includes('error')) ?? `exit code ${status}`;
    throw new RecordError(`'${compiler}' cannot compile the recorder: ${line.trim()}`);
  }
  renameSync(fresh, library);
  return library;
}

function defaultCache(): string {
  return path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'shmalloc');
}

/**
 * The directory itself, or a private one that lasts as long as the machine runs: never one that others may
 * write to.
 */
function writableDirectory(wanted: string): string {
  try {
    mkdirSync(wanted, { recursive: true, mode: 0o700 });
    accessSync(wanted, constants.W_OK | constants.X_OK);
    return wanted;
  } catch {
    return mkdtempSync(path.join(tmpdir(), 'shmalloc-recorder-'));
  }
}
