/**
 * What a thread writes into a block and the next one must find there. Every word counts: it is made of the
 * block's address, its size, and its place.
 *
 * ```
 *   allocate ─▶ write ─▶ board ─▶ another thread: check, usableSize, realloc ─▶ check, write ─▶ board ─▶ … ─▶ check, free
 * ```
 */

import type { Block, Hand } from './crew.ts';
import type { Random } from './harness.ts';

/** What a worker is told. */
export interface PublishJob {
  readonly blocks: number;
  /** Bytes of the largest block; one in 64 is huge instead. */
  readonly largest: number;
  readonly huge: number;
}

function seedOf(address: number, size: number): number {
  return Math.imul(address ^ Math.imul(size, 0x9e3779b1), 0x85ebca6b) | 1;
}

/** Fills a block: whole words, and the bytes behind the last one. */
function write({ heap }: Hand, { address, size }: Block): void {
  const { i32, u8 } = heap.memory;
  let word = seedOf(address, size);
  const first = address >>> 2;
  const last = first + (size >>> 2);
  for (let at = first; at < last; at++) {
    i32[at] = word;
    word = (word + 0x6d2b79f5) | 0;
  }
  for (let at = last * 4; at < address + size; at++) u8[at] = word >>> ((at & 3) * 8);
}

/** Compares the first `length` bytes at `address` with what was written into a block. */
function check({ heap }: Hand, address: number, length: number, written: Block): void {
  const { i32, u8 } = heap.memory;
  let word = seedOf(written.address, written.size);
  const first = address >>> 2;
  const last = first + (length >>> 2);
  const damaged = (at: number): never => {
    throw new Error(
      `byte ${at - address} of the ${written.size} bytes at ${written.address} (now at ${address}) is not what was written`,
    );
  };
  for (let at = first; at < last; at++) {
    if (i32[at] !== word) damaged(at * 4);
    word = (word + 0x6d2b79f5) | 0;
  }
  for (let at = last * 4; at < address + length; at++) {
    if (u8[at] !== ((word >>> ((at & 3) * 8)) & 255)) damaged(at);
  }
}

/** 8 bytes to `largest`, each power of two as often as the next. */
function sizeOf(random: Random, { largest, huge }: PublishJob): number {
  if (random(64) === 0) return huge + random(huge);
  const most = 8 << random(Math.log2(largest) - 2);
  return most / 2 + random(most / 2) + (most === 8 ? 4 : 1);
}

function demand(holds: boolean, sentence: string): void {
  if (!holds) throw new Error(sentence);
}

/** A block by one of the ways to get one. */
function allocate({ heap, random }: Hand, job: PublishJob): Block {
  const size = sizeOf(random, job);
  const align = 16 << random(9);
  const offset = 8 * random(align / 8);
  const way = random(5);
  let address = 0;
  if (way < 2) address = heap.malloc(size);
  else if (way === 2) {
    address = heap.calloc(1, size);
    demand(
      heap.memory.u8[address] === 0 && heap.memory.u8[address + size - 1] === 0,
      `calloc(${size}) is not zero`,
    );
  } else if (way === 3) {
    address = heap.alignedAlloc(align, size);
    demand(address % align === 0, `alignedAlloc(${align}, ${size}) gave ${address}`);
  } else {
    // An address inside a block, more often than not.
    address = heap.mallocAlignedAt(size, align, offset);
    demand((address + offset) % align === 0, `mallocAlignedAt(${size}, ${align}, ${offset}) gave ${address}`);
  }
  demand(address !== 0, `no memory for ${size} bytes`);
  return { address, size };
}

/** Another thread's block: looked at, and freed or resized. */
function receive(hand: Hand, block: Block, job: PublishJob): Block | undefined {
  const { heap, random } = hand;
  const { address, size } = block;
  const usable = heap.usableSize(address);
  demand(usable >= size, `usableSize says ${usable} of another thread's ${size} bytes`);
  check(hand, address, size, block);
  if (random(2) === 0) {
    heap.free(address);
    return undefined;
  }
  const wanted = random(4) === 0 ? Math.max(1, size >>> 2) : sizeOf(random, job);
  const moved = heap.realloc(address, wanted);
  demand(moved !== 0, `no memory to resize ${size} bytes to ${wanted}`);
  check(hand, moved, Math.min(size, wanted), block);
  return { address: moved, size: wanted };
}

/**
 * Makes blocks, takes what others have made, passes on what was resized. Returns how many blocks of other
 * threads were looked at.
 */
export function publish(hand: Hand): number {
  const { post, board, barrier, random, heap } = hand;
  const job = post.job as PublishJob;
  const { crossings } = heap.stats();
  demand(post.crossings === 'auto' || crossings === post.crossings, `this thread has ${crossings}`);
  let received = 0;
  const pass = (block: Block): void => {
    write(hand, block);
    // Somewhere where another thread finds it; else it was for no thread.
    for (let tries = 0; tries < 4; tries++) if (board.put(random(board.parcels), [block])) return;
    check(hand, block.address, block.size, block);
    heap.free(block.address);
  };
  const take = (parcel: number): void => {
    for (const block of board.take(parcel) ?? []) {
      received++;
      const resized = receive(hand, block, job);
      if (resized !== undefined) pass(resized);
    }
  };
  for (let made = 0; made < job.blocks; made++) {
    pass(allocate(hand, job));
    take(random(board.parcels));
    if (made % 256 === 0) heap.collect(made % 512 === 0);
  }
  barrier.wait();
  // What is left: no thread adds to it any more.
  for (let parcel = post.index; parcel < board.parcels; parcel += post.parties) {
    for (const block of board.take(parcel) ?? []) {
      check(hand, block.address, block.size, block);
      heap.free(block.address);
    }
  }
  return received;
}
