/**
 * A write through NULL: the zone at address 0 of a machine's memory holds a pattern and nothing else, so that
 * what a program writes there destroys nothing. It is looked at on every tick of the main thread's timer, and
 * by each CPU in calls that are not on the fast path; the first look that finds something stops the machine.
 *
 * ```
 *   timer (main thread)     ──┐
 *   cpuBarrier, printf, …   ──┼──▶ pattern there?  no ──▶ panic: the address, what was found, which CPU noticed
 *   the end of a program    ──┘
 * ```
 *
 * An allocator of one's own that starts at address 0 and lays no pattern has no such zone: then there is
 * nothing to look at.
 */

import {
  type AllocError,
  checkNullZone,
  isNullWrite,
  nullWordsOf,
  type SharedMemory,
} from '@shmalloc/allocator-api';

/** Milliseconds between two ticks. */
export const TICK_MS = 10;

/** How many words of a new machine's memory have the pattern. */
export function watchedWords(memory: SharedMemory): number {
  const words = nullWordsOf(memory);
  return checkNullZone(memory.i32, words) === null ? words : 0;
}

/**
 * Looks.
 * @param words - as {@link watchedWords} has found, when the machine booted
 * @param noticer - the name of what looks
 * @returns what a panic is to say, or null
 */
export function nullWrite(memory: SharedMemory, words: number, noticer: string): string | null {
  const error = checkNullZone(memory.i32, words);
  return error === null ? null : told(error, noticer);
}

/**
 * What a panic is to say of an error that the allocator has told of: that may be the first to notice, in the
 * middle of a call.
 * @param noticer - as above
 */
export function damageText(error: AllocError, noticer: string): string {
  return isNullWrite(error) ? told(error, noticer) : error.message;
}

function told(error: AllocError, noticer: string): string {
  return `a write through NULL, which ${noticer} noticed: ${error.message}`;
}
