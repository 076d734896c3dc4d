/** Imports text in tests. */
import { type ImportOptions, type ImportResult, importTrace, type TraceFormat } from '@shmalloc/trace';
import { brief } from './traces.ts';

/** Text in chunks of so many bytes. */
export async function* chunked(
  text: string,
  bytes: number = Number.POSITIVE_INFINITY,
): AsyncGenerator<Uint8Array> {
  const all = Buffer.from(text, 'latin1');
  for (let at = 0; at < all.length; at += bytes) yield all.subarray(at, Math.min(all.length, at + bytes));
}

/** Imports text. */
export function importText(text: string, options: Partial<ImportOptions> = {}): Promise<ImportResult> {
  return importTrace(chunked(text), { name: 'sample', ...options });
}

/** Imports lines in one format: the events in brief, and the problems as `line reason`. */
export async function taken(
  format: TraceFormat,
  ...lines: string[]
): Promise<{ events: string[]; problems: string[]; ignored: number }> {
  const { trace, problems, ignoredLines } = await importText(`${lines.join('\n')}\n`, { format });
  return {
    events: brief(trace),
    problems: problems.first.map(({ line, reason }) => `${line} ${reason}`),
    ignored: ignoredLines,
  };
}
