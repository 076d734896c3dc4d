/**
 * What the threads of an experiment can be told to do. All of them run the same few programs, whatever the
 * step.
 */

import { CheckedAllocator, Oracle, type OracleHandle } from '@shmalloc/alloc-test/oracle';
import type { Board } from './board.ts';
import { Client } from './client.ts';
import type { Allocator } from './step.ts';

/** Where an order is carried out. */
export interface Place {
  readonly allocator: Allocator;
  readonly board: Board;
  readonly thread: number;
}

/** Replaces blocks at random until it is stopped: the workload that is measured, and that is killed. */
export interface Churn {
  readonly what: 'churn';
  readonly seed: number;
  /** Blocks that are held, at most 1024. */
  readonly slots: number;
  /** One allocation in so many is large enough for segments of its own; 0 none. */
  readonly hugeEvery: number;
}

/** What came of it. */
export interface Churned {
  /** Pairs of malloc and free. */
  readonly pairs: number;
  readonly seconds: number;
  /** How often another thread was inside. */
  readonly refused: number;
  /** Requests that were answered with 0. */
  readonly failures: number;
}

/** Allocates and frees under the oracle, until so many pairs are done or it is stopped. */
export interface Watch {
  readonly what: 'watch';
  readonly seed: number;
  readonly pairs: number;
  /** Whether an allocation that is refused is tried again. */
  readonly patient: boolean;
  readonly oracle: OracleHandle;
}

/** What came of it. */
export interface Watched {
  readonly pairs: number;
  readonly refused: number;
  readonly firstRefusal: string;
  readonly givenUp: number;
  /** What the allocator threw, if it did: then this thread has stopped. */
  readonly thrown: string;
}

/** Allocates blocks of one size and lists them, until it has so many bytes or gets no more. */
export interface Fill {
  readonly what: 'fill';
  readonly size: number;
  readonly bytes: number;
}

/** Frees all that is listed. */
export interface Empty {
  readonly what: 'empty';
}

/** Takes what it can get, in blocks of this size, and gives it back. */
export interface Hog {
  readonly what: 'hog';
  readonly size: number;
}

/** Ends as the step would have it. */
export interface Leave {
  readonly what: 'leave';
}

/** Anything that a thread can be told. */
export type Order = Churn | Watch | Fill | Empty | Hog | Leave;

/** What each order brings back. */
export interface Answers {
  churn: Churned;
  watch: Watched;
  /** Bytes. */
  fill: number;
  /** Blocks. */
  empty: number;
  /** Bytes. */
  hog: number;
  leave: number;
}

/** Does what it is told. */
export function obey(place: Place, order: Order): Answers[keyof Answers] {
  switch (order.what) {
    case 'churn':
      return churn(place, order);
    case 'watch':
      return watch(place, order);
    case 'fill':
      return fill(place, order);
    case 'empty':
      return empty(place);
    case 'hog':
      return hog(place, order);
    case 'leave':
      place.allocator.leave();
      return 0;
  }
}

/** The RNG of the programs: Marsaglia's xorshift, 32 bits. */
function nextRandom(state: number): number {
  let x = state;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  return x;
}

/** Pairs between two looks at the board. */
const STRIDE = 64;
/** One block in so many goes to whatever thread takes it, and is freed there. */
const LETTER_EVERY = 8;
/** Bytes: the smallest, and a mask over what is added to it. */
const SMALLEST = 16;
const SPREAD = 511;
/** Bytes of a block with segments of its own, where segments are small. */
const HUGE = 100_000;

function churn({ allocator, board, thread }: Place, { seed, slots, hugeEvery }: Churn): Churned {
  const client = new Client(allocator, true);
  const held = board.slotsOf(thread);
  const { letters } = board;
  let random = nextRandom(seed * 2 + 1);
  let pairs = 0;
  let failures = 0;
  board.waitForGo();
  const begin = performance.now();
  while (!board.stopped) {
    for (let turn = 0; turn < STRIDE; turn++) {
      random = nextRandom(random);
      const slot = (random >>> 8) % slots;
      let old = held[slot];
      // Out of the books before it goes: one that is killed in between loses this block, and no thread frees
      // it twice.
      held[slot] = 0;
      if (old !== 0 && turn % LETTER_EVERY === 0)
        old = Atomics.exchange(letters, (random >>> 20) % letters.length, old) >>> 0;
      if (old !== 0) client.free(old);
      const isHuge = hugeEvery !== 0 && (random >>> 4) % hugeEvery === 0;
      const block = client.malloc(isHuge ? HUGE : SMALLEST + (random & SPREAD));
      if (block === 0) failures++;
      held[slot] = block;
    }
    pairs += STRIDE;
    board.tell(thread, pairs);
  }
  return { pairs, seconds: (performance.now() - begin) / 1000, refused: client.refused, failures };
}

/** Blocks that a watched thread holds. */
const WATCHED_SLOTS = 64;

function watch({ allocator, board, thread }: Place, order: Watch): Watched {
  const client = new Client(allocator, order.patient);
  const oracle = Oracle.attach(order.oracle);
  const checked = new CheckedAllocator(client, oracle, thread);
  // Wrong frees are what the experiment is about; they need not be printed.
  allocator.heap.registerError(() => {});
  const held = new Uint32Array(WATCHED_SLOTS);
  const sizes = new Uint32Array(WATCHED_SLOTS);
  let random = nextRandom(order.seed * 2 + 1);
  let pairs = 0;
  let thrown = '';
  board.waitForGo();
  try {
    for (; pairs < order.pairs && !board.stopped; pairs++) {
      random = nextRandom(random);
      const slot = (random >>> 8) % WATCHED_SLOTS;
      if (held[slot] !== 0) checked.free(held[slot], sizes[slot]);
      sizes[slot] = SMALLEST + (random & SPREAD);
      held[slot] = checked.malloc(sizes[slot]);
      board.tell(thread, pairs);
    }
    held.forEach((block, slot) => {
      if (block !== 0) checked.free(block, sizes[slot]);
    });
  } catch (error) {
    thrown = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  const { refused, firstRefusal, givenUp } = client;
  return { pairs, refused, firstRefusal, givenUp, thrown };
}

function fill({ allocator, board }: Place, { size, bytes }: Fill): number {
  let filled = 0;
  while (filled < bytes) {
    const block = allocator.malloc(size);
    if (block === 0 || !board.add(block)) break;
    filled += size;
  }
  return filled;
}

function empty({ allocator, board }: Place): number {
  const blocks = board.takeListed();
  for (const block of blocks) allocator.free(block);
  return blocks.length;
}

function hog({ allocator }: Place, { size }: Hog): number {
  const blocks: number[] = [];
  for (let block = allocator.malloc(size); block !== 0; block = allocator.malloc(size)) blocks.push(block);
  for (const block of blocks) allocator.free(block);
  return blocks.length * size;
}
