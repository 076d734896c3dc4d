/** The list of recordings, each with the place of its file. */

import { LIST } from './list.ts';

/**
 * One recorded program. The figures are those of `traceInfo` from `@shmalloc/trace`.
 * @public
 */
export interface Recording {
  /** Short name, also the file's. */
  readonly name: string;
  /** Program and version. */
  readonly program: string;
  /** Debian packages that recording it takes. */
  readonly packages: readonly string[];
  /** What the program did, and the command that was recorded. */
  readonly description: string;
  /** The file, in the compact format of `@shmalloc/trace`. */
  readonly url: URL;
  /** Operations, thread exits included. */
  readonly operations: number;
  /** Threads over the whole run. */
  readonly threads: number;
  /** The most bytes that were live at once, as asked for. */
  readonly peakBytes: number;
  /** Frees by another thread than the one that allocated the block. */
  readonly crossThreadFrees: number;
}

/**
 * Recorded programs of different character; the later ones have several threads.
 *
 * @example
 * ```ts
 * const redis = recordings.find(({ name }) => name === 'redis');
 * const trace = readTrace(await readFile(redis.url));
 * ```
 * @public
 */
export const recordings: readonly Recording[] = LIST.map((entry) => ({
  ...entry,
  url: new URL(`../data/${entry.name}.trace`, import.meta.url),
}));
