/**
 * Purging: memory that has been empty for its time goes back to its owner.
 */

import { Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import { Chunk } from '../layout/page-map.ts';
import type { Tld } from '../thread/thread-view.ts';
import { claim, findSegment, release } from './arena.ts';
import { isSegment, mostSegments } from './bounds.ts';
import { purgeSegment, Segment } from './segment.ts';

/**
 * Purges segments that no thread has, each for the moment of purging a segment of this thread.
 * @param force - whether to wait for no clock
 */
export function purgeArena(tld: Tld, force: boolean): void {
  const { i32, header } = tld;
  const at = i32[header + Field.purgeAt];
  if (at === 0) return;
  const now = tld.os.now() | 0;
  if (!force && ((now - at) | 0) < 0) return;
  i32[header + Field.purgeAt] = 0;
  findSegment(tld, Chunk.free, (segment) => {
    if (!isSegment(tld, segment) || i32[segment + Segment.purgeAt] === 0 || !claim(tld, segment))
      return false;
    purgeSegment(tld, segment, force, now);
    release(tld, segment); // which sets the clock again if the segment's time has not come
    return false;
  });
}

/**
 * Purges the free slices of the segments that this thread has.
 * @param force - whether to wait for no clock
 */
export function purgeOwn(tld: Tld, force: boolean): void {
  const { i32, heap } = tld;
  const at = i32[heap + Heap.purgeAt];
  if (at === 0) return;
  const now = tld.os.now() | 0;
  if (!force && ((now - at) | 0) < 0) return;
  i32[heap + Heap.purgeAt] = 0;
  let left = mostSegments(tld);
  for (let segment = i32[heap + Heap.segments]; segment !== 0; segment = i32[segment + Segment.next]) {
    if (left-- === 0 || !isSegment(tld, segment)) {
      tld.damage(
        `the list of segments of thread ${tld.threadId} leads to ${segment * 4}, which is none, or does not end`,
      );
      return;
    }
    // What is not due yet keeps the clock running.
    if (!purgeSegment(tld, segment, force, now) && i32[heap + Heap.purgeAt] === 0)
      i32[heap + Heap.purgeAt] = i32[segment + Segment.purgeAt];
  }
}
