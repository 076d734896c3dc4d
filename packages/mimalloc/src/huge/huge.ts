/**
 * Huge blocks: one block over segments in a row, claimed one after the other.
 *
 * ```
 *   ├ segment ────────────┼ segment ────────────┼ segment ────────────┤
 *   │ HUGE, COUNT = 3     │ HUGE_TAIL           │ HUGE_TAIL           │
 *   │ … block ────────────┼─────────────────────┼──────── end         │
 *     └ its page: the descriptor of the slice that it starts in
 * ```
 *
 * What there is of a huge block is told by the first segment and its page: a tail that no page counts belongs
 * to no block, whatever name it has, and one that is counted goes with the first, likewise. A thread that
 * ends in here leaves tails that are not counted, or a first segment that has its name still, and the thread
 * that reaps it gives them back. How a block is handed out and freed is in `huge-block.ts`.
 */

import type { Word } from '@shmalloc/allocator-api';
import { Counter, count } from '../layout/counters.ts';
import { Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import { initPage, Page, type PagePlan } from '../layout/page.ts';
import { chunkAt, segmentAt, sliceAt } from '../layout/page-map.ts';
import { claim, release, touch } from '../segment/arena.ts';
import { highChunk, lowChunk } from '../segment/bounds.ts';
import { reach } from '../segment/reach.ts';
import {
  FREE_SEGMENT,
  type HugeRequest,
  KIND_HUGE,
  KIND_HUGE_TAIL,
  purgeSegment,
  Segment,
} from '../segment/segment.ts';
import { highBits, lowBits } from '../segment/slices.ts';
import type { Tld } from '../thread/thread-view.ts';

/** Whether a segment has every slice in which `[from, to)` meets it, and belongs to this arena. */
function hasSlices(tld: Tld, segment: Word, base: Word, from: Word, to: Word, arena: number): boolean {
  const { i32, sliceShift, segmentShift } = tld;
  const first = Math.max(0, from - base) >>> sliceShift;
  const last = (Math.min(to - base, 1 << segmentShift) + (1 << sliceShift) - 1) >>> sliceShift;
  const low = lowBits(first, last - first);
  const high = highBits(first, last - first);
  return (
    i32[segment + Segment.arena] === arena &&
    (i32[segment + Segment.presentLow] & low) === low &&
    (i32[segment + Segment.presentHigh] & high) === high
  );
}

/** Whether `[from, to)` lies in free segments of one arena. */
function areFree(tld: Tld, from: Word, to: Word, arena: number): boolean {
  const { segmentShift } = tld;
  for (let base = (from >>> segmentShift) << segmentShift; base < to; base += 1 << segmentShift) {
    if (chunkAt(tld, base >>> tld.chunkShift) === 0) return false;
    const segment = segmentAt(tld, base);
    if (tld.i32[segment + Segment.threadId] !== FREE_SEGMENT) return false;
    if (!hasSlices(tld, segment, base, from, to, arena)) return false;
  }
  return true;
}

/** Gives back a segment of a run that could not be had. What it was to lose it is to lose again. */
function unclaim(tld: Tld, segment: Word): void {
  const { i32 } = tld;
  i32[segment + Segment.purgeLow] = i32[segment + Segment.presentLow];
  i32[segment + Segment.purgeHigh] = i32[segment + Segment.presentHigh];
  release(tld, segment);
}

/**
 * Claims every segment that `[from, to)` meets; none when one of them cannot be had. Each is looked at once
 * more when it is claimed: another thread may have had it since, and have taken a slice out of it.
 */
function claimRun(tld: Tld, from: Word, to: Word, arena: number, kind: number): boolean {
  const step = 1 << tld.segmentShift;
  const first = (from >>> tld.segmentShift) << tld.segmentShift;
  for (let base = first; base < to; base += step) {
    const segment = segmentAt(tld, base);
    const isClaimed = claim(tld, segment);
    if (isClaimed && hasSlices(tld, segment, base, from, to, arena)) {
      const { i32 } = tld;
      i32[segment + Segment.kind] = base === first ? kind : KIND_HUGE_TAIL;
      i32[segment + Segment.freeLow] = 0;
      i32[segment + Segment.freeHigh] = 0;
      i32[segment + Segment.purgeLow] = 0;
      i32[segment + Segment.purgeHigh] = 0;
      continue;
    }
    if (isClaimed) release(tld, segment);
    for (let back = first; back < base; back += step) unclaim(tld, segmentAt(tld, back));
    return false;
  }
  return true;
}

/**
 * A page of one block over segments of its own, which may have come in several pieces.
 * @returns 0 when there are not enough free segments in a row
 */
export function hugePage(tld: Tld, arena: number, request: HugeRequest, plan: PagePlan): Word {
  const { segmentShift, chunkShift } = tld;
  const { words, align, offset } = request;
  const last = highChunk(tld) * (1 << chunkShift);
  for (let base = lowChunk(tld) * (1 << chunkShift); base < last; base += 1 << segmentShift) {
    // The first place in this segment that is aligned as it should be.
    const start = Math.ceil((base + offset) / align) * align - offset;
    const end = start + words;
    if (start >= base + (1 << segmentShift)) continue;
    if (end > last) return 0;
    if (!areFree(tld, start, end, arena) || !claimRun(tld, start, end, arena, KIND_HUGE)) continue;
    const { i32 } = tld;
    const segment = segmentAt(tld, base);
    i32[segment + Segment.count] = Math.ceil((end - base) / (1 << segmentShift));
    touch(tld, segment);
    const page = sliceAt(tld, start);
    const first = (start >>> tld.sliceShift) << tld.sliceShift;
    initPage(tld, page, first, { ...plan, offset: start - first });
    count(tld, plan.heap, Counter.hugePages);
    return page;
  }
  return 0;
}

/**
 * How many segments a huge block has, by its first one; 1 for any other segment. More than the memory has are
 * damage.
 */
export function countOf(tld: Tld, segment: Word): number {
  const { segmentShift } = tld;
  if (tld.i32[segment + Segment.kind] !== KIND_HUGE) return 1;
  const base = tld.i32[segment + Segment.base];
  const said = tld.i32[segment + Segment.count];
  // Another thread's block may reach into memory that has come since this thread looked: its last segment has
  // a slice at least.
  reach(tld, base + (said - 1) * (1 << segmentShift) + 1);
  const { i32 } = tld;
  const most = Math.ceil((i32.length - base) / (1 << segmentShift));
  let count = Math.max(1, Math.min(said, most));
  // A chunk without a table has no segments.
  while (count > 1 && chunkAt(tld, (base + ((count - 1) << segmentShift)) >>> tld.chunkShift) === 0) count--;
  // 0 while it is being made.
  if (count !== said && said !== 0) tld.damage(`the huge block at ${base * 4} has ${said} segments`);
  return count;
}

/** Releases a segment of which every slice may have memory. */
export function giveBack(tld: Tld, segment: Word): void {
  const { i32 } = tld;
  const delay = i32[tld.header + Field.purgeDelay];
  i32[segment + Segment.purgeLow] = i32[segment + Segment.presentLow];
  i32[segment + Segment.purgeHigh] = i32[segment + Segment.presentHigh];
  if (delay >= 0) {
    const now = tld.os.now() | 0;
    i32[segment + Segment.purgeAt] = (now + delay) | 1;
    if (delay === 0) purgeSegment(tld, segment, true, now);
  }
  release(tld, segment);
}

/**
 * Adds the segments behind a huge block to it, so that it ends at `end`: any thread that has the block. One
 * that ends before COUNT says so leaves tails that are not counted.
 * @returns false when they are not free
 */
export function extendHuge(tld: Tld, page: Word, end: Word): boolean {
  const { i32, segmentShift } = tld;
  const start = i32[page + Page.start];
  const base = (start >>> segmentShift) << segmentShift;
  const segment = segmentAt(tld, base);
  const arena = i32[segment + Segment.arena];
  const have = base + (countOf(tld, segment) << segmentShift);
  // The last segment that it has may be one of which not all has come.
  const last = have - (1 << segmentShift);
  if (!hasSlices(tld, segmentAt(tld, last), last, start, end, arena)) return false;
  if (end <= have) return reach(tld, end);
  if (end > highChunk(tld) * (1 << tld.chunkShift)) return false;
  if (!areFree(tld, have, end, arena) || !claimRun(tld, have, end, arena, KIND_HUGE_TAIL)) return false;
  const segments = Math.ceil((end - base) / (1 << segmentShift));
  // Like the others, they are not this thread's from here on.
  tld.i32[tld.heap + Heap.segmentCount] -= segments - ((have - base) >>> segmentShift);
  tld.i32[segment + Segment.count] = segments;
  return reach(tld, end);
}
