/**
 * What the rewritten code calls at each access (`rewrite.ts`): is the index an integer inside the view
 * through which it goes?
 *
 * A finding is kept in the thread that made it, and written at once to the file that `BOUNDS_LOG` names: a
 * worker may be terminated the next moment, and code that catches everything must not hide it. With
 * `BOUNDS_THROW=1`, or `throwing(true)`, it is thrown as well.
 */

import { appendFileSync } from 'node:fs';
import { threadId } from 'node:worker_threads';
import type { SharedMemory } from '@shmalloc/allocator-api';

/** One place in the source that reads or writes a view. */
export interface Place {
  readonly line: number;
  readonly expression: string;
  /** Whether it writes there. */
  readonly writes: boolean;
  /** Which of the declarations permits it to go beyond its view; undefined for none. */
  readonly declared?: number | undefined;
}

/** The places of one file. */
export interface Places {
  readonly file: string;
  readonly list: readonly Place[];
}

/** An access outside its view; where `declared` says so, one that is meant. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly expression: string;
  /** Where it went, as text: NaN, −1 and 0.5 are possible, too. For a range, both ends. */
  readonly index: string;
  /** Elements of the view. */
  readonly length: number;
  readonly thread: number;
  readonly declared?: number | undefined;
}

/** Findings of one place that are written to the file, in each thread: the rest are only counted. */
const MOST = 5;

/**
 * A function that is called before its module has run, by a module that imports it in a circle, has no places
 * yet.
 */
const UNKNOWN: Place = { line: 0, expression: '?', writes: true };

const found: Finding[] = [];
const times = new WeakMap<Place, number>();
let throws = process.env.BOUNDS_THROW === '1';

/** The error of an access outside its view. */
export class BoundsError extends Error {
  override readonly name = 'BoundsError';
}

/** Whether findings are thrown from now on, in this thread. */
export function throwing(yes: boolean): void {
  throws = yes;
}

/** What this thread has found since the last call. */
export function takeFindings(): Finding[] {
  return found.splice(0);
}

/** A finding in one line. */
export function describe({ file, line, expression, index, length }: Finding): string {
  return `${file}:${line}: ${expression} at ${index} of ${length}`;
}

function report(places: Places | undefined, nth: number, index: string, length: number): void {
  const place = places?.list[nth] ?? UNKNOWN;
  // A view of no elements is what a heap has that was detached: reads of it are how it is told so. Nothing is
  // written there.
  if (length === 0 && !place.writes) return;
  const count = (times.get(place) ?? 0) + 1;
  times.set(place, count);
  const { line, expression, declared } = place;
  const finding: Finding = {
    file: places?.file ?? '?',
    line,
    expression,
    index,
    length,
    thread: threadId,
    ...(declared !== undefined && { declared }),
  };
  if (count <= MOST) {
    found.push(finding);
    const log = process.env.BOUNDS_LOG;
    // One line in one write: appended as a whole, whichever threads and processes write to the file.
    if (log !== undefined && log !== '') appendFileSync(log, `${JSON.stringify(finding)}\n`);
  }
  if (throws && declared === undefined) throw new BoundsError(describe(finding));
}

/** Checks one element. @returns the index */
export function at(view: unknown, index: unknown, places: Places | undefined, nth: number): unknown {
  if (!ArrayBuffer.isView(view)) return index;
  const { length } = view as unknown as ArrayLike<unknown>;
  if ((index as number) >>> 0 === index && (index as number) < length) return index;
  if (index !== 'length') report(places, nth, String(index), length);
  return index;
}

/** For each method of a view: where the range starts and ends that it reads or writes, in elements. */
const RANGES: Readonly<Record<string, (length: number, args: readonly unknown[]) => readonly unknown[]>> = {
  fill: (length, [, from = 0, to = length]) => [from, to],
  subarray: (length, [from = 0, to = length]) => [from, to],
  slice: (length, [from = 0, to = length]) => [from, to],
  set: (_, [source, from = 0]) => [from, (from as number) + (source as ArrayLike<unknown>).length],
  copyWithin: (length, [target, from, to = length]) => [
    from,
    to,
    target,
    (target as number) + (to as number) - (from as number),
  ],
};

/** The methods that are checked. */
export const RANGE_METHODS: readonly string[] = Object.keys(RANGES);

type Methods = Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;

/** Checks the ranges of a view's method, and calls it. */
export function range(
  view: object,
  method: string,
  places: Places | undefined,
  nth: number,
  ...args: readonly unknown[]
): unknown {
  if (ArrayBuffer.isView(view)) {
    const { length } = view as unknown as ArrayLike<unknown>;
    const ends = RANGES[method](length, args);
    for (let pair = 0; pair < ends.length; pair += 2) {
      const [from, to] = [ends[pair] as number, ends[pair + 1] as number];
      if (!(from >>> 0 === from && to >>> 0 === to && from <= to && to <= length))
        report(places, nth, `[${String(from)}, ${String(to)})`, length);
    }
  }
  // Strings have some of these methods, too.
  return (view as Methods)[method](...args);
}

// ── Operations between threads ──

/** What each operation touches: pairs of a word and how many from there on. */
const WORDS: Readonly<Record<string, (...args: number[]) => number[]>> = {
  load: (place) => [place, 1],
  store: (place) => [place, 1],
  claim: (place) => [place, 1],
  setBits: (place) => [place, 1],
  clearBits: (place) => [place, 1],
  push: (place, block) => [place, 1, block, 1],
  pushUnlessMarked: (place, block) => [place, 1, block, 1],
  mark: (place) => [place, 1],
  unmark: (place) => [place, 1],
  takeAll: (place) => [place, 1],
  takeAllMarked: (place) => [place, 1],
  claimRun: (place, words) => [place, words],
  claimRunAt: (place, first, count) => bitWords(place, first, count),
  releaseRun: (place, first, count) => bitWords(place, first, count),
};

/** The operations that are checked. */
export const CROSSING_METHODS: readonly string[] = Object.keys(WORDS);

function bitWords(place: number, first: number, count: number): number[] {
  return count === 0 ? [] : [place + (first >>> 5), ((first + count - 1) >>> 5) - (first >>> 5) + 1];
}

/**
 * Over which memory the operations of this object go. They have no view of their own: what counts is how long
 * the memory is now.
 */
const memories = new WeakMap<object, SharedMemory>();

/** Makes operations between threads, and keeps in mind over which memory. */
export function crossings(
  make: (memory: SharedMemory, ...rest: unknown[]) => object,
  memory: SharedMemory,
  ...rest: unknown[]
): object {
  const made = make(memory, ...rest);
  memories.set(made, memory);
  return made;
}

function wordsOf({ source }: SharedMemory): number {
  return (source instanceof SharedArrayBuffer ? source : source.buffer).byteLength / 4;
}

/** Checks the words of an operation between threads, and calls it. */
export function cross(
  on: object,
  method: string,
  places: Places | undefined,
  nth: number,
  ...args: readonly unknown[]
): unknown {
  const memory = memories.get(on);
  const length = memory === undefined ? 2 ** 30 : wordsOf(memory);
  const ends = WORDS[method](...(args as number[]));
  for (let pair = 0; pair < ends.length; pair += 2) {
    const [from, count] = [ends[pair], ends[pair + 1]];
    if (!(from >>> 0 === from && count >>> 0 === count && from + count <= length))
      report(places, nth, count === 1 ? String(from) : `[${from}, ${from + count})`, length);
  }
  return (on as Methods)[method](...args);
}
