/**
 * How blocks and pools lie in memory: boundary tags (Knuth, TAOCP 1, §2.5), so that freed neighbours find
 * each other in constant time.
 *
 * Everything is in words of 4 bytes; sizes are multiples of 4 words, which leaves the two lowest bits of a
 * size for flags.
 *
 * ```
 *  a block in use                                  a free block
 *  b      ┌──────────────────────────┬─┬─┐         b      ┌──────────────────────────┬─┬─┐
 *         │ size in words            │P│0│ 4 B            │ size in words            │0│1│ 4 B
 *  b+1  → ├──────────────────────────┴─┴─┤         b+1    ├──────────────────────────┴─┴─┤
 *         │ payload, 16-byte aligned     │                │ next free  ┐ the algorithm's │ 4 B
 *         │                              │         b+2    │ prev free  ┘ links           │ 4 B
 *         │                              │                │ …                            │
 *         │ (debug: the last word is     │         b+s−1  ├──────────────────────────────┤
 *         │  the block's seal)           │                │ footer: b                    │ 4 B
 *  b+s    └──────────────────────────────┘         b+s    └──────────────────────────────┘
 *
 *  bit 0, F: this block is free              bit 1, P: the block before is free, and its footer stands in the word before b
 *
 *  a pool                                          the pool that holds the top
 *  p      ┌──────────────────────────────┐         p      ┌──────────────────────────────┐
 *         │ next pool, or 0              │                │ as beside                    │
 *  p+1    │ e                            │                │                              │
 *  p+2    │ unused                       │                │                              │
 *  p+3    ├──────────────────────────────┤         p+3    ├──────────────────────────────┤
 *         │ blocks, without gaps         │                │ blocks, without gaps         │
 *         │                              │         top    ├──────────────────────────────┤
 *         │                              │                │ 0  (ends the blocks)         │ 4 B
 *         │                              │                │ never handed out, or given   │
 *         │                              │                │ back: one free stretch, in   │
 *         │                              │                │ no list                      │
 *  e      ├──────────────────────────────┤         e      ├──────────────────────────────┤
 *         │ 0, with P when it applies    │ 4 B            │                              │ 4 B
 *  e+1    └──────────────────────────────┘         e+1    └──────────────────────────────┘
 * ```
 *
 * Pools start at ≡ 0 (mod 4), so every header lies at ≡ 3 and every payload is 16-byte aligned.
 *
 * The **top** is the tail of one pool, the largest there is. It is cut and given back by moving one word, as
 * `brk` moves the end of a process; the algorithm never sees it. That keeps the last large stretch whole for
 * as long as anything else fits, and makes the youngest blocks the cheapest. (Lea's malloc calls it top as
 * well; the TLSF paper has no such thing.)
 *
 * Invariants, checked by `validate`: the blocks of a pool fill it up to its end or the top; no two free
 * blocks are neighbours, and none lies before the top; P of a block is set if and only if the block before is
 * free; a free block's footer names its header; the algorithm's set holds exactly the free blocks; the header
 * of a block that was freed never looks like one in use until its memory is handed out again (so that a
 * second free is seen).
 */

import { type AllocError, broken, type Demand, demandOf } from '@shmalloc/allocator-api';

/** Flags in a block's header, and the mask of its size. */
export const FREE = 1;
export const PREV_FREE = 2;
export const SIZE: number = ~3;

/** Words from which blocks are made; the smallest block. */
export const GRANULE = 4;

/** Offsets in a pool's head, in words. */
export const NEXT_POOL = 0;
export const POOL_END = 1;
export const FIRST_BLOCK = 3;

/**
 * Where the algorithm's link to the next free block stands, in words from a free block's header.
 * @public
 */
export const NEXT_FREE = 1;
/**
 * Where the algorithm's link back stands, in words from a free block's header.
 * @public
 */
export const PREV_LINK = 2;

/**
 * Makes the seals of neighbouring blocks differ in every bit (the 32-bit golden ratio, as in Fibonacci
 * hashing).
 */
const SEAL_FACTOR = 0x9e3779b1;

/** What stands in the last word of a block in use under `debug`; never 0. */
export function sealOf(block: number, size: number): number {
  return Math.imul(block ^ (size << 8), SEAL_FACTOR) | 1;
}

/**
 * For all that follows what lies in the region: walkers that check invariants, and operations before they
 * write.
 * @public
 */
export const demand: Demand = demandOf('heap');

/**
 * The error of an invariant that does not hold, for places where the message is not to be composed unless it
 * is needed.
 * @param sentence - which
 * @public
 */
export function brokenHeap(sentence: string): AllocError {
  return broken('heap', sentence);
}
