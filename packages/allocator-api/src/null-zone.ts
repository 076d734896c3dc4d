/**
 * NULL is no place: what stands at the start of a region that starts at address 0.
 *
 * ```
 *  0            64 or 1024
 *  ├ pattern ───┼ header …
 * ```
 *
 * A program that did not look at the answer of a failed allocation writes at 0 and a little above. There is
 * nothing that such a write could destroy, and the pattern tells that it happened. 64 bytes in a region below
 * 256 KiB, which has none to waste; a region that starts elsewhere has no such zone.
 */

import { AllocError } from './error.ts';
import type { SharedMemory } from './shared-memory.ts';

/** Each word of the zone: "NULL", read byte by byte. */
const PATTERN = 0x4c4c554e;

const LARGE_WORDS = 256;
const SMALL_WORDS = 16;
const SMALL_REGION = 256 * 1024;

/**
 * Words that a region keeps clear of everything from its first byte on.
 * @param memory - the region
 * @returns 0 for a region that does not start at address 0
 * @public
 */
export function nullWordsOf(memory: SharedMemory): number {
  if (memory.start !== 0) return 0;
  return memory.end < SMALL_REGION ? SMALL_WORDS : LARGE_WORDS;
}

/**
 * Lays the pattern.
 * @param i32 - a view of the whole memory
 * @param words - how many words, from address 0 on
 * @public
 */
export function layNullZone(i32: Int32Array, words: number): void {
  i32.fill(PATTERN, 0, words);
}

/** The errors that tell of one. */
const nullWrites = new WeakSet<object>();

/**
 * Whether an error that a hook has heard of tells of a write through NULL, and of no other damage. O(1).
 * @param error - anything
 * @public
 */
export function isNullWrite(error: unknown): boolean {
  return typeof error === 'object' && error !== null && nullWrites.has(error);
}

/**
 * Looks for a write through NULL. O(words).
 * @param i32 - a view of the whole memory
 * @param words - how many words have the pattern, as the header says; no more than there can be are looked at
 * @returns an error `Corrupted` that names the first word that was written to, or null
 * @public
 */
export function checkNullZone(i32: Int32Array, words: number): AllocError | null {
  const end = Math.min(words, LARGE_WORDS);
  for (let word = 0; word < end; word++) {
    if (i32[word] === PATTERN) continue;
    const found = (i32[word] >>> 0).toString(16);
    const error = new AllocError(
      'Corrupted',
      `the word at address ${word * 4} was written to (0x${found}): a write through NULL, the answer of an allocation that failed?`,
    );
    nullWrites.add(error);
    return error;
  }
  return null;
}

/**
 * The same, and lays the pattern again, so that each write is told once. Any number of threads may do so at
 * the same time; then each of them may tell.
 * @param i32 - a view of the whole memory
 * @param words - how many words have the pattern, as the header says
 * @returns an error `Corrupted`, or null
 * @public
 */
export function takeNullWrite(i32: Int32Array, words: number): AllocError | null {
  const error = checkNullZone(i32, words);
  if (error !== null) layNullZone(i32, Math.min(words, LARGE_WORDS));
  return error;
}
