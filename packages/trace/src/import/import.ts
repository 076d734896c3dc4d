/**
 * Reads a recording in any format as a stream: memory holds the trace and one chunk, never the file.
 */

import { isCompact, readTrace } from '../compact.ts';
import { type Trace, TraceError } from '../normal-form.ts';
import { detectFormat, Import, type TextFormat, TRACE_FORMATS, type TraceFormat } from './formats.ts';
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
  /**
   * Lines that are part of the format but no operation: comments, banners, calls of other functions, the
   * header.
   */
  readonly ignoredLines: number;
}

/**
 * Imports a recording. Cost: some 0.4 µs a line; memory for the trace and the blocks that are live, and one
 * chunk. The stream is closed when something goes wrong.
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
 * @throws TraceError `format` when no operation of any format is found; as {@link readTrace} for the compact
 *   format; TypeError for chunks that are no bytes
 * @public
 */
export async function importTrace(
  chunks: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<ImportResult> {
  const { name, format } = options;
  if (format !== undefined && !TRACE_FORMATS.includes(format)) {
    throw new TraceError(
      'format',
      `${name}: there is no format ${JSON.stringify(format)}; it is one of ${TRACE_FORMATS.join(', ')}`,
    );
  }
  const reading = new Reading(options);
  for await (const chunk of chunks) {
    if (!(chunk instanceof Uint8Array)) {
      throw new TypeError(
        `chunks must be Uint8Arrays, got ${typeof chunk}; was an encoding set on the stream?`,
      );
    }
    reading.push(chunk);
  }
  return reading.end();
}

/** What takes a file whose format is known. */
interface Sink {
  push(chunk: Uint8Array): void;
  end(): ImportResult;
}

/** Holds the beginning of a file back until its format is known. */
class Reading implements Sink {
  readonly #options: ImportOptions;
  #beginning = new Pieces();
  #sink: Sink | undefined;

  constructor(options: ImportOptions) {
    this.#options = options;
    if (options.format !== undefined) this.#sink = sinkOf(options.format, options);
  }

  push(chunk: Uint8Array): void {
    if (this.#sink === undefined) {
      this.#beginning.push(chunk);
      if (this.#beginning.length >= SAMPLE_BYTES) this.#detect(false);
    } else this.#sink.push(chunk);
  }

  end(): ImportResult {
    return (this.#sink ?? this.#detect(true)).end();
  }

  #detect(whole: boolean): Sink {
    const { name } = this.#options;
    const beginning = this.#beginning.joined();
    const format = isCompact(beginning) ? 'compact' : detectFormat(beginning, whole);
    if (format === undefined) {
      throw new TraceError(
        'format',
        `${name}: no operation found in any format (${TRACE_FORMATS.join(', ')})`,
      );
    }
    this.#beginning = new Pieces();
    this.#sink = sinkOf(format, this.#options);
    this.#sink.push(beginning);
    return this.#sink;
  }
}

function sinkOf(format: TraceFormat, { name, keepProblems = 20 }: ImportOptions): Sink {
  return format === 'compact' ? new CompactSink(name) : new TextSink(format, name, keepProblems);
}

/** A compact file is small: it is read once it is whole. */
class CompactSink implements Sink {
  readonly #name: string;
  readonly #pieces = new Pieces();

  constructor(name: string) {
    this.#name = name;
  }

  push(chunk: Uint8Array): void {
    this.#pieces.push(chunk);
  }

  end(): ImportResult {
    const problems = new ProblemLog(this.#name, 0).report();
    return { trace: this.#read(), format: 'compact', problems, lines: 0, ignoredLines: 0 };
  }

  /** The file has a name here, which belongs into the message. */
  #read(): Trace {
    try {
      return readTrace(this.#pieces.joined());
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      throw new TraceError(error.reason, `${this.#name}: ${error.message}`);
    }
  }
}

/** Text is taken as it comes. */
class TextSink implements Sink {
  readonly #format: TextFormat;
  readonly #import: Import;

  constructor(format: TextFormat, name: string, keepProblems: number) {
    this.#format = format;
    this.#import = new Import(format, name, keepProblems);
  }

  push(chunk: Uint8Array): void {
    this.#import.push(chunk);
  }

  end(): ImportResult {
    this.#import.end();
    const { session, ignored } = this.#import;
    return {
      trace: session.builder.build(),
      format: this.#format,
      problems: session.problems.report(),
      lines: session.lineNumber,
      ignoredLines: ignored,
    };
  }
}

/** Copies of chunks, for a stream may use a chunk's memory again once it is asked for the next one. */
class Pieces {
  length = 0;
  readonly #pieces: Uint8Array[] = [];

  push(chunk: Uint8Array): void {
    this.#pieces.push(new Uint8Array(chunk)); // a Buffer's own slice would share its memory
    this.length += chunk.length;
  }

  joined(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    let at = 0;
    for (const piece of this.#pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }
}
