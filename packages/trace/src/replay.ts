/**
 * Runs one CPU's stream of a plan on an allocator, in the calling thread. Every CPU of the plan runs in a
 * thread of its own, at the same time; one that makes these threads is the caller's business.
 */

import type { Oracle } from '@shmalloc/alloc-test/oracle';
import { AllocError, checkInteger, NULL } from '@shmalloc/allocator-api';
import { BareHeap, CheckedHeap, type ReplayAllocator, type ReplayHeap } from './heap.ts';
import { LiveBytes } from './live.ts';
import { OP_ALIGNED, OP_CALLOC, OP_EXIT, OP_FREE, OP_MALLOC } from './normal-form.ts';
import {
  CONTROL_FINISHED,
  CONTROL_STARTED,
  HEAD_ALIGN_SHIFT,
  HEAD_OP_MASK,
  HEAD_PUBLISH,
  HEAD_WAIT,
  progressWord,
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
import { Sampler } from './sampler.ts';
import { arrive, publish, ReplayError, raiseAbort, take, waitFor } from './wait.ts';

/**
 * How to replay.
 * @public
 */
export interface ReplayOptions {
  /** Checks every block. It costs several times the replay itself. */
  readonly oracle?: Oracle | undefined;
  /** Without an oracle: whether the first and the last word of every block are written. Default true. */
  readonly touch?: boolean | undefined;
  /**
   * Bytes that the heap has touched so far. Given to one CPU, that one takes samples. Called for each sample
   * and no more often.
   */
  readonly footprint?: (() => number) | undefined;
  /** The most samples to take, at equal distances. Default 512. */
  readonly maxSamples?: number | undefined;
  /** Operations of this CPU between two samples, instead of `maxSamples`. 0: only one, at the end. */
  readonly sampleEvery?: number | undefined;
  /**
   * Whether to count the bytes that are live over all CPUs, so that peaks are exact. It is done when every
   * CPU of the plan asks for it, and then costs an atomic addition an operation. On one CPU peaks are exact
   * without it. Default: whether `footprint` is given.
   */
  readonly countLive?: boolean | undefined;
  /**
   * Milliseconds, for `seconds` and for the samples' `time`. Default `performance.now`, whose origin is
   * another in every thread.
   */
  readonly clock?: (() => number) | undefined;
  /**
   * Whether to free, once all CPUs have ended and off the clock, what the trace leaks. The heap is then
   * empty. Default false.
   */
  readonly freeLeaks?: boolean | undefined;
}

/**
 * The heap at one moment.
 * @public
 */
export interface ReplaySample {
  /** How many operations of its stream the sampling CPU had done. */
  readonly operation: number;
  /** What `clock` said, in milliseconds. */
  readonly time: number;
  /**
   * Bytes asked for and not freed, over all CPUs; where they are not counted and others run, as of a moment
   * ago.
   */
  readonly liveBytes: number;
  /**
   * The most of them from the sample before until now, as seen after each operation of this CPU; where they
   * are not counted and there are other CPUs, the same as `liveBytes`.
   */
  readonly peakLiveBytes: number;
  /** What `footprint` said. */
  readonly footprintBytes: number;
}

/**
 * What came of one CPU's stream.
 * @public
 */
export interface ReplayResult {
  readonly cpu: number;
  /** Operations of the stream, skipped ones included. */
  readonly operations: number;
  /** From the moment when all CPUs were ready to the end of this stream. */
  readonly seconds: number;
  /** Allocations that the allocator could not make. When a reallocation fails, the old block is freed. */
  readonly failedAllocations: number;
  /** Operations left out because an earlier allocation of their block had failed. */
  readonly skipped: number;
  /**
   * The most bytes live over all CPUs, as asked for, right after an operation of this CPU; the largest of all
   * CPUs' is the peak of the replay. A reallocation counts once, when it is made. Undefined on several CPUs
   * that do not all count (`countLive`).
   */
  readonly peakLiveBytes: number | undefined;
  /** In the order of the stream; the last one is at its end. None without `footprint`. */
  readonly samples: readonly ReplaySample[];
  /** What the oracle had found, on any CPU, when this one ended. 0 without an oracle. */
  readonly violations: number;
}

/** In the block table: the block's allocation failed. No block can lie here. */
const FAILED = 0xffff_ffff;
const NOT_YET = 0;

/**
 * Replays one CPU's stream. Progress: blocks until all CPUs of the plan have begun, and wherever a block must
 * come from another; a CPU that never begins is waited for until {@link abortReplay}.
 *
 * The loop makes no garbage. It is quickest in a thread that replays on one class of allocator only, since
 * the engine then knows what it calls.
 * @param plan - the plan that all CPUs share, fresh or reset
 * @param cpu - 0 … cpus − 1, each in one thread
 * @param allocator - attached in this thread
 * @param options - what to check and to measure
 * @throws what the allocator throws, after which all other CPUs stop with ReplayError `aborted` where they
 *   next wait; ReplayError `order`, `stale`; TypeError, RangeError or AllocError `InvalidParam` for a wrong
 *   CPU or option
 * @public
 */
export function replayOn(
  plan: ReplayPlan,
  cpu: number,
  allocator: ReplayAllocator,
  options: ReplayOptions = {},
): ReplayResult {
  if (checkInteger('cpu', cpu) >= plan.cpus) {
    throw new AllocError('InvalidParam', `cpu must be below the plan's ${plan.cpus} CPUs, got ${cpu}`);
  }
  const { oracle, touch = true, footprint, clock = () => performance.now(), freeLeaks = false } = options;
  const { control, cpus } = plan;
  try {
    take(control, cpu);
    const heap = oracle ? new CheckedHeap(allocator, oracle, cpu) : new BareHeap(allocator, touch);
    const live = new LiveBytes(plan, cpu);
    const sampler = new Sampler(live, plan.streams[cpu].operations, options, clock);
    const run = new Run(plan, cpu, heap, live, sampler);
    if (options.countLive ?? footprint !== undefined) live.ask();
    arrive(control, CONTROL_STARTED, cpus);
    waitFor(control, CONTROL_STARTED, cpus);
    live.begin();
    const begin = clock();
    run.stream();
    const seconds = (clock() - begin) / 1000;
    sampler.take(run.operations);
    const peakLiveBytes = live.peak();
    // Also for those that free no leaks: others may wait to free theirs.
    arrive(control, CONTROL_FINISHED, cpus);
    if (freeLeaks) {
      waitFor(control, CONTROL_FINISHED, cpus);
      run.freeLeaks();
    }
    return {
      cpu,
      operations: run.operations,
      seconds,
      failedAllocations: run.failed,
      skipped: run.skipped,
      peakLiveBytes,
      samples: sampler.samples(),
      violations: oracle?.violationCount ?? 0,
    };
  } catch (error) {
    raiseAbort(control, cpus, cpu + 1);
    throw error;
  }
}

/**
 * Stops a replay from outside, for instance when a worker has died: every CPU that waits, now or later,
 * throws.
 * @public
 */
export function abortReplay(plan: ReplayPlan): void {
  raiseAbort(plan.control, plan.cpus, -1);
}

/** One CPU's way through its stream. */
class Run {
  readonly operations: number;
  failed = 0;
  skipped = 0;
  readonly #plan: ReplayPlan;
  readonly #cpu: number;
  readonly #heap: ReplayHeap;
  readonly #live: LiveBytes;
  readonly #sampler: Sampler;
  readonly #stream: ReplayStream;
  /** The next pair in the stream's waits. */
  #waitAt = 0;

  constructor(plan: ReplayPlan, cpu: number, heap: ReplayHeap, live: LiveBytes, sampler: Sampler) {
    this.#plan = plan;
    this.#cpu = cpu;
    this.#heap = heap;
    this.#live = live;
    this.#sampler = sampler;
    this.#stream = plan.streams[cpu];
    this.operations = this.#stream.operations;
  }

  stream(): void {
    const { control } = this.#plan;
    const { records } = this.#stream;
    const operations = this.operations;
    const sampler = this.#sampler;
    const sampleEvery = sampler.every;
    const progress = progressWord(this.#cpu);
    let untilSample = sampleEvery;
    for (let index = 0, at = 0; index < operations; index++, at += RECORD_WORDS) {
      const head = records[at + RECORD_HEAD];
      if ((head & HEAD_WAIT) !== 0) this.#wait();
      const op = head & HEAD_OP_MASK;
      if (op === OP_FREE) this.#free(records[at + RECORD_ID], records[at + RECORD_SIZE]);
      else if (op !== OP_EXIT) this.#allocate(op, head >>> HEAD_ALIGN_SHIFT, records, at);
      // The store comes after the block's address is in the table and before any waiter looks there.
      if ((head & HEAD_PUBLISH) !== 0) publish(control, progress, index + 1);
      if (--untilSample === 0) {
        untilSample = sampleEvery;
        sampler.take(index + 1);
      }
    }
  }

  freeLeaks(): void {
    const { leaks } = this.#stream;
    const { table } = this.#plan;
    for (let at = 0; at < leaks.length; at += 2) {
      const address = table[leaks[at]];
      if (address !== FAILED) this.#release(address, leaks[at + 1]);
    }
  }

  #allocate(op: number, alignLog2: number, records: Uint32Array, at: number): void {
    const heap = this.#heap;
    const size = records[at + RECORD_SIZE];
    const oldSize = records[at + RECORD_OLD_SIZE]; // 0 but for a reallocation
    let address: number;
    if (op === OP_MALLOC) address = heap.malloc(size);
    else if (op === OP_CALLOC) address = heap.calloc(size);
    else if (op === OP_ALIGNED) address = heap.aligned(2 ** alignLog2, size);
    else address = this.#reallocate(records[at + RECORD_OLD_ID], oldSize, size);
    if (address === NULL) {
      this.failed++;
      address = FAILED;
    } else if (address !== FAILED) this.#live.change(size - oldSize);
    this.#plan.table[records[at + RECORD_ID]] = address;
  }

  /**
   * NULL when the allocator could not, and then the old block is freed; FAILED when there was no block to
   * begin with.
   */
  #reallocate(oldId: number, oldSize: number, size: number): number {
    const old = oldId === 0 ? NULL : this.#addressOf(oldId);
    if (old === FAILED) {
      this.skipped++;
      return FAILED;
    }
    const address = this.#heap.realloc(old, oldSize, size);
    if (address === NULL && old !== NULL) this.#release(old, oldSize);
    return address;
  }

  #free(id: number, size: number): void {
    const address = id === 0 ? NULL : this.#addressOf(id);
    if (address === FAILED) this.skipped++;
    else this.#release(address, size);
  }

  #release(address: number, size: number): void {
    this.#live.change(-size);
    this.#heap.free(address, size);
  }

  #addressOf(id: number): number {
    const address = this.#plan.table[id];
    if (address === NOT_YET) {
      throw new ReplayError(
        'order',
        `CPU ${this.#cpu}: block ${id} is to be freed, but has not been allocated yet`,
      );
    }
    return address;
  }

  /** Waits for every sync point of the record at hand. */
  #wait(): void {
    const { waits } = this.#stream;
    for (let more = true; more; this.#waitAt += 2) {
      const word = waits[this.#waitAt];
      more = word >= WAIT_MORE;
      waitFor(this.#plan.control, progressWord(more ? word - WAIT_MORE : word), waits[this.#waitAt + 1]);
    }
  }
}
