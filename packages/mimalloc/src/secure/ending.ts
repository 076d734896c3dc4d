/**
 * The end of a block, from level 3 on: two words that say whether it is in use, and by what size.
 *
 * ```
 *  block                                                                              next block
 *  ├──────────────── what was asked for ──────────────┬ DE DE DE … ┬ STATE ┬ SIZE ┤    LIVE
 *  ├ FRONT ┬ … DE DE DE ┬──── what was asked for ─────┬ DE DE DE … ┬ STATE ┬ SIZE ┤    INSIDE
 *                       └ the address that was handed out
 *  ├ link ┬─────────────────────────────────────────────────────── ┬ STATE ┬ SIZE ┤    FREED, FRESH
 *
 *  STATE   hash : 22, state : 2, check : 8       the hash is of the block and its page's keys; the check byte,
 *                                                of size and offset, comes first in memory, so one byte too many
 *                                                does not hide whether the block is live
 *  SIZE    size ⊕ a hash                         when it is live; else one of two numbers that are no size
 *  FRONT   offset ⊕ a hash                       of a block that was handed out by an address inside it; all
 *                                                bits the other way round in a zoned block
 * ```
 *
 * Each of the two words tells live from freed without the other, in O(1), and exactly: states differ in bits
 * of their own. Behind what was asked for up to 64 bytes of a pattern follow, and in front of an address
 * inside a block as many; in a *zoned* block all that is left.
 */

import type { Word } from '@shmalloc/allocator-api';
import { HAS_ALIGNED, hasFlag, Page } from '../layout/page.ts';
import type { Tld } from '../thread/thread-view.ts';
import { mix } from './random.ts';

/** Bytes of the two words. */
export const ENDING_BYTES = 8;

/** Never handed out since its page was made. */
export const FRESH = 0;
export const FREED = 1;
/** In use, by the address where it starts. */
export const LIVE = 2;
/** In use, by an address inside it. */
export const INSIDE = 3;
/** Both words were overwritten. */
export const UNKNOWN = -1;

const STATE_SHIFT = 8;
const HASH_MASK = ~0x3ff;
const CHECK_MASK = 0xff;

/** SIZE of blocks that are not in use. */
const FREED_SIZE = 0xffffffff;
const FRESH_SIZE = 0xfffffffe;

const SIZE_SALT = 0x51ce;
const FRONT_SALT = 0xf207;

const PATTERN_BYTE = 0xde;
const PATTERN_WORD: number = 0xdededede | 0;
/** Bytes of the pattern that are written and checked in a block that is not zoned. */
const PATTERN_BYTES = 64;

/** One past a block's last word. */
function endOf(tld: Tld, page: Word, block: Word): Word {
  return block + tld.i32[page + Page.blockWords];
}

/** Where a block's STATE stands. */
export function stateAt(tld: Tld, page: Word, block: Word): Word {
  return endOf(tld, page, block) - 2;
}

function hashOf(tld: Tld, page: Word, block: Word): number {
  return mix(block ^ tld.i32[page + Page.key0], tld.i32[page + Page.key1]);
}

function stateWord(hash: number, state: number, size: number, offset: number): number {
  const check = state < LIVE ? 0 : mix(size ^ hash, offset) & CHECK_MASK;
  return (hash & HASH_MASK) | (state << STATE_SHIFT) | check;
}

/** The state in a STATE word; UNKNOWN when it was overwritten. */
export function stateIn(tld: Tld, page: Word, block: Word): number {
  const word = tld.i32[stateAt(tld, page, block)];
  return ((word ^ hashOf(tld, page, block)) & HASH_MASK) === 0 ? (word >>> STATE_SHIFT) & 3 : UNKNOWN;
}

/** What the end of a block says. One object for each thread, read into again and again. */
export class Ending {
  /** FRESH … INSIDE, or UNKNOWN. */
  state: number = UNKNOWN;
  /** Bytes that were asked for; −1 when that was overwritten. */
  size: number = -1;
  /** Bytes from the block to the address that was handed out; −1 when that was overwritten. */
  offset: number = 0;
  /** Whether all that is left of the block is filled with the pattern. */
  zoned: boolean = false;
  /** Whether both words are as they were written. */
  intact: boolean = false;
  /** STATE as it was found. */
  word: number = 0;
  /** STATE as it should be. */
  expected: number = 0;

  /** Reads the end of a block of this page. */
  read(tld: Tld, page: Word, block: Word): void {
    const { i32 } = tld;
    const end = endOf(tld, page, block);
    const room = (end - block) * 4 - ENDING_BYTES;
    const hash = hashOf(tld, page, block);
    const word = i32[end - 2];
    const size = (i32[end - 1] ^ mix(hash, SIZE_SALT)) >>> 0;
    const front = frontOf(tld, page, block);
    let state = ((word ^ hash) & HASH_MASK) === 0 ? (word >>> STATE_SHIFT) & 3 : UNKNOWN;
    if (state === UNKNOWN) {
      if (size === FREED_SIZE) state = FREED;
      else if (size === FRESH_SIZE) state = FRESH;
      else if (size <= room) state = front !== 0 ? INSIDE : LIVE;
    }
    this.state = state;
    this.word = word;
    this.offset = state !== INSIDE ? 0 : Math.abs(front) || -1;
    this.zoned = state === INSIDE && front < 0;
    this.size = state >= LIVE && size + Math.max(this.offset, 0) <= room ? size : -1;
    this.expected = stateWord(hash, state, this.size, this.offset);
    this.intact =
      word === this.expected &&
      (state >= LIVE ? this.size >= 0 : size === (state === FREED ? FREED_SIZE : FRESH_SIZE));
  }

  /** Takes an offset for the block's that could not be read, if the check byte agrees with it. */
  resolve(tld: Tld, page: Word, block: Word, offset: number): void {
    const expected = stateWord(hashOf(tld, page, block), this.state, this.size, offset);
    if (this.word !== expected) return;
    this.offset = offset;
    this.expected = expected;
  }
}

/**
 * The first word of a block, read as FRONT; that something else reads so is an accident.
 * @returns the offset, the other way round when the block is zoned; 0 when it cannot be FRONT
 */
function frontOf(tld: Tld, page: Word, block: Word): number {
  if (!hasFlag(tld, page, HAS_ALIGNED)) return 0;
  const room = tld.i32[page + Page.blockWords] * 4 - ENDING_BYTES;
  const front = tld.i32[block] ^ mix(hashOf(tld, page, block), FRONT_SALT);
  const offset = front < 0 ? ~front : front;
  if ((offset & 7) !== 0 || offset > room) return 0;
  return front < 0 ? -offset : offset;
}

/** Where a block of which the end is unknown was handed out, if it was by an address inside it; else 0. */
export function offsetByFront(tld: Tld, page: Word, block: Word): number {
  return Math.abs(frontOf(tld, page, block));
}

/** Marks a block as in use, by this address in it, and fills what is left with the pattern. */
export function writeLive(
  tld: Tld,
  page: Word,
  block: Word,
  address: number,
  size: number,
  zoned: boolean,
): void {
  const { i32 } = tld;
  const end = endOf(tld, page, block);
  const hash = hashOf(tld, page, block);
  const offset = address - block * 4;
  const state = offset === 0 ? LIVE : INSIDE;
  fillPattern(tld, address + size, rearEnd(address + size, (end - 2) * 4, zoned));
  if (state === INSIDE) {
    fillPattern(tld, frontStart(block, address, zoned), address);
    i32[block] = (zoned ? ~offset : offset) ^ mix(hash, FRONT_SALT);
  }
  i32[end - 1] = size ^ mix(hash, SIZE_SALT);
  i32[end - 2] = stateWord(hash, state, size, offset);
}

/** Marks a block as not in use: FREED or FRESH. No other thread may look at it. */
export function writeFree(tld: Tld, page: Word, block: Word, state: number): void {
  const { i32 } = tld;
  const hash = hashOf(tld, page, block);
  const end = endOf(tld, page, block);
  i32[end - 1] = (state === FREED ? FREED_SIZE : FRESH_SIZE) ^ mix(hash, SIZE_SALT);
  i32[end - 2] = stateWord(hash, state, 0, 0);
}

/**
 * Marks a live block as freed, unless another thread was quicker.
 * @param seen - STATE as it was read
 * @param shared - whether other threads may free it at the same time
 * @returns false when it was freed meanwhile
 */
export function exchangeFreed(tld: Tld, page: Word, block: Word, seen: number, shared: boolean): boolean {
  if (shared) {
    const freed = stateWord(hashOf(tld, page, block), FREED, 0, 0);
    // The one place where two threads that free the same block meet: one of them is told.
    if (Atomics.compareExchange(tld.i32, stateAt(tld, page, block), seen, freed) !== seen) return false;
  }
  writeFree(tld, page, block, FREED);
  return true;
}

function rearEnd(start: number, end: number, zoned: boolean): number {
  return zoned ? end : Math.min(end, start + PATTERN_BYTES);
}

function frontStart(block: Word, address: number, zoned: boolean): number {
  const start = block * 4 + 4;
  return zoned ? start : Math.max(start, address - PATTERN_BYTES);
}

function fillPattern(tld: Tld, from: number, to: number): void {
  const { i32, u8 } = tld;
  let at = from;
  for (; at < to && (at & 3) !== 0; at++) u8[at] = PATTERN_BYTE;
  for (; at + 4 <= to; at += 4) i32[at >>> 2] = PATTERN_WORD;
  for (; at < to; at++) u8[at] = PATTERN_BYTE;
}

/** The first byte in `[from, to)` that is not the pattern; 0 when there is none. */
function firstChange(tld: Tld, from: number, to: number): number {
  const { i32, u8 } = tld;
  let at = from;
  for (; at < to && (at & 3) !== 0; at++) if (u8[at] !== PATTERN_BYTE) return at;
  while (at + 4 <= to && i32[at >>> 2] === PATTERN_WORD) at += 4;
  for (; at < to; at++) if (u8[at] !== PATTERN_BYTE) return at;
  return 0;
}

/** The last byte in `[from, to)` that is not the pattern; 0 when there is none. */
function lastChange(tld: Tld, from: number, to: number): number {
  for (let at = to - 1; at >= from; at--) if (tld.u8[at] !== PATTERN_BYTE) return at;
  return 0;
}

/**
 * Where a live block was written outside of what was asked for, as far as the pattern and the two words tell.
 * @param ending - as read from it, with a known size
 * @returns the address of a byte: the first one behind, else the last one in front; 0 for none
 */
export function damageOf(tld: Tld, page: Word, block: Word, ending: Ending): number {
  const { offset, size, zoned } = ending;
  const address = block * 4 + Math.max(offset, 0);
  const end = stateAt(tld, page, block) * 4;
  const behind = firstChange(tld, address + size, rearEnd(address + size, end, zoned));
  if (behind !== 0) return behind;
  if (offset > 0) {
    const before = lastChange(tld, frontStart(block, address, zoned), address);
    if (before !== 0) return before;
  }
  if (ending.word === ending.expected) return 0;
  for (let byte = 0; byte < 4; byte++) {
    if (((ending.word ^ ending.expected) >>> (byte * 8)) & 0xff) return end + byte;
  }
  return 0;
}
