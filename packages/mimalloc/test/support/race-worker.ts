/** Workers that run into the races of `races.ts` at full speed. */

import { AllocError } from '@shmalloc/allocator-api';
import type { MiHeap, MiMalloc } from '@shmalloc/mimalloc';
import { Heap } from '../../dist/layout/heap.js';
import { type Block, enlist, type Hand } from './crew.ts';
import { patiently } from './growing.ts';
import { tldOf } from './inside.ts';

/** What they do. */
export interface RaceJob {
  readonly program: 'heaps' | 'come and go' | 'full pages';
  readonly rounds: number;
  readonly blocks: number;
}

/** A few sizes, so that pages get full. */
const SIZES = [24, 120, 500, 2000];

/** Leaves blocks to the neighbour, and frees what was left here. */
function pass({ post, board }: Hand, blocks: Block[], free: (blocks: Block[]) => void): void {
  if (!board.put((post.index + 1) % post.parties, blocks)) free(blocks);
  free(board.take(post.index) ?? []);
}

/** A heap whose record may need memory that is refused now and then. */
function newHeap(heap: MiMalloc): MiHeap {
  let part: MiHeap | undefined;
  patiently(() => {
    try {
      part = heap.heapNew();
      return 1;
    } catch (error) {
      if (error instanceof AllocError && error.code === 'NoMemory') return 0;
      throw error;
    }
  });
  if (part === undefined) throw new Error('no memory for a heap although there is room');
  return part;
}

/**
 * A heap for each round, deleted while the neighbour frees its blocks. Its record is used again by the thread
 * that comes next.
 */
function heaps(hand: Hand, { rounds, blocks }: RaceJob): number {
  const { heap, random } = hand;
  for (let round = 0; round < rounds; round++) {
    const part: MiHeap = newHeap(heap);
    const checked = hand.check({
      memory: heap.memory,
      malloc: (size) => part.malloc(size),
      calloc: (count, size) => part.calloc(count, size),
      realloc: (address, size) => part.realloc(address, size),
      alignedAlloc: (align, size) => part.alignedAlloc(align, size),
      free: (address) => part.free(address),
      usableSize: (address) => part.usableSize(address),
    });
    const size = SIZES[random(SIZES.length)];
    const mine = Array.from({ length: blocks }, () => ({
      address: patiently(() => checked.malloc(size)),
      size,
    }));
    const half = mine.splice(blocks / 2);
    pass(hand, half, (others) => hand.freeAll(others));
    part.delete();
    hand.freeAll(mine);
  }
  return rounds;
}

/**
 * A thread for each round: it leaves full pages to the neighbour, ends, and is another that adopts what it
 * can.
 */
function comeAndGo(hand: Hand, { rounds, blocks }: RaceJob): number {
  const { random } = hand;
  for (let round = 0; round < rounds; round++) {
    const size = SIZES[random(SIZES.length)];
    const mine = Array.from({ length: blocks }, () => hand.malloc(size));
    pass(hand, mine, (others) => hand.freeAll(others));
    if (random(2) === 0) hand.heap.collect(true);
    hand.becomeAnother();
  }
  return rounds;
}

/** Every block is freed by the neighbour. Returns the most pages that the thread ever had. */
function fullPages(hand: Hand, { rounds, blocks }: RaceJob): number {
  const { heap, random } = hand;
  let most = 0;
  for (let round = 0; round < rounds; round++) {
    const size = SIZES[random(SIZES.length)];
    pass(
      hand,
      Array.from({ length: blocks }, () => hand.malloc(size)),
      (others) => hand.freeAll(others),
    );
    most = Math.max(most, tldOf(heap).i32[tldOf(heap).heap + Heap.pageCount]);
  }
  return most;
}

enlist((hand) => {
  const job = hand.post.job as RaceJob;
  if (job.program === 'heaps') return heaps(hand, job);
  return job.program === 'full pages' ? fullPages(hand, job) : comeAndGo(hand, job);
});
