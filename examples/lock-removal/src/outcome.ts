/** What an experiment found. */

/**
 * One experiment of one step.
 * @public
 */
export interface Outcome {
  /** What it is to show, in a sentence. */
  readonly claim: string;
  /** Whether it has shown it, this time. */
  readonly shown: boolean;
  /** What was seen, in words. */
  readonly lines: readonly string[];
  /** The same in figures. */
  readonly facts: Readonly<Record<string, number | string | null>>;
}

/** Bytes as a figure to read. */
export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** A count with its separators. */
export function counted(count: number): string {
  return count.toLocaleString('en-US');
}

/** A count and its noun. */
export function plural(count: number, noun: string): string {
  return `${counted(count)} ${noun}${count === 1 ? '' : 's'}`;
}
