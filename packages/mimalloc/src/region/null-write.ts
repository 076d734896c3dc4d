/**
 * Writes through NULL. The zone in front of the header holds nothing but a pattern, so nothing is lost by
 * one; here it is looked for and named.
 */

import { checkNullZone, takeNullWrite } from '@shmalloc/allocator-api';
import type { Tld } from '../thread/thread-view.ts';

/**
 * Reports a write through NULL, once, and what was found on the way. O(words of the zone). The heap must be
 * consistent, and views are old afterwards: the error hook may use the heap.
 */
export function lookAtNull(tld: Tld): void {
  tld.tellLostLists();
  if (tld.closed) return;
  const error = takeNullWrite(tld.i32, tld.nullWords);
  if (error !== null) tld.report(error);
}

/** @throws AllocError `Corrupted` that names the first word of the zone that was written to */
export function demandNullZone(tld: Tld): void {
  const error = checkNullZone(tld.i32, tld.nullWords);
  if (error !== null) throw error;
}
