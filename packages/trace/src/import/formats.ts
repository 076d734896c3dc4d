/**
 * The formats there are, and how to tell which one a file is in: every importer is given the beginning of the
 * file, and the one that understands most of it has it. So there is no second grammar that could disagree
 * with the first.
 */

import { LineSplitter } from './lines.ts';
import { Ltrace } from './ltrace.ts';
import { memoryReplayLine } from './memory-replay.ts';
import { Mtrace } from './mtrace.ts';
import { Rep } from './rep.ts';
import { type Outcome, Session } from './session.ts';
import { Valgrind } from './valgrind.ts';

/**
 * What `importTrace` reads: our own compact format, and five formats of text.
 * @public
 */
export type TraceFormat = 'compact' | TextFormat;

/**
 * The formats that come line by line.
 * @public
 */
export type TextFormat = 'rep' | 'mtrace' | 'valgrind' | 'memory-replay' | 'ltrace';

/** Takes lines, and says at the end what was left open. */
export interface Importer {
  line(): Outcome;
  end?(): void;
}

const IMPORTERS: Readonly<Record<TextFormat, (session: Session) => Importer>> = {
  'memory-replay': (session) => ({ line: () => memoryReplayLine(session) }),
  valgrind: (session) => new Valgrind(session),
  mtrace: (session) => new Mtrace(session),
  rep: (session) => new Rep(session),
  ltrace: (session) => new Ltrace(session),
};

/**
 * The formats of text by name, in the order in which they are tried on a file.
 * @public
 */
export const TEXT_FORMATS: readonly TextFormat[] = Object.keys(IMPORTERS) as TextFormat[];

/**
 * All formats by name.
 * @public
 */
export const TRACE_FORMATS: readonly TraceFormat[] = ['compact', ...TEXT_FORMATS];

/** An import of one format: chunks go in, operations and problems come out. */
export class Import {
  readonly session: Session;
  /** Lines that are part of the format but no operation. */
  ignored = 0;
  /** Lines that were taken. */
  taken = 0;
  readonly #importer: Importer;
  readonly #splitter: LineSplitter;

  constructor(format: TextFormat, name: string, keepProblems: number) {
    const session = new Session(name, keepProblems, format !== 'rep');
    const importer = IMPORTERS[format](session);
    this.session = session;
    this.#importer = importer;
    this.#splitter = new LineSplitter((bytes, start, end) => {
      session.line(bytes, start, end);
      const outcome = importer.line();
      if (outcome === 'taken') this.taken++;
      else if (outcome === 'ignored') this.ignored++;
    });
  }

  push(chunk: Uint8Array): void {
    this.#splitter.push(chunk);
  }

  end(): void {
    this.#splitter.end();
    this.#importer.end?.();
  }
}

/**
 * Which format a file is in.
 * @param beginning - its first bytes; a line that is cut off at their end is left out
 * @param whole - whether that is all of it
 * @returns undefined when no importer understands more lines than it does not
 */
export function detectFormat(beginning: Uint8Array, whole: boolean): TextFormat | undefined {
  const sample = whole ? beginning : beginning.subarray(0, beginning.lastIndexOf(0x0a) + 1);
  let best: TextFormat | undefined;
  let most = 0;
  for (const format of TEXT_FORMATS) {
    const attempt = new Import(format, '', 0);
    attempt.push(sample);
    attempt.end();
    const malformed = attempt.session.problems.counts.malformed ?? 0;
    if (attempt.taken - malformed > most) {
      most = attempt.taken - malformed;
      best = format;
    }
  }
  return best;
}
