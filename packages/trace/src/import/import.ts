/**
 * Reads a recording in any format as a stream: memory holds the trace and one chunk, never the file.
 */

import { isCompact, readTrace } from '../compact.ts';
import { type Trace, TraceError } from '../normal-form.ts';
import { detectFormat, Import, TRACE_FORMATS, type TraceFormat } from './formats.ts';
import { type ImportProblems, ProblemLog } from './problems.ts';

/** How much of a file is looked at to tell its format. */
const SAMPLE_BYTES = 64 * 1024;

/**
 * How to import.
 * @public
 */
export interface ImportOptions {
  /** What to call the file in messages. */
  readonly name: string;
  /** Which format it is in; told from its first 64 KiB when left out. */
  readonly format?: TraceFormat | undefined;
  /** How many problems to keep with their line; all are counted. Default 20. */
  readonly keepProblems?: number | undefined;
}

/**
 * What came of an import.
 * @public
 */
export interface ImportResult {
  readonly trace: Trace;
  readonly format: TraceFormat;
  readonly problems: ImportProblems;
  /** Lines in all; 0 for the compact format. */
  readonly lines: number;
  /** Lines that are part of the format but no operation: comments, banners, calls of other functions, the header. */
  readonly ignoredLines: number;
}

/**
 * Imports a recording.
 *
 * @example
 * ```ts
 * import { createReadStream } from 'node:fs';
 * const { trace, problems } = await importTrace(createReadStream('mtrace.log'), { name: 'mtrace.log' });
 * for (const problem of problems.first) console.error(problemText(problem));
 * ```
 * @param chunks - the file's bytes, in pieces of any length
 * @param options - the file's name, and its format when it is known
 * @returns the trace of everything that could be taken, and every problem with the rest
 * @throws TraceError `format` when no operation of any format is found; as `readTrace` for the compact format; TypeError for chunks
 *   that are no bytes
 * @public
 */
export async function importTrace(
  chunks: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<ImportResult> {
  const { name, keepProblems = 20 } = options;
  if (
    options.format !== undefined &&
    options.format !== 'compact' &&
    !TRACE_FORMATS.includes(options.format)
  ) {
    throw new TraceError(
      'format',
      `${name}: there is no format ${JSON.stringify(options.format)}; it is one of ${TRACE_FORMATS.join(', ')}`,
    );
  }
  const iterator = chunks[Symbol.asyncIterator]();
  const { beginning, whole } = await readBeginning(iterator);
  const format = options.format ?? (isCompact(beginning) ? 'compact' : detectFormat(beginning, whole));
  if (format === undefined) {
    throw new TraceError('format', `${name}: no operation found in any format (${TRACE_FORMATS.join(', ')})`);
  }
  if (format === 'compact') {
    const pieces = [beginning];
    for (let chunk = await next(iterator); chunk !== undefined; chunk = await next(iterator))
      pieces.push(chunk);
    const problems = new ProblemLog(name, keepProblems).report();
    return { trace: readTrace(joined(pieces)), format, problems, lines: 0, ignoredLines: 0 };
  }
  const running = new Import(format, name, keepProblems);
  running.push(beginning);
  for (let chunk = await next(iterator); chunk !== undefined; chunk = await next(iterator))
    running.push(chunk);
  running.end();
  const { session, ignored } = running;
  return {
    trace: session.builder.build(),
    format,
    problems: session.problems.report(),
    lines: session.lineNumber,
    ignoredLines: ignored,
  };
}

/** Reads until there is enough to tell the format from. */
async function readBeginning(
  iterator: AsyncIterator<Uint8Array>,
): Promise<{ beginning: Uint8Array; whole: boolean }> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  while (length < SAMPLE_BYTES) {
    const chunk = await next(iterator);
    if (chunk === undefined) return { beginning: joined(pieces), whole: true };
    // A stream may use a chunk's memory again once it is asked for the next one.
    pieces.push(chunk.slice());
    length += chunk.length;
  }
  return { beginning: joined(pieces), whole: false };
}

/** The next chunk, undefined at the end. */
async function next(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
  const { done, value } = await iterator.next();
  if (done) return undefined;
  if (!(value instanceof Uint8Array)) {
    throw new TypeError(
      `chunks must be Uint8Arrays, got ${typeof value}; was an encoding set on the stream?`,
    );
  }
  return value;
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0];
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
