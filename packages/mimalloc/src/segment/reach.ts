/**
 * Views that reach what has come. A view never changes its length, so a word beyond it reads as `undefined`
 * and a write there is lost without a word.
 *
 * The rule: memory that this thread did not have before (a claimed or adopted segment, slices that came to
 * one of its own, a record or a table that another thread has made) is reached before it is used. The
 * functions that bring such memory see to it themselves: `claim`, `reclaim`, `takeOver`, `adoptSlices`,
 * `findRecord`. Those that call them take their views from the `Tld` again afterwards.
 */

import type { Word } from '@shmalloc/allocator-api';
import type { Tld } from '../thread/thread-view.ts';

/**
 * Looks at the length that are made before it counts as damage that nothing is there. An engine tells the
 * other threads of growth by an interrupt, which they take at the end of a loop's turn, so more than two
 * looks are never needed for memory that has been grown.
 */
const MOST_LOOKS = 100;

/**
 * Makes this thread's views reach up to a word.
 * @param end - one past the last word that is needed
 * @returns false when the memory is not so long
 */
export function reach(tld: Tld, end: Word): boolean {
  for (let looks = 0; !(end <= tld.i32.length); looks++) {
    if (looks === MOST_LOOKS) return false;
    tld.refresh();
  }
  return true;
}
