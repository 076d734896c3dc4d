/**
 * What an import found wrong. Every problem is counted under its reason; the first few are kept with file and
 * line.
 */

/**
 * Why a line could not be taken as it stands.
 *
 * - `malformed`: no line of this format
 * - `unknown-block`: frees or reallocates a block that is not live (never seen, or freed already). A free is
 *   left out, a reallocation becomes an allocation
 * - `in-use`: allocates where a live block is: its free was not recorded. By address, a free is put before
 *   it; by id (`.rep`), the old block stays and is never freed
 * - `failed`: the recorded program got no memory; left out
 * - `too-large`: a block of 4 GiB or more; left out
 * - `bad-align`: an alignment that is no power of two; taken as one byte
 * - `unfinished`: the first or the second half of a call whose other half is missing; left out
 * - `unknown-address`: an allocation whose address the recording does not hold; left out
 * - `other-process`: belongs to a second process, which has another address space; left out
 * - `header`: the header announces something else than the file holds
 * @public
 */
export type ProblemReason =
  | 'malformed'
  | 'unknown-block'
  | 'in-use'
  | 'failed'
  | 'too-large'
  | 'bad-align'
  | 'unfinished'
  | 'unknown-address'
  | 'other-process'
  | 'header';

/**
 * One line and what is wrong with it.
 * @public
 */
export interface ImportProblem {
  /** The name that `importTrace` was given. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly reason: ProblemReason;
  /** In words, with the value or the text in question. */
  readonly detail: string;
}

/**
 * Everything wrong with one file.
 * @public
 */
export interface ImportProblems {
  readonly total: number;
  /** How many for each reason that occurred. */
  readonly counts: Readonly<Partial<Record<ProblemReason, number>>>;
  /** The first of them, 20 unless told otherwise. */
  readonly first: readonly ImportProblem[];
}

/** Counts problems and keeps the first. */
export class ProblemLog implements ImportProblems {
  readonly counts: Partial<Record<ProblemReason, number>> = {};
  readonly first: ImportProblem[] = [];
  total = 0;
  readonly #file: string;
  readonly #keep: number;

  constructor(file: string, keep: number) {
    this.#file = file;
    this.#keep = keep;
  }

  /** Whether the next problem will be kept, and so whether its detail is worth putting into words. */
  get keeps(): boolean {
    return this.first.length < this.#keep;
  }

  add(line: number, reason: ProblemReason, detail: string): void {
    this.total++;
    this.counts[reason] = (this.counts[reason] ?? 0) + 1;
    if (this.keeps) this.first.push({ file: this.#file, line, reason, detail });
  }

  /** A plain object, as it is handed to the caller. */
  report(): ImportProblems {
    return { total: this.total, counts: this.counts, first: this.first };
  }
}

/**
 * A problem as one line of text: `file:line: reason: detail`.
 * @public
 */
export function problemText(problem: ImportProblem): string {
  return `${problem.file}:${problem.line}: ${problem.reason}: ${problem.detail}`;
}
