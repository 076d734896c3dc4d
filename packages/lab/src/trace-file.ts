/** Trace files that a user names: our compact format, or any that can be imported. */

import { createReadStream } from 'node:fs';
import {
  type ImportProblems,
  type ImportResult,
  importTrace,
  problemText,
  TraceError,
  type TraceFormat,
} from '@shmalloc/trace';
import { oneLine, UsageError } from './errors.ts';
import { readablePath } from './files.ts';
import { formatCount, plural } from './units.ts';

/**
 * Reads a trace as a stream, so that a text of 100 MB need not fit into one string.
 * @param name - as the user wrote it
 * @param format - of the file; found out when left out
 * @throws UsageError when the file cannot be read or holds no trace
 * @public
 */
export async function loadTrace(name: string, format?: TraceFormat): Promise<ImportResult> {
  const full = readablePath(name);
  try {
    return await importTrace(createReadStream(full), { name, format });
  } catch (error) {
    const known = error instanceof TraceError || (error as NodeJS.ErrnoException).code !== undefined;
    if (!known) throw error;
    const message = oneLine(error);
    throw new UsageError(`cannot read ${message.startsWith(`${name}: `) ? message : `${name}: ${message}`}`);
  }
}

/**
 * Prints what was wrong with a file's lines to standard error: the first of them, and the count of all.
 * @returns how many
 * @public
 */
export function printProblems(name: string, problems: ImportProblems): number {
  if (problems.total === 0) return 0;
  for (const problem of problems.first) console.error(problemText(problem));
  const more = problems.total - problems.first.length;
  if (more > 0) console.error(`${name}: … and ${formatCount(more)} more`);
  const kinds = Object.entries(problems.counts).map(
    ([reason, count]) => `${reason} ${formatCount(count as number)}`,
  );
  console.error(`${name}: ${plural(problems.total, 'problem')} (${kinds.join(', ')})`);
  return problems.total;
}
