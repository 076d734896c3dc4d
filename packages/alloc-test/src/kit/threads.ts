/**
 * Real threads on one heap: multi_thread_test of ArceOS, random work with blocks that pass between workers,
 * and the proof that the same without a lock goes wrong (so that the checks are known to see it).
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { alignUp, type Heap, type HeapOptions } from '@shmalloc/allocator-api';
import type { Violation } from '../oracle/violation.ts';
import {
  type Bench,
  type Check,
  expect,
  expectEmpty,
  expectNoViolations,
  type WatchedHeap,
} from './bench.ts';
import { fill, freeAll } from './churn.ts';
import { type Outcome, runCrew } from './crew.ts';
import { type Job, type RandomJob, SlotTable } from './jobs.ts';
import type { HeldBlock } from './random.ts';

/** Slots of the table through which random blocks pass. */
const SLOTS = 1024;

/** The random blocks of all slots fit several times over. */
function randomHeap(bench: Bench, options: HeapOptions): Heap {
  return bench.create({ bytes: 8 * bench.heapBytes, ...options });
}

/** Seconds until a crew counts as hanging. */
const PATIENCE = { crew: 600 };

/** Seconds of processor time for a race, in which a worker may go round in circles. */
const RACE_SECONDS = 2.4;

/**
 * How often a heap grows under a crew, and the milliseconds in between; WebAssembly memory comes in 64 KiB.
 */
const GROWTH = { times: 6, pause: 2, unit: 65536 };

/** How often two workers without a lock get the chance to collide. */
const RACES = 30;

/** Every check with threads. */
export function threadChecks(bench: Bench): Check[] {
  const { threads, rounds, slots } = bench.amounts.threads;
  const each = lockOptions(bench);
  const operations = Math.ceil(bench.amounts.threadOperations / each.length);
  const checks: Check[] = [];
  for (const options of each) {
    const lock = options.lock === undefined ? '' : `, lock '${options.lock}'`;
    checks.push({
      title: `multi_thread_test: ${threads} threads × ${rounds} rounds × ${slots} slots${lock}`,
      run: (at) => multiThreadTest(at, options),
    });
    // A heap that grows shares the operations of one that does not: the checks take no longer.
    const part = Math.ceil(operations / (bench.grows ? 2 : 1));
    for (const workers of bench.workers) {
      const them = `${workers} worker${workers === 1 ? '' : 's'}`;
      checks.push({
        title: `${them}, ${part} operations, blocks freed by any of them${lock}`,
        run: (at) => randomCrew(at, options, workers, part),
      });
      for (const backing of bench.grows ? (['wasm', 'sab'] as const) : []) {
        const fewer = Math.ceil(part / 2);
        checks.push({
          title: `${them}, ${fewer} operations in ${backing} memory that grows while they are at work${lock}`,
          run: (at) => selfGrowingCrew(at, { ...options, backing }, workers, fewer),
        });
      }
    }
    if (bench.omit.bytes === undefined) {
      const workers = Math.max(...bench.workers);
      checks.push({
        title: `memory that is added while ${workers} workers are at work serves them${lock}`,
        run: (at) => growingCrew(at, options, workers, Math.ceil(operations / 8)),
      });
    }
  }
  if (bench.locks !== false) {
    checks.push({
      title: "with lock 'outside' and no guard two workers break the heap, and the oracle names it",
      run: async (at) => {
        const [found] = await raceWithoutLock(at);
        expect(found !== undefined, `${RACES} races of two workers without a lock went unnoticed`);
        at.log(found.message);
      },
    });
  }
  return checks;
}

/** `create`'s lock option for each lock; nothing for an algorithm that has none. */
function lockOptions({ locks }: Bench): HeapOptions[] {
  return locks === false ? [{}] : locks.map((lock): HeapOptions => ({ lock }));
}

/** What all jobs on one heap have in common. */
function jobsOn(
  bench: Bench,
  { heap, oracle }: WatchedHeap,
  parties: number,
  slots: number,
  lock?: 'outside',
): Omit<Job, 'kind' | 'thread'> {
  return {
    module: bench.subject.module,
    exportName: bench.subject.exportName,
    handle: heap.share(),
    lock,
    oracle: oracle.share(),
    barrier: new SharedArrayBuffer(8),
    parties,
    table: new SharedArrayBuffer(SlotTable.bytesFor(slots)),
  };
}

/** @throws Error with what a worker said, unless all are done */
function expectDone(outcomes: readonly Outcome[], seconds: number): number {
  const failed = outcomes.find(({ end }) => end === 'failed');
  if (failed?.end === 'failed') throw new Error(`a worker failed: ${failed.error}`);
  let operations = 0;
  for (const [thread, outcome] of outcomes.entries()) {
    if (outcome.end === 'done') operations += outcome.operations;
    else throw new Error(`worker ${thread} had not ended after ${seconds} s and was stopped`);
  }
  return operations;
}

/** Half of the threads allocate, the others free what those left. */
export async function multiThreadTest(bench: Bench, options: HeapOptions): Promise<void> {
  const watched = bench.watch(bench.create({ ...bench.bigOptions, ...options }));
  const before = watched.heap.usedBytes();
  const amounts = bench.amounts.threads;
  const shared = jobsOn(bench, watched, 2 * amounts.threads, amounts.threads * amounts.slots);
  const jobs = (['first', 'second'] as const).flatMap((phase, group) =>
    Array.from({ length: amounts.threads }, (_, column): Job => {
      const thread = group * amounts.threads + column;
      return { kind: 'multi-thread', ...shared, ...amounts, thread, phase, column };
    }),
  );
  const seconds = PATIENCE.crew * Math.max(1, amounts.rounds / 10);
  const outcomes = await runCrew(jobs, { seconds });
  expectNoViolations(watched.oracle);
  bench.log(`${expectDone(outcomes, seconds)} operations`);
  expectEmpty(watched, before);
}

/** What not every random work has. */
interface RandomMore {
  readonly hold?: SharedArrayBuffer;
  readonly large?: boolean;
  readonly lock?: 'outside';
  readonly slots?: number;
}

/** One job of random work for each worker. */
function randomJobs(
  bench: Bench,
  watched: WatchedHeap,
  workers: number,
  operations: number,
  seed: number,
  { hold, large, lock, slots = SLOTS }: RandomMore = {},
): RandomJob[] {
  const shared = jobsOn(bench, watched, workers, slots, lock);
  return Array.from({ length: workers }, (_, thread) => {
    return {
      kind: 'random',
      ...shared,
      thread,
      seed,
      operations: Math.ceil(operations / workers),
      hold,
      large,
    };
  });
}

/** Random work of several workers; what is left in the table at the end the main thread frees. */
export async function randomCrew(
  bench: Bench,
  options: HeapOptions,
  workers: number,
  operations: number,
  seconds: number = PATIENCE.crew,
): Promise<void> {
  bench.log(`seed ${bench.seed}`);
  const watched = bench.watch(randomHeap(bench, options));
  const before = watched.heap.usedBytes();
  const jobs = randomJobs(bench, watched, workers, operations, bench.seed);
  const outcomes = await runCrew(jobs, { seconds });
  expectNoViolations(watched.oracle);
  expectDone(outcomes, seconds);
  watched.heap.validate();
  freeAll(watched, blocksOf(jobs[0].table), before);
}

/** What the workers have left in a table; none of them is at work any more. */
function blocksOf(table: SharedArrayBuffer): HeldBlock[] {
  const slots = new SlotTable(table);
  return Array.from({ length: slots.length }, (_, slot) => slots.take(slot)).filter(
    (block) => block !== undefined,
  );
}

/**
 * A heap that is far too small for what the workers hold: all of them make it grow, and what one gets may lie
 * beyond what another has seen of the memory.
 */
export async function selfGrowingCrew(
  bench: Bench,
  options: HeapOptions,
  workers: number,
  operations: number,
): Promise<void> {
  bench.log(`seed ${bench.seed}`);
  const end = 64 * bench.heapBytes;
  const heap = bench.create({ bytes: bench.heapBytes, maxBytes: end, grow: true, ...options });
  const watched = bench.watch(heap, { end });
  const before = heap.usedBytes();
  const jobs = randomJobs(bench, watched, workers, operations, bench.seed, { large: true, slots: 4 * SLOTS });
  const outcomes = await runCrew(jobs, { seconds: PATIENCE.crew });
  expectNoViolations(watched.oracle);
  expectDone(outcomes, PATIENCE.crew);
  heap.memory.refresh();
  expect(heap.memory.byteLength > bench.heapBytes, 'the memory has not grown');
  bench.log(`${heap.memory.byteLength / bench.heapBytes} times the memory`);
  heap.validate();
  freeAll(watched, blocksOf(jobs[0].table), before);
}

/**
 * The main thread takes all memory there is; what the workers get, they get out of memory that is added after
 * they have attached.
 */
export async function growingCrew(
  bench: Bench,
  options: HeapOptions,
  workers: number,
  operations: number,
): Promise<void> {
  bench.log(`seed ${bench.seed}`);
  const part = alignUp(bench.heapBytes / 4, GROWTH.unit);
  const end = part * (1 + GROWTH.times);
  const heap = bench.create({ bytes: part, maxBytes: end, ...options });
  const watched = bench.watch(heap, { end });
  const before = heap.usedBytes();
  const held = fill(watched, 1000);
  const hold = new Int32Array(new SharedArrayBuffer(4));
  const jobs = randomJobs(bench, watched, workers, operations, bench.seed, { hold: hold.buffer });
  const crew = runCrew(jobs, { seconds: PATIENCE.crew });
  try {
    for (let times = 0; times < GROWTH.times; times++) {
      await sleep(GROWTH.pause);
      heap.addMemory(heap.memory.grow(part), part);
    }
  } finally {
    Atomics.store(hold, 0, 1);
  }
  const outcomes = await crew;
  expectNoViolations(watched.oracle);
  expectDone(outcomes, PATIENCE.crew);
  const left = blocksOf(jobs[0].table);
  expect(
    left.some(({ address }) => address >= part),
    'no worker got a block in memory that was added after it had attached',
  );
  freeAll(watched, [...held, ...left], before);
}

/**
 * Two workers on a heap that has no lock, and that nothing outside guards either, until the oracle sees a
 * violation. Everything is bounded: operations, time, and how often it is tried.
 * @returns what was found; empty when the workers were lucky every time
 */
export async function raceWithoutLock(bench: Bench): Promise<Violation[]> {
  for (let race = 0; race < RACES; race++) {
    const watched = bench.watch(randomHeap(bench, { lock: 'outside' }));
    const jobs = randomJobs(bench, watched, 2, 200_000, bench.seed + race, { lock: 'outside' });
    await runCrew(jobs, {
      seconds: PATIENCE.crew,
      workSeconds: RACE_SECONDS,
      untilViolation: watched.oracle,
    });
    // That the allocator threw is a sign of damage; what is sought is the damage.
    const found = watched.oracle.violations().filter(({ kind }) => kind !== 'threw');
    if (found.length > 0) return found;
  }
  return [];
}
