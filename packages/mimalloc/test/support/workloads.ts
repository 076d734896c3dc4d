/**
 * Programs that allocators are measured with, re-created from their published parameters: what one worker
 * does in each. Every block is stamped by the thread that allocates it, and verified by the one that frees
 * it.
 *
 * | program | one that frees what |
 * |---|---|
 * | larson | a thread ends, its successor inherits and replaces its blocks |
 * | xmalloc-test | some threads only allocate, others only free |
 * | mstress | blocks are exchanged through a buffer; threads end and are replaced |
 * | rptest | every second loop, blocks are handed to the others |
 * | mleak | threads leave blocks behind and end; others free them |
 * | sh6bench | each its own, last-in-first-out and in reverse |
 * | sh8bench | the same, and every group is freed by the neighbour |
 * | multi-thread | half is freed by the next generation of threads |
 */

import type { Block, Hand } from './crew.ts';
import { takeAt } from './harness.ts';

/** What a worker is told: the program, and its parameters. */
export type Job =
  | ({ readonly program: 'larson' } & Larson)
  | ({ readonly program: 'xmalloc-test' } & Xmalloc)
  | ({ readonly program: 'mstress' } & Mstress)
  | ({ readonly program: 'rptest' } & Rptest)
  | ({ readonly program: 'mleak' } & Mleak)
  | ({ readonly program: 'sh6bench' } & Sh)
  | ({ readonly program: 'sh8bench' } & Sh)
  | ({ readonly program: 'multi-thread' } & MultiThread);

/** Does the work. Returns how many blocks were allocated. */
export function work(hand: Hand): number {
  const job = hand.post.job as Job;
  switch (job.program) {
    case 'larson':
      return larson(hand, job);
    case 'xmalloc-test':
      return xmalloc(hand, job);
    case 'mstress':
      return mstress(hand, job);
    case 'rptest':
      return rptest(hand, job);
    case 'mleak':
      return mleak(hand, job);
    case 'sh6bench':
      return sh(hand, job, false);
    case 'sh8bench':
      return sh(hand, job, true);
    case 'multi-thread':
      return multiThread(hand, job);
  }
}

// ── larson ──

/** A server whose threads come and go: blocks of 8 … 1000 bytes, a random one replaced each time. */
export interface Larson {
  readonly blocks: number;
  readonly replacements: number;
}

function larson(hand: Hand, job: Larson): number {
  const { post, board, barrier, random } = hand;
  const size = (): number => 8 + random(993);
  // What another thread has left; in the first generation no thread has.
  const blocks = board.take((post.index + 1) % post.parties) ?? [];
  const inherited = blocks.length;
  barrier.wait();
  while (blocks.length < job.blocks) blocks.push(hand.malloc(size()));
  for (let done = 0; done < job.replacements; done++) {
    const victim = random(blocks.length);
    hand.free(blocks[victim]);
    blocks[victim] = hand.malloc(size());
  }
  demand(board.put(post.index, blocks), 'a parcel is not empty');
  return job.blocks - inherited + job.replacements;
}

// ── xmalloc-test ──

/** Producers and consumers, and batches that queue up between them. The board's parcels are the queue. */
export interface Xmalloc {
  readonly sizes: readonly number[];
  readonly batch: number;
  /** Batches of each producer. */
  readonly batches: number;
}

/** 8, 12, 16, 24, … 2048. */
export const XMALLOC_SIZES: readonly number[] = Array.from({ length: 17 }, (_, step) =>
  step % 2 === 0 ? 8 << (step / 2) : 12 << ((step - 1) / 2),
);

function xmalloc(hand: Hand, job: Xmalloc): number {
  const { post, board, random } = hand;
  // Half of the workers produce, the others consume; each consumer as many batches as a producer makes.
  const produces = post.index < post.parties / 2;
  let parcel = post.index;
  for (let done = 0; done < job.batches; done++) {
    const made = produces
      ? Array.from({ length: job.batch }, () => hand.malloc(job.sizes[random(job.sizes.length)]))
      : undefined;
    for (;;) {
      parcel = (parcel + 1) % board.parcels;
      if (made !== undefined) {
        if (board.put(parcel, made)) break;
      } else {
        const found = board.take(parcel);
        if (found === undefined) continue;
        hand.freeAll(found);
        break;
      }
    }
  }
  return produces ? job.batches * job.batch : 0;
}

// ── mstress ──

/**
 * Blocks of powers of two, a few very large; some are kept, some go through the transfer buffer, which is the
 * board.
 */
export interface Mstress {
  readonly allocations: number;
  /** Blocks that a thread keeps until it ends. */
  readonly retained: number;
}

/**
 * Bytes of 2^(0 … shift − 1) words; one in a hundred 100 times as large, one in a thousand 1000, one in ten
 * thousand 10,000 times.
 */
function mstressSize({ random }: Hand, shift: number): number {
  const words = 1 << random(shift);
  const lot = random(10_000);
  return 8 * words * (lot === 0 ? 10_000 : lot < 10 ? 1000 : lot < 100 ? 100 : 1);
}

function mstress(hand: Hand, job: Mstress): number {
  const { board, random } = hand;
  const retained: Block[] = [];
  const data: Block[] = [];
  for (let done = 0; done < job.allocations; done++) {
    if (retained.length < job.retained && random(2) === 0) retained.push(hand.malloc(mstressSize(hand, 10)));
    else data.push(hand.malloc(mstressSize(hand, 5)));
    if (random(100) < 66 && data.length > 0) hand.free(takeAt(data, random(data.length)));
    if (random(100) < 25 && data.length > 0) {
      const index = random(data.length);
      const found = board.swap(random(board.parcels), [data[index]]);
      if (found === undefined) continue;
      takeAt(data, index);
      data.push(...found);
    }
  }
  hand.freeAll(retained);
  hand.freeAll(data);
  return job.allocations;
}

// ── rptest ──

/** Live blocks of sizes that get rarer the larger they are; every second loop some change hands. */
export interface Rptest {
  readonly live: number;
  readonly loops: number;
  /** Blocks that are replaced in a loop. */
  readonly replaced: number;
}

/** 16 … 16,000 bytes: the density falls in a straight line to 0 at the end. */
function rptestSize({ random }: Hand): number {
  const fraction = random(2 ** 24) / 2 ** 24;
  return 16 + Math.floor(15_984 * (1 - Math.sqrt(1 - fraction)));
}

function rptest(hand: Hand, job: Rptest): number {
  const { post, board, random } = hand;
  const blocks: Block[] = [];
  let allocated = 0;
  const refill = (): void => {
    while (blocks.length < job.live) {
      blocks.push(hand.malloc(rptestSize(hand)));
      allocated++;
    }
  };
  const some = (): Block[] =>
    Array.from({ length: job.replaced }, () => takeAt(blocks, random(blocks.length)));
  refill();
  for (let loop = 0; loop < job.loops; loop++) {
    if (loop % 2 === 0) hand.freeAll(some());
    else {
      // The cross free: what the neighbour gets, and what others have left here.
      const gift = some();
      if (!board.put((post.index + 1) % post.parties, gift)) hand.freeAll(gift);
      hand.freeAll(board.take(post.index) ?? []);
    }
    refill();
  }
  hand.freeAll(blocks);
  return allocated;
}

// ── mleak ──

/** A thread frees what one of the round before has left, leaves as much itself, and ends. */
export interface Mleak {
  readonly blocks: number;
}

function mleak(hand: Hand, job: Mleak): number {
  const { post, board, barrier, random } = hand;
  const left = board.take((post.index + 1) % post.parties) ?? [];
  barrier.wait();
  const blocks = Array.from({ length: job.blocks }, () => hand.malloc(1 + random(1024)));
  hand.freeAll(left);
  demand(board.put(post.index, blocks), 'a parcel is not empty');
  return job.blocks;
}

// ── sh6bench, sh8bench ──

/**
 * Groups of blocks whose sizes rise; a group is freed last-in-first-out or in reverse, and one block of four
 * outlives it for a while.
 */
export interface Sh {
  readonly groups: number;
  /** Blocks of a group: their sizes are spread over 1 … `largest`. */
  readonly group: number;
  readonly largest: number;
}

function sh(hand: Hand, job: Sh, moves: boolean): number {
  const { post, board } = hand;
  const kept: Block[] = [];
  let turn = 0;
  const freeGroup = (blocks: Block[]): void => {
    hand.freeAll(turn++ % 2 === 0 ? blocks.reverse() : blocks);
  };
  for (let group = 0; group < job.groups; group++) {
    const blocks: Block[] = [];
    for (let index = 0; index < job.group; index++) {
      const block = hand.malloc(1 + Math.floor((index * job.largest) / job.group));
      (index % 4 === 3 ? kept : blocks).push(block);
    }
    if (moves) {
      const [theirs, mine] = [(post.index + 1) % post.parties, post.index];
      if (!board.put(theirs, blocks)) freeGroup(blocks);
      freeGroup(board.take(mine) ?? []);
    } else freeGroup(blocks);
    if (kept.length >= 2 * job.group) freeGroup(kept.splice(0));
  }
  freeGroup(kept);
  return job.groups * job.group;
}

// ── multi-thread ──

/**
 * In each round a thread allocates its column, frees the upper half and ends; when all have, new threads
 * allocate as much again, free everything of a column that another thread has made, and end. A parcel is a
 * column's lower or upper half.
 */
export interface MultiThread {
  readonly rounds: number;
  readonly slots: number;
}

function multiThread(hand: Hand, job: MultiThread): number {
  const { post, board, barrier, random } = hand;
  const half = job.slots / 2;
  const next = (post.index + 1) % post.parties;
  const allocate = (count: number): Block[] =>
    Array.from({ length: count }, () => hand.malloc(2 << random(12)));
  for (let round = 0; round < job.rounds; round++) {
    demand(board.put(2 * post.index, allocate(half)), 'a lower half is not empty');
    hand.freeAll(allocate(half));
    hand.becomeAnother();
    barrier.wait();
    demand(board.put(2 * post.index + 1, allocate(half)), 'an upper half is not empty');
    barrier.wait();
    for (const parcel of [2 * next, 2 * next + 1]) hand.freeAll(board.take(parcel) ?? []);
    hand.becomeAnother();
    barrier.wait();
  }
  return job.rounds * 3 * half;
}

function demand(holds: boolean, sentence: string): void {
  if (!holds) throw new Error(sentence);
}
