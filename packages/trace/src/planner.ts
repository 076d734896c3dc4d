/**
 * Makes plans: one pass over a trace, in the recorded order, that deals its operations out to the CPUs'
 * streams.
 *
 * **The order across CPUs.** An operation that ends a block (free, realloc) must come after the one that
 * began it. On one CPU the stream sees to that. Across CPUs the first waits until the CPU of the second has
 * done it. A CPU that has waited for a later sync point of another needs no wait for an earlier one, so most
 * of these waits vanish, and only operations that another thread waits for are published.
 *
 * **No deadlock.** Every wait is of an operation for one that lies before it in the recorded order, and every
 * stream is in that order. Suppose that no thread can go on. Of all operations not done, take the first in
 * the recorded order. Everything before it in its stream is done, so it is its CPU's turn; what it waits for
 * lies before it in the recorded order, so that is done too. So it can run: a contradiction. The waits of
 * `window` also point backwards only.
 *
 * **Drift.** Nothing else is kept in step: a CPU may run far ahead of the others, and blocks that were never
 * live together in the recording are then live together in the replay. `window` bounds that: no operation
 * runs more than two windows ahead.
 */

import { checkInteger } from '@shmalloc/allocator-api';
import { foldThreads } from './fold.ts';
import { OP_ALIGNED, OP_EXIT, OP_FREE, OP_REALLOC, type Trace } from './normal-form.ts';
import {
  freshState,
  HEAD_ALIGN_SHIFT,
  HEAD_PUBLISH,
  HEAD_WAIT,
  RECORD_HEAD,
  RECORD_ID,
  RECORD_OLD_ID,
  RECORD_OLD_SIZE,
  RECORD_SIZE,
  RECORD_WORDS,
  type ReplayPlan,
  type ReplayStream,
  WAIT_MORE,
} from './plan.ts';

/**
 * How to plan.
 * @public
 */
export interface PlanOptions {
  /**
   * How far CPUs may drift apart: no operation runs more than two windows of this many recorded operations
   * ahead. 0, the default: no limit.
   */
  readonly window?: number | undefined;
}

/**
 * Makes a trace ready for replay. Cost: some 0.1 µs an operation; 20 bytes of shared memory an operation, and
 * 13 a block meanwhile.
 * @param trace - in normal form
 * @param cpus - 1 … 1024; threads are folded onto them as {@link foldThreads} says
 * @param options - the bound on drift
 * @returns the plan, fresh
 * @throws TypeError, RangeError or AllocError `InvalidParam` for a wrong number of CPUs or a wrong window
 * @public
 */
export function planReplay(trace: Trace, cpus: number, options: PlanOptions = {}): ReplayPlan {
  const cpuOf = foldThreads(trace, cpus);
  const window = checkInteger('window', options.window ?? 0);
  const drafts = new Drafts(trace, cpus, cpuOf);
  drafts.fill(window);
  return {
    cpus,
    operations: trace.operations,
    blocks: trace.blocks,
    syncPoints: drafts.syncPoints,
    cpuOf: sharedU32(cpuOf),
    streams: drafts.streams(),
    ...freshState(cpus, trace.blocks),
  };
}

/** The streams while they are written. */
class Drafts {
  syncPoints = 0;
  readonly #trace: Trace;
  readonly #cpus: number;
  readonly #cpuOf: Uint32Array;
  readonly #records: Uint32Array[];
  readonly #waits: number[][];
  /** Operations written so far, by CPU. */
  readonly #count: Uint32Array;
  /** `#seen[b * cpus + a]`: the latest sync point of `a` that `b` has waited for. */
  readonly #seen: Uint32Array;
  /**
   * By block: which CPU begins it, its place in that stream from 1, its size, and whether anybody ends it.
   */
  readonly #cpuOfBlock: Uint32Array;
  readonly #pointOfBlock: Uint32Array;
  readonly #sizeOfBlock: Uint32Array;
  readonly #ended: Uint8Array;

  constructor(trace: Trace, cpus: number, cpuOf: Uint32Array) {
    this.#trace = trace;
    this.#cpus = cpus;
    this.#cpuOf = cpuOf;
    const lengths = new Uint32Array(cpus);
    for (let index = 0; index < trace.operations; index++) lengths[cpuOf[trace.thread[index]]]++;
    this.#records = Array.from(
      lengths,
      (length) => new Uint32Array(new SharedArrayBuffer(4 * RECORD_WORDS * length)),
    );
    this.#waits = Array.from({ length: cpus }, () => []);
    this.#count = new Uint32Array(cpus);
    this.#seen = new Uint32Array(cpus * cpus);
    this.#cpuOfBlock = new Uint32Array(trace.blocks + 1);
    this.#pointOfBlock = new Uint32Array(trace.blocks + 1);
    this.#sizeOfBlock = new Uint32Array(trace.blocks + 1);
    this.#ended = new Uint8Array(trace.blocks + 1);
  }

  /** One pass over the trace, in the recorded order. */
  fill(window: number): void {
    const { operations, op, thread, id, size, alignLog2, oldId } = this.#trace;
    const pace = window > 0 && this.#cpus > 1 ? new Pace(this.#cpus, window) : undefined;
    for (let index = 0; index < operations; index++) {
      const kind = op[index];
      const cpu = this.#cpuOf[thread[index]];
      const records = this.#records[cpu];
      const at = this.#count[cpu] * RECORD_WORDS;
      records[at + RECORD_HEAD] = kind;
      if (pace?.enters(cpu, index, this.#count)) {
        for (let other = 0; other < this.#cpus; other++) this.#wait(cpu, other, pace.behind[other]);
      }
      if (kind === OP_FREE) {
        this.#end(cpu, id[index]);
        records[at + RECORD_ID] = id[index];
        records[at + RECORD_SIZE] = this.#sizeOfBlock[id[index]];
      } else if (kind !== OP_EXIT) {
        if (kind === OP_REALLOC) {
          this.#end(cpu, oldId[index]);
          records[at + RECORD_OLD_ID] = oldId[index];
          records[at + RECORD_OLD_SIZE] = this.#sizeOfBlock[oldId[index]];
        } else if (kind === OP_ALIGNED) {
          records[at + RECORD_HEAD] |= alignLog2[index] << HEAD_ALIGN_SHIFT;
        }
        records[at + RECORD_ID] = id[index];
        records[at + RECORD_SIZE] = size[index];
        this.#begin(cpu, id[index], size[index]);
      }
      this.#count[cpu]++;
    }
  }

  streams(): ReplayStream[] {
    const leaks: number[][] = Array.from({ length: this.#cpus }, () => []);
    for (let id = 1; id < this.#ended.length; id++) {
      if (this.#ended[id] === 0) leaks[this.#cpuOfBlock[id]].push(id, this.#sizeOfBlock[id]);
    }
    return this.#records.map((records, cpu) => ({
      operations: this.#count[cpu],
      records,
      waits: sharedU32(this.#waits[cpu]),
      leaks: sharedU32(leaks[cpu]),
    }));
  }

  #begin(cpu: number, id: number, size: number): void {
    this.#cpuOfBlock[id] = cpu;
    this.#pointOfBlock[id] = this.#count[cpu] + 1;
    this.#sizeOfBlock[id] = size;
  }

  #end(cpu: number, id: number): void {
    if (id === 0) return;
    this.#ended[id] = 1;
    this.#wait(cpu, this.#cpuOfBlock[id], this.#pointOfBlock[id]);
  }

  /** The record at hand of `cpu` comes after the first `point` operations of `other`. */
  #wait(cpu: number, other: number, point: number): void {
    const seen = cpu * this.#cpus + other;
    if (cpu === other || this.#seen[seen] >= point) return;
    this.#seen[seen] = point;
    this.syncPoints++;
    this.#records[other][(point - 1) * RECORD_WORDS + RECORD_HEAD] |= HEAD_PUBLISH;
    const waits = this.#waits[cpu];
    const head = this.#count[cpu] * RECORD_WORDS + RECORD_HEAD;
    if ((this.#records[cpu][head] & HEAD_WAIT) !== 0) waits[waits.length - 2] += WAIT_MORE;
    this.#records[cpu][head] |= HEAD_WAIT;
    waits.push(other, point);
  }
}

/**
 * Keeps CPUs within two windows of each other: the first operation of a CPU in a window waits for the end of
 * the one before the last.
 */
class Pace {
  /** By CPU: how many operations it has in all windows up to the one before the last. */
  behind: Uint32Array;
  readonly #window: number;
  /** The same up to the last window. */
  #last: Uint32Array;
  #current = 0;
  readonly #entered: Uint32Array;

  constructor(cpus: number, window: number) {
    this.#window = window;
    this.behind = new Uint32Array(cpus);
    this.#last = new Uint32Array(cpus);
    this.#entered = new Uint32Array(cpus);
  }

  /** Whether this is the CPU's first operation in its window. `counts`: operations so far, by CPU. */
  enters(cpu: number, index: number, counts: Uint32Array): boolean {
    const window = Math.floor(index / this.#window);
    if (window !== this.#current) {
      this.#current = window;
      this.behind = this.#last;
      this.#last = counts.slice();
    }
    if (this.#entered[cpu] === window) return false;
    this.#entered[cpu] = window;
    return true;
  }
}

function sharedU32(values: ArrayLike<number>): Uint32Array {
  const shared = new Uint32Array(new SharedArrayBuffer(4 * values.length));
  shared.set(values);
  return shared;
}
