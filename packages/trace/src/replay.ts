/**
 * Runs one CPU's stream of a plan on an allocator, in the calling thread. Every CPU of the plan runs in a thread of its own, at
 * the same time; who makes these threads is the caller's business.
 */

import type { Oracle } from '@shmalloc/alloc-test/oracle';
import { AllocError, checkInteger, NULL } from '@shmalloc/allocator-api';
import { BareHeap, CheckedHeap, type ReplayAllocator, type ReplayHeap } from './heap.ts';
import { OP_ALIGNED, OP_CALLOC, OP_EXIT, OP_FREE, OP_MALLOC } from './normal-form.ts';
import {
  CONTROL_FINISHED,
  CONTROL_STARTED,
  HEAD_ALIGN_SHIFT,
  HEAD_OP_MASK,
  HEAD_PUBLISH,
  HEAD_WAIT,
  liveSlot,
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
import { arrive, publish, ReplayError, raiseAbort, waitFor } from './wait.ts';

/**
 * How to replay.
 * @public
 */
export interface ReplayOptions {
  /** Checks every block. It costs several times the replay itself. */
  readonly oracle?: Oracle | undefined;
  /** Without an oracle: whether the first and the last word of every block are written. Default true. */
  readonly touch?: boolean | undefined;
  /** Bytes that the heap has touched so far. Given to one CPU, that one takes samples. */
  readonly footprint?: (() => number) | undefined;
  /** Operations of this CPU between two samples. Default: so many that there are 512 samples. */
  readonly sampleEvery?: number | undefined;
  /** Milliseconds. Default `performance.now`. */
  readonly clock?: (() => number) | undefined;
  /** Whether to free, once all CPUs have ended and off the clock, what the trace leaks. The heap is then empty. Default false. */
  readonly freeLeaks?: boolean | undefined;
}

/**
 * The heap at one moment.
 * @public
 */
export interface ReplaySample {
  /** How many operations of its stream the sampling CPU had done. */
  readonly operation: number;
  /** Bytes asked for and not freed, over all CPUs; while others run, as of a moment ago. */
  readonly liveBytes: number;
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
  readonly samples: readonly ReplaySample[];
  /** What the oracle had found, on any CPU, when this one ended. 0 without an oracle. */
  readonly violations: number;
}

/** In the block table: the block's allocation failed. No block can lie here. */
const FAILED = 0xffff_ffff;
const NOT_YET = 0;

const DEFAULT_SAMPLES = 512;
const SAMPLE_NUMBERS = 3;

/**
 * Replays one CPU's stream. Blocks until all CPUs of the plan have begun, and wherever a block must come from another.
 *
 * The loop makes no garbage. It is quickest in a thread that replays on one class of allocator only, since the engine then knows
 * what it calls.
 * @param plan - the plan that all CPUs share, fresh or reset
 * @param cpu - 0 … cpus − 1
 * @param allocator - attached in this thread
 * @param options - what to check and to measure
 * @throws what the allocator throws, after which all other CPUs stop with ReplayError `aborted`; ReplayError `order`, `stale`; AllocError
 *   `InvalidParam` for a wrong CPU
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
  const { oracle, clock = () => performance.now(), freeLeaks = false } = options;
  try {
    const heap = oracle
      ? new CheckedHeap(allocator, oracle, cpu)
      : new BareHeap(allocator, options.touch ?? true);
    const sampler = new Sampler(plan, plan.streams[cpu], options);
    const run = new Run(plan, cpu, heap, sampler);
    arrive(plan.control, CONTROL_STARTED, plan.cpus);
    const begin = clock();
    run.stream();
    const seconds = (clock() - begin) / 1000;
    sampler.take(run.operations);
    if (freeLeaks) {
      arrive(plan.control, CONTROL_FINISHED, plan.cpus);
      run.freeLeaks();
    }
    return {
      cpu,
      operations: run.operations,
      seconds,
      failedAllocations: run.failed,
      skipped: run.skipped,
      samples: sampler.samples(),
      violations: oracle?.violationCount ?? 0,
    };
  } catch (error) {
    raiseAbort(plan.control, plan.cpus, cpu + 1);
    throw error;
  }
}

/**
 * Stops a replay from outside, for instance when a worker has died: every CPU that waits, now or later, throws.
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
  readonly #sampler: Sampler;
  readonly #stream: ReplayStream;
  /** The next pair in the stream's waits. */
  #waitAt = 0;
  /** What this CPU has allocated less what it has freed; below 0 when it frees what others allocate. */
  #live = 0;

  constructor(plan: ReplayPlan, cpu: number, heap: ReplayHeap, sampler: Sampler) {
    this.#plan = plan;
    this.#cpu = cpu;
    this.#heap = heap;
    this.#sampler = sampler;
    this.#stream = plan.streams[cpu];
    this.operations = this.#stream.operations;
  }

  stream(): void {
    const { control, live } = this.#plan;
    const { records } = this.#stream;
    const operations = this.operations;
    const sampler = this.#sampler;
    const sampleEvery = sampler.every;
    const progress = progressWord(this.#cpu);
    const slot = liveSlot(this.#cpu);
    let untilSample = sampleEvery;
    for (let index = 0, at = 0; index < operations; index++, at += RECORD_WORDS) {
      const head = records[at + RECORD_HEAD];
      if ((head & HEAD_WAIT) !== 0) this.#wait();
      const op = head & HEAD_OP_MASK;
      if (op === OP_FREE) this.#free(records[at + RECORD_ID], records[at + RECORD_SIZE]);
      else if (op !== OP_EXIT) this.#allocate(op, head >>> HEAD_ALIGN_SHIFT, records, at);
      live[slot] = this.#live;
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
    const { table, live } = this.#plan;
    for (let at = 0; at < leaks.length; at += 2) {
      const address = table[leaks[at]];
      if (address === FAILED) continue;
      this.#heap.free(address, leaks[at + 1]);
      this.#live -= leaks[at + 1];
    }
    live[liveSlot(this.#cpu)] = this.#live;
  }

  #allocate(op: number, alignLog2: number, records: Uint32Array, at: number): void {
    const heap = this.#heap;
    const size = records[at + RECORD_SIZE];
    let address: number;
    if (op === OP_MALLOC) address = heap.malloc(size);
    else if (op === OP_CALLOC) address = heap.calloc(size);
    else if (op === OP_ALIGNED) address = heap.aligned(2 ** alignLog2, size);
    else address = this.#reallocate(records[at + RECORD_OLD_ID], records[at + RECORD_OLD_SIZE], size);
    if (address === NULL) {
      this.failed++;
      address = FAILED;
    } else if (address !== FAILED) this.#live += size;
    this.#plan.table[records[at + RECORD_ID]] = address;
  }

  /** NULL when the allocator could not, FAILED when there was no block to begin with. */
  #reallocate(oldId: number, oldSize: number, size: number): number {
    const old = oldId === 0 ? NULL : this.#addressOf(oldId);
    if (old === FAILED) {
      this.skipped++;
      return FAILED;
    }
    const address = this.#heap.realloc(old, oldSize, size);
    if (old !== NULL) {
      this.#live -= oldSize;
      if (address === NULL) this.#heap.free(old, oldSize);
    }
    return address;
  }

  #free(id: number, size: number): void {
    const address = id === 0 ? NULL : this.#addressOf(id);
    if (address === FAILED) {
      this.skipped++;
      return;
    }
    this.#heap.free(address, size);
    this.#live -= size;
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

/** Takes samples into one array made beforehand. */
class Sampler {
  /** Operations between two samples; 0 for none. */
  readonly every: number;
  readonly #plan: ReplayPlan;
  readonly #footprint: (() => number) | undefined;
  readonly #numbers: Float64Array;
  #length = 0;

  constructor(plan: ReplayPlan, stream: ReplayStream, options: ReplayOptions) {
    const { footprint, sampleEvery } = options;
    const fallback = Math.max(1, Math.ceil(stream.operations / DEFAULT_SAMPLES));
    this.#plan = plan;
    this.#footprint = footprint;
    const every = checkInteger('sampleEvery', sampleEvery ?? fallback);
    this.every = footprint === undefined ? 0 : every;
    // One more for the end of the stream.
    const most = this.every === 0 ? 1 : Math.floor(stream.operations / this.every) + 1;
    this.#numbers = new Float64Array(most * SAMPLE_NUMBERS);
  }

  take(operation: number): void {
    if (this.#footprint === undefined || this.#numbers[this.#length - SAMPLE_NUMBERS] === operation) return;
    let bytes = 0;
    for (let cpu = 0; cpu < this.#plan.cpus; cpu++) bytes += this.#plan.live[liveSlot(cpu)];
    this.#numbers[this.#length++] = operation;
    this.#numbers[this.#length++] = bytes;
    this.#numbers[this.#length++] = this.#footprint();
  }

  samples(): ReplaySample[] {
    const samples: ReplaySample[] = [];
    for (let at = 0; at < this.#length; at += SAMPLE_NUMBERS) {
      const [operation, liveBytes, footprintBytes] = this.#numbers.subarray(at, at + SAMPLE_NUMBERS);
      samples.push({ operation, liveBytes, footprintBytes });
    }
    return samples;
  }
}
