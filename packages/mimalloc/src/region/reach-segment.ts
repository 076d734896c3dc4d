/** Views that reach a segment which this thread has got from another. */

import type { Word } from '@shmalloc/allocator-api';
import { Page } from '../layout/page.ts';
import { reach } from '../segment/reach.ts';
import { endOfSlices, KIND_HUGE, Segment } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import { forEachPageIn } from './walk.ts';

/**
 * Makes this thread's views reach a segment that it has got from another thread: its blocks and, behind the
 * first of a huge block, all of the block.
 */
export function reachSegment(tld: Tld, segment: Word): void {
  const { i32 } = tld;
  const base = i32[segment + Segment.base];
  // Acquire: pairs with the `or` in `addSlices`.
  const low = tld.crossings.load(segment + Segment.presentLow);
  const high = tld.crossings.load(segment + Segment.presentHigh);
  let end = endOfSlices(tld, base, low, high);
  if (i32[segment + Segment.kind] === KIND_HUGE)
    forEachPageIn(tld, segment, (page) => {
      end = Math.max(end, i32[page + Page.start] + i32[page + Page.blockWords]);
    });
  if (!reach(tld, end)) tld.damage(`the segment at ${base * 4} reaches beyond the memory`);
}
