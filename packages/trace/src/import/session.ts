/**
 * What all importers share: they say what a line did, in the recorded program's thread ids and addresses, and
 * the session turns that into the normal form. It knows which addresses are live and which thread has which
 * number.
 */

import { TraceBuilder } from '../builder.ts';
import { MAX_SIZE, type OP_ALIGNED, OP_CALLOC, OP_MALLOC } from '../normal-form.ts';
import { AddressMap } from './address-map.ts';
import { ProblemLog, type ProblemReason } from './problems.ts';
import { ascii, Scanner } from './scanner.ts';

/** How a block got its memory. */
export type AllocateOp = typeof OP_MALLOC | typeof OP_CALLOC | typeof OP_ALIGNED;

/**
 * What became of a line: it was taken, it is part of the format but no operation (a comment, a banner, a call
 * of another function), or there is a problem with it and nothing was taken.
 */
export type Outcome = 'taken' | 'ignored' | 'problem';

/** How much of a line a problem quotes. */
const QUOTE_BYTES = 80;

/** One import under way. */
export class Session {
  readonly scanner: Scanner = new Scanner();
  readonly builder: TraceBuilder = new TraceBuilder();
  readonly problems: ProblemLog;
  /** The line at hand, from 1. */
  lineNumber = 0;

  readonly #live: AddressMap = new AddressMap();
  readonly #threads: Map<number, number> = new Map();
  /**
   * A reused key means a missing free when keys are addresses; when they are ids, the block just cannot be
   * reached any more.
   */
  readonly #keysAreAddresses: boolean;
  #lineStart = 0;

  constructor(name: string, keepProblems: number, keysAreAddresses: boolean) {
    this.problems = new ProblemLog(name, keepProblems);
    this.#keysAreAddresses = keysAreAddresses;
  }

  /** Begins a line. */
  line(bytes: Uint8Array, start: number, end: number): void {
    this.lineNumber++;
    this.#lineStart = start;
    this.scanner.line(bytes, start, end);
  }

  /** A block of `size` bytes now lies at this address. `align` in bytes, for OP_ALIGNED. */
  allocate(op: AllocateOp, tid: number, hi: number, lo: number, size: number, align: number): Outcome {
    if (!this.#usable(hi, lo, size)) return 'problem';
    const thread = this.#thread(tid);
    this.#vacate(thread, hi, lo);
    let id: number;
    if (op === OP_MALLOC) id = this.builder.malloc(thread, size);
    else if (op === OP_CALLOC) id = this.builder.calloc(thread, size);
    else id = this.builder.aligned(thread, this.#align(align), size);
    this.#live.set(hi, lo, id);
    return 'taken';
  }

  /**
   * The block at the old address now lies at the new one and has `size` bytes. Old 0 allocates; new 0 for
   * size 0 frees.
   */
  reallocate(tid: number, oldHi: number, oldLo: number, hi: number, lo: number, size: number): Outcome {
    if (size === 0 && hi === 0 && lo === 0) {
      return this.free(tid, oldHi, oldLo);
    }
    if (!this.#usable(hi, lo, size)) {
      // The block has moved to where no trace can follow; where it was, another may come.
      if (hi !== 0 || lo !== 0) this.free(tid, oldHi, oldLo);
      return 'problem';
    }
    const thread = this.#thread(tid);
    const oldId = this.#live.delete(oldHi, oldLo);
    if (oldId === 0 && (oldHi !== 0 || oldLo !== 0)) {
      this.problem('unknown-block', `reallocates ${this.#name(oldHi, oldLo)}, which is not live`);
    }
    this.#vacate(thread, hi, lo);
    this.#live.set(hi, lo, this.builder.realloc(thread, oldId, size));
    return 'taken';
  }

  /** The block at this address is gone. Address 0 is NULL. */
  free(tid: number, hi: number, lo: number): Outcome {
    if (hi === 0 && lo === 0) {
      this.builder.free(this.#thread(tid), 0);
      return 'taken';
    }
    const id = this.#live.delete(hi, lo);
    if (id === 0) return this.problem('unknown-block', `frees ${this.#name(hi, lo)}, which is not live`);
    this.builder.free(this.#thread(tid), id);
    return 'taken';
  }

  /** This thread has ended. The same id may come back as another thread. */
  exit(tid: number): Outcome {
    this.builder.exit(this.#thread(tid));
    this.#threads.delete(tid);
    return 'taken';
  }

  /** Whether this address holds a live block. */
  isLive(hi: number, lo: number): boolean {
    return this.#live.get(hi, lo) !== 0;
  }

  /** The line at hand is no line of this format. */
  malformed(expected: string): Outcome {
    if (!this.problems.keeps) return this.problem('malformed', '');
    const { bytes, end } = this.scanner;
    const cut = end - this.#lineStart > QUOTE_BYTES;
    const text = ascii(bytes, this.#lineStart, cut ? this.#lineStart + QUOTE_BYTES : end);
    return this.problem('malformed', `expected ${expected}, got ${JSON.stringify(text)}${cut ? ' …' : ''}`);
  }

  /** Something is wrong with the line at hand. */
  problem(reason: ProblemReason, detail: string): Outcome {
    this.problems.add(this.lineNumber, reason, detail);
    return 'problem';
  }

  /** Demands that the program got memory, and of a size that a trace can hold. */
  #usable(hi: number, lo: number, size: number): boolean {
    if (hi === 0 && lo === 0) {
      this.problem('failed', `the program got no memory for ${size} bytes`);
      return false;
    }
    if (size > MAX_SIZE) {
      this.problem('too-large', `a block of ${size} bytes; a trace holds up to ${MAX_SIZE}`);
      return false;
    }
    return true;
  }

  /** Makes sure that no live block has this key. */
  #vacate(thread: number, hi: number, lo: number): void {
    const id = this.#live.delete(hi, lo);
    if (id === 0) return;
    this.problem('in-use', `allocates ${this.#name(hi, lo)}, where block ${id} is live`);
    if (this.#keysAreAddresses) this.builder.free(thread, id);
  }

  #align(align: number): number {
    if (align >>> 0 === align && align !== 0 && (align & (align - 1)) === 0) return align;
    this.problem('bad-align', `an alignment of ${align} bytes`);
    return 1;
  }

  #thread(tid: number): number {
    let thread = this.#threads.get(tid);
    if (thread === undefined) {
      thread = this.builder.threads;
      this.#threads.set(tid, thread);
    }
    return thread;
  }

  /** How a block's key reads in a message. */
  #name(hi: number, lo: number): string {
    if (!this.#keysAreAddresses) return `id ${lo}`;
    return hi === 0 ? `0x${lo.toString(16)}` : `0x${hi.toString(16)}${lo.toString(16).padStart(8, '0')}`;
  }
}
