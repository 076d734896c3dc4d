/**
 * What a worker does with the heap that it shares with others. Free of threads themselves: a job is a
 * function of its arguments.
 */

import type { Handle } from '@shmalloc/allocator-api';
import type { CheckedAllocator } from '../oracle/checked-allocator.ts';
import type { OracleHandle } from '../oracle/oracle.ts';
import { expectBlock } from './bench.ts';
import { ArceosRandom } from './random.ts';

/** What every job is posted. Structured-cloneable. */
interface JobBase {
  /** Where the algorithm's class comes from, and its name there. */
  readonly module: string;
  readonly exportName: string;
  readonly handle: Handle;
  /** What `attach` has to be told of the lock. */
  readonly lock: 'outside' | undefined;
  readonly oracle: OracleHandle;
  /** This worker's number. */
  readonly thread: number;
  readonly barrier: SharedArrayBuffer;
  /** How many workers meet at the barrier. */
  readonly parties: number;
  /** Blocks that pass from worker to worker. */
  readonly table: SharedArrayBuffer;
}

/** Random operations on the blocks of a table that all workers share. */
export interface RandomJob extends JobBase {
  readonly kind: 'random';
  readonly operations: number;
  readonly seed: number;
  /** A word; while it is 0, work goes on and is not counted. */
  readonly hold?: SharedArrayBuffer | undefined;
  /** Whether a block in so many is large: for memory that grows. */
  readonly large?: boolean | undefined;
}

/** One thread of multi_thread_test: of the first ten, or of those that come after them. */
export interface MultiThreadJob extends JobBase {
  readonly kind: 'multi-thread';
  readonly phase: 'first' | 'second';
  readonly threads: number;
  readonly rounds: number;
  readonly slots: number;
  readonly column: number;
}

/** What a worker can be told to do. */
export type Job = RandomJob | MultiThreadJob;

/** Where all workers wait for each other: `words[0]` counts arrivals, `words[1]` rounds. */
export class Barrier {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #parties: number;

  constructor(buffer: SharedArrayBuffer, parties: number) {
    this.#words = new Int32Array(buffer);
    this.#parties = parties;
  }

  /** Blocks until all parties are here. A party that never comes is the watchdog's business. */
  wait(): void {
    const round = Atomics.load(this.#words, 1);
    if (Atomics.add(this.#words, 0, 1) + 1 === this.#parties) {
      Atomics.store(this.#words, 0, 0);
      Atomics.add(this.#words, 1, 1);
      Atomics.notify(this.#words, 1);
      return;
    }
    while (Atomics.load(this.#words, 1) === round) Atomics.wait(this.#words, 1, round, 1000);
  }
}

/**
 * In a slot's first word. One that takes a slot from `EMPTY` or `FULL` to `BUSY` owns it until it writes one
 * of the two again.
 */
const EMPTY = 0;
const FULL = 1;
const BUSY = 2;

/** Slots through which blocks pass between threads: state, address, size. */
export class SlotTable {
  readonly #words: Uint32Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Uint32Array(buffer);
  }

  static bytesFor(slots: number): number {
    return slots * 12;
  }

  get length(): number {
    return this.#words.length / 3;
  }

  /** Takes the block out of a slot; undefined when there is none, or another thread is at it. */
  take(slot: number): { address: number; size: number } | undefined {
    const at = slot * 3;
    if (Atomics.compareExchange(this.#words, at, FULL, BUSY) !== FULL) return undefined;
    const block = { address: this.#words[at + 1], size: this.#words[at + 2] };
    Atomics.store(this.#words, at, EMPTY);
    return block;
  }

  /** Puts a block into a slot; false when it is not empty. */
  put(slot: number, address: number, size: number): boolean {
    const at = slot * 3;
    if (Atomics.compareExchange(this.#words, at, EMPTY, BUSY) !== EMPTY) return false;
    this.#words[at + 1] = address;
    this.#words[at + 2] = size;
    Atomics.store(this.#words, at, FULL);
    return true;
  }
}

/** Does a job. Returns how many operations it did. */
export function work(checked: CheckedAllocator, job: Job): number {
  return job.kind === 'random' ? randomWork(checked, job) : multiThreadWork(checked, job);
}

/** Small blocks mostly; now and then some KiB; or, seldom, some hundreds of KiB. */
function randomSize(random: ArceosRandom, large: boolean): number {
  if (large && random.below(1024) === 0) return 65_536 + random.below(300_000);
  const kind = random.below(64);
  return kind === 0 ? random.below(8192) : kind < 8 ? random.below(600) : random.below(120);
}

/**
 * Takes whatever lies in a random slot, by any thread it was allocated, frees it or reallocates it and passes
 * it on; fills the slot when it was empty.
 */
function randomWork(checked: CheckedAllocator, job: RandomJob): number {
  const random = new ArceosRandom(job.seed + job.thread * 7919);
  const table = new SlotTable(job.table);
  const pass = (slot: number, address: number, size: number): void => {
    if (address !== 0 && !table.put(slot, address, size)) checked.free(address, size);
  };
  const hold = job.hold === undefined ? undefined : new Int32Array(job.hold);
  new Barrier(job.barrier, job.parties).wait();
  for (let done = 0; done < job.operations; ) {
    if (hold === undefined || Atomics.load(hold, 0) !== 0) done++;
    const slot = random.below(table.length);
    const size = randomSize(random, job.large ?? false);
    const block = table.take(slot);
    const choice = random.below(16);
    if (block === undefined) {
      if (choice === 0) pass(slot, checked.calloc(1, size), size);
      else if (choice === 1) pass(slot, checked.alignedAlloc(64, size), size);
      else pass(slot, checked.malloc(size), size);
    } else if (choice === 0) {
      const moved = checked.realloc(block.address, block.size, 8, size);
      if (moved !== 0) pass(slot, moved, size);
      else pass(slot, block.address, block.size);
    } else checked.free(block.address, block.size);
  }
  return job.operations;
}

/**
 * multi_thread_test. In each round the first threads allocate slots j · threads + t and free their own j ≥
 * slots / 2; then other threads allocate slots / 2 each and free all j · threads + t, what the first left
 * among them.
 */
function multiThreadWork(checked: CheckedAllocator, job: MultiThreadJob): number {
  const { threads, rounds, slots, column } = job;
  const random = new ArceosRandom(2332 + job.thread);
  const barrier = new Barrier(job.barrier, job.parties);
  const table = new SlotTable(job.table);
  let operations = 0;
  const allocate = (row: number): void => {
    const size = 2 * 2 ** (random.next() % 12);
    table.put(row * threads + column, expectBlock(checked.malloc(size), `malloc(${size})`), size);
    operations++;
  };
  const release = (row: number): void => {
    const block = table.take(row * threads + column);
    if (block === undefined) throw new Error(`slot ${row * threads + column} is empty`);
    checked.free(block.address, block.size);
    operations++;
  };
  const half = Math.floor(slots / 2);
  for (let round = 0; round < rounds; round++) {
    if (job.phase === 'first') {
      for (let row = 0; row < slots; row++) allocate(row);
      for (let row = half; row < slots; row++) release(row);
    }
    barrier.wait();
    if (job.phase === 'second') {
      for (let row = half; row < slots; row++) allocate(row);
      for (let row = 0; row < slots; row++) release(row);
    }
    barrier.wait();
  }
  return operations;
}
