/**
 * Walking a heap's blocks by their tags, and the invariants that tags, lists and counts keep with one
 * another.
 */

import type { Word } from '@shmalloc/allocator-api';
import { demand, Field } from '@shmalloc/heap-base';
import { ASKED, FIRST_POOL, FRAMES, FREE_FRAMES, HEADS, MAP } from './orders.ts';
import {
  CUT,
  FRAME,
  FREE_TAG,
  INSIDE,
  LEAST_ORDER,
  MOST_ORDER,
  NEXT_POOL,
  PAGE_ORDER,
  PAGE_WORDS,
  type Pool,
  TINY_TAG,
  USED,
  USED_TAG,
} from './pool.ts';

/** A block as its tag tells it. */
export interface BlockFound {
  readonly block: Word;
  readonly order: number;
  readonly used: boolean;
  /** Whether it was handed out as a frame. */
  readonly frame: boolean;
  /** The bytes that were asked for; 0 when it is free. */
  readonly asked: number;
}

/**
 * Calls `visit` for each block of a pool in the order of addresses.
 * @throws AllocError `Corrupted` where the tags do not lead on to a next block
 */
export function walkPool(pool: Pool, visit: (found: BlockFound) => void): void {
  for (let block = pool.lo; block < pool.hi; ) {
    const found = pool.code(block) === CUT ? smallBlock(pool, block) : largeBlock(pool, block);
    visit(found);
    block += 1 << (found.order - 2);
  }
}

function smallBlock(pool: Pool, block: Word): BlockFound {
  const tag = pool.tag(block);
  demand(tag >= FREE_TAG, `no block starts at ${block * 4}, where one should`);
  const used = tag >= USED_TAG;
  const order = tag >= TINY_TAG ? LEAST_ORDER : tag - (used ? USED_TAG : FREE_TAG);
  demand(order >= LEAST_ORDER && order < PAGE_ORDER, `block ${block * 4} has the tag ${tag}`);
  const asked = used ? 2 ** order - pool.slack(block, tag) : 0;
  demand(asked >= 0, `block ${block * 4} has more slack than bytes`);
  return { block, order, used, frame: false, asked };
}

function largeBlock(pool: Pool, block: Word): BlockFound {
  const code = pool.code(block);
  demand(code !== INSIDE && block % PAGE_WORDS === 0, `no block starts at ${block * 4}, where one should`);
  if (code === FRAME) return { block, order: PAGE_ORDER, used: true, frame: true, asked: PAGE_WORDS * 4 };
  const used = code >= USED;
  const order = used ? code - USED : code;
  demand(order >= PAGE_ORDER && order <= MOST_ORDER, `the page at ${block * 4} has the code ${code}`);
  return { block, order, used, frame: false, asked: used ? pool.asked(block) : 0 };
}

/** What the pools add up to. */
interface Sums {
  words: number;
  free: number;
  asked: number;
  freeFrames: number;
  frames: number;
  /** Free blocks of each order. */
  readonly blocks: number[];
}

/** @throws AllocError `Corrupted` with the first broken invariant */
export function checkPools(i32: Int32Array, header: Word, pools: readonly Pool[]): void {
  const state = header + Field.own;
  const sums: Sums = { words: 0, free: 0, asked: 0, freeFrames: 0, frames: 0, blocks: new Array(32).fill(0) };
  let listed = 0;
  for (let pool = i32[state + FIRST_POOL]; pool !== 0; pool = i32[pool + NEXT_POOL]) {
    demand(++listed <= pools.length, 'the list of pools is longer than it was');
    demand(
      pools.some(({ from }) => from === pool),
      `the list of pools holds word ${pool}, where no pool lies`,
    );
  }
  const counted = i32[header + Field.pools];
  demand(listed === pools.length && counted === listed, `${listed} pools are listed, ${counted} were added`);
  for (const pool of pools) checkPool(pool, sums);
  const same = (what: string, found: number, field: Word): void =>
    demand(found === i32[field], `${found} ${what}, counted are ${i32[field]}`);
  same('words in pools', sums.words, header + Field.total);
  same('words are free', sums.free, header + Field.listed);
  same('bytes were asked for', sums.asked | 0, state + ASKED);
  same('whole pages', sums.frames, state + FRAMES);
  same('whole pages are free', sums.freeFrames, state + FREE_FRAMES);
  for (let order = 0; order <= MOST_ORDER; order++) checkList(i32, state, order, pools, sums.blocks[order]);
}

function checkPool(pool: Pool, sums: Sums): void {
  sums.words += pool.hi - pool.lo;
  sums.frames += Math.max(0, Math.floor(pool.hi / PAGE_WORDS) - Math.ceil(pool.lo / PAGE_WORDS));
  walkPool(pool, ({ block, order, used, frame, asked }) => {
    const words = 2 ** (order - 2);
    const at = `block ${block * 4} of order ${order}`;
    demand(block % words === 0, `${at} does not lie at a multiple of its size`);
    demand(block + words <= pool.hi, `${at} leaves its pool`);
    demand(asked <= words * 4, `${at}: ${asked} bytes were asked for`);
    checkInside(pool, block, words, at);
    if (used) {
      sums.asked += asked;
      demand(frame || pool.isTouched(block + words - 1), `${at} is in use and does not count as touched`);
    } else {
      sums.free += words;
      sums.blocks[order]++;
      if (order >= PAGE_ORDER) sums.freeFrames += words / PAGE_WORDS;
      const buddy = block + words;
      if (order < MOST_ORDER && buddy % (2 * words) !== 0 && buddy < pool.hi)
        demand(!isFree(pool, buddy, order), `${at} and its buddy are both free`);
    }
    demand(pool.isTouched(block), `${at} does not count as touched`);
  });
}

/** Nothing inside a block looks as if a block started there. */
function checkInside(pool: Pool, block: Word, words: number, at: string): void {
  if (words < PAGE_WORDS) {
    demand(pool.isLined(block), `${at} lies on a page whose row was never cleared`);
    for (let word = block + 4; word < block + words; word += 4)
      demand(pool.tag(word) < FREE_TAG, `${at}: inside it ${word * 4} is tagged as a block`);
  } else {
    for (let page = block + PAGE_WORDS; page < block + words; page += PAGE_WORDS)
      demand(pool.code(page) === INSIDE, `${at}: inside it the page at ${page * 4} has a code of its own`);
  }
}

function isFree(pool: Pool, block: Word, order: number): boolean {
  if (order >= PAGE_ORDER) return pool.code(block) === order;
  return pool.code(block) === CUT && pool.tag(block) === FREE_TAG + order;
}

function checkList(
  i32: Int32Array,
  state: Word,
  order: number,
  pools: readonly Pool[],
  blocks: number,
): void {
  const head = i32[state + HEADS + order];
  const bit = (i32[state + MAP] >>> order) & 1;
  demand(bit === (head === 0 ? 0 : 1), `the map and the head of list ${order} differ`);
  let seen = 0;
  let prev = 0;
  for (let block = head; block !== 0; block = i32[block]) {
    const pool = pools.find((each) => each.has(block));
    demand(
      pool !== undefined && isFree(pool, block, order),
      `list ${order} holds word ${block}, which is no free block of it`,
    );
    demand(i32[block + 1] === prev, `the links of list ${order} differ at word ${block}`);
    demand(++seen <= blocks, `list ${order} holds more than the ${blocks} free blocks`);
    prev = block;
  }
  demand(seen === blocks, `list ${order} holds ${seen} of ${blocks} free blocks`);
}
