/**
 * A raw file into the normal form: addresses become numbered blocks.
 *
 * The recorder gives a total order in which a block's free stands before any later owner of the same address,
 * so one table from address to block serves all threads. A realloc is two records: from the first on its old
 * block has no address any more (another thread may be given it), and at the second the event takes its place
 * in the trace.
 */

import { TraceBuilder } from '../builder.ts';
import { AddressMap } from '../import/address-map.ts';
import { MAX_SIZE, type Trace } from '../normal-form.ts';
import { KIND, type RawHeader, RECORD_WORDS, rawRecords } from './raw.ts';

/**
 * What can be wrong with a recording. Each operation that is not in the trace as the program did it counts
 * under one of these.
 */
export const REASON = {
  foreignFree: 'free of a block that was allocated before the recording or past it: left out',
  foreignRealloc:
    'realloc of a block that was allocated before the recording or past it: taken for one of NULL',
  unseenFree: 'address handed out again although its free was not seen: a free was put before it',
  failed: 'allocation that the program did not get: left out',
  tooLarge: 'block of 4 GiB or more: left out',
  align: 'alignment of 4 GiB or more: taken for one of 2 GiB',
  unfinished: 'operation that its thread did not come to write down: left out',
  openRealloc: 'realloc that had not returned at the end: left out',
  full: 'operation after the recording was full: left out',
} as const;

/** A raw file, converted. */
export interface Converted {
  trace: Trace;
  /** How often each reason occurred. */
  problems: Map<string, number>;
}

/**
 * Converts a raw file. Two passes over it; memory for the trace and for the blocks that are live.
 * @param file - the raw file
 * @param header - what `readRawHeader` said of it
 */
export async function convertRaw(file: string, header: RawHeader): Promise<Converted> {
  const conversion = new Conversion();
  for await (const words of rawRecords(file, header.records)) conversion.survey(words);
  for await (const words of rawRecords(file, header.records)) conversion.convert(words);
  return conversion.finish(header.lost);
}

/** The largest alignment that a trace can hold, as a logarithm. */
const MAX_ALIGN_LOG2 = 31;
/** A block that is live in the program and not in the trace. */
const LEFT_OUT = 2 ** 32 - 1;
const TWO_32 = 2 ** 32;

class Conversion {
  readonly #builder = new TraceBuilder();
  readonly #problems = new Map<string, number>();
  /** Live blocks by address. */
  readonly #blocks = new AddressMap();
  /** The realloc that a thread is in: its old block (0 for NULL) and address. */
  readonly #pending = new Map<number, { block: number; hi: number; lo: number }>();
  /** By the recorder's number of a thread: the last record of it, and whether it has ended. */
  readonly #lastRecord: number[] = [];
  readonly #ended: boolean[] = [];
  /** The recorder's numbers made dense in order of appearance. */
  readonly #threads: number[] = [];
  #surveyed = 0;
  #converted = 0;

  /**
   * First pass: finds the last record of each thread, because the C library frees a little after a thread's
   * end was written down.
   */
  survey(words: Uint32Array): void {
    for (let at = 0; at < words.length; at += RECORD_WORDS) {
      const kind = words[at] & 0xff;
      const thread = words[at + 1];
      if (kind === KIND.threadExit) this.#ended[thread] = true;
      if (kind !== KIND.unfinished) this.#lastRecord[thread] = this.#surveyed;
      this.#surveyed++;
    }
  }

  /** Second pass. */
  convert(words: Uint32Array): void {
    for (let at = 0; at < words.length; at += RECORD_WORDS) {
      const kind = words[at] & 0xff;
      const thread = words[at + 1];
      const lo = words[at + 2];
      const hi = words[at + 3];
      const size = words[at + 5] * TWO_32 + words[at + 4];
      switch (kind) {
        case KIND.malloc:
        case KIND.calloc:
        case KIND.aligned:
          this.#allocate(kind, thread, hi, lo, size, (words[at] >>> 8) & 0xff);
          break;
        case KIND.free:
          this.#free(thread, hi, lo);
          break;
        case KIND.reallocBegin:
          this.#beginRealloc(thread, hi, lo);
          break;
        case KIND.reallocEnd:
          this.#endRealloc(thread, hi, lo, size);
          break;
        case KIND.unfinished:
          this.#count('unfinished');
          break;
      }
      if (this.#ended[thread] === true && this.#lastRecord[thread] === this.#converted) {
        // A thread that left nothing in the trace has no number in it.
        if (this.#threads[thread] !== undefined) this.#builder.exit(this.#threads[thread]);
      }
      this.#converted++;
    }
  }

  finish(lost: number): Converted {
    this.#count('openRealloc', this.#pending.size);
    this.#count('full', lost);
    return { trace: this.#builder.build(), problems: this.#problems };
  }

  #allocate(kind: number, thread: number, hi: number, lo: number, size: number, alignLog2: number): void {
    if (!this.#taken(thread, hi, lo, size)) return;
    const who = this.#thread(thread);
    const builder = this.#builder;
    let block: number;
    if (kind === KIND.malloc) block = builder.malloc(who, size);
    else if (kind === KIND.calloc) block = builder.calloc(who, size);
    else {
      if (alignLog2 > MAX_ALIGN_LOG2) this.#count('align');
      block = builder.aligned(who, 2 ** Math.min(alignLog2, MAX_ALIGN_LOG2), size);
    }
    this.#blocks.set(hi, lo, block);
  }

  #free(thread: number, hi: number, lo: number): void {
    const block = this.#blocks.delete(hi, lo);
    if (block === 0 && !isNull(hi, lo)) this.#count('foreignFree');
    else if (block !== LEFT_OUT) this.#builder.free(this.#thread(thread), block);
  }

  #beginRealloc(thread: number, hi: number, lo: number): void {
    const block = this.#blocks.delete(hi, lo);
    if (block === 0 && !isNull(hi, lo)) this.#count('foreignRealloc');
    this.#pending.set(thread, { block, hi, lo });
  }

  #endRealloc(thread: number, hi: number, lo: number, size: number): void {
    const pending = this.#pending.get(thread);
    if (pending === undefined) {
      this.#count('unfinished'); // it was the first half that is missing
      return;
    }
    this.#pending.delete(thread);
    const { block } = pending;
    const old = block === LEFT_OUT ? 0 : block;
    if (isNull(hi, lo) && size === 0 && !isNull(pending.hi, pending.lo)) {
      if (old !== 0) this.#builder.free(this.#thread(thread), old); // realloc(block, 0) is a free in glibc
    } else if (this.#taken(thread, hi, lo, size)) {
      this.#blocks.set(hi, lo, this.#builder.realloc(this.#thread(thread), old, size));
    } else if (isNull(hi, lo)) {
      if (block !== 0) this.#blocks.set(pending.hi, pending.lo, block); // it failed: the old block lives on
    } else if (old !== 0) {
      this.#builder.free(this.#thread(thread), old);
    }
  }

  /**
   * Whether an allocation of this size was made and can be in a trace; clears its address of a block that
   * left unseen.
   */
  #taken(thread: number, hi: number, lo: number, size: number): boolean {
    if (isNull(hi, lo)) {
      this.#count('failed');
      return false;
    }
    if (this.#blocks.get(hi, lo) !== 0) {
      this.#count('unseenFree');
      this.#free(thread, hi, lo);
    }
    if (size <= MAX_SIZE) return true;
    this.#count('tooLarge');
    this.#blocks.set(hi, lo, LEFT_OUT);
    return false;
  }

  #thread(number: number): number {
    return (this.#threads[number] ??= this.#builder.threads);
  }

  #count(reason: keyof typeof REASON, times = 1): void {
    if (times === 0) return;
    const text = REASON[reason];
    this.#problems.set(text, (this.#problems.get(text) ?? 0) + times);
  }
}

function isNull(hi: number, lo: number): boolean {
  return (hi | lo) === 0;
}
