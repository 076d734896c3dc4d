/**
 * Visiting the live blocks of other threads, while they go on: nothing is taken over, and nothing is changed.
 * Of a thread that rests all of it is exact; of one that is at work it is what was seen. Every walk is
 * bounded by what there is room for.
 */

import type { Word } from '@shmalloc/allocator-api';
import { isHuge } from '../huge/huge-block.ts';
import { Heap } from '../layout/heap.ts';
import { pageOf } from '../layout/lookup.ts';
import { ownerOf, Page } from '../layout/page.ts';
import { linkOf } from '../page/blocks.ts';
import { freeMap } from '../page/free-map.ts';
import { forEachPageIn, forEachRecord, forEachSegment } from '../region/walk.ts';
import { mostPages } from '../segment/bounds.ts';
import { FREE_SEGMENT, Segment } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';

/** Blocks that other threads have freed into full pages, and that wait on a heap's list. */
export function delayedBlocks(tld: Tld): ReadonlySet<Word> {
  const waiting = new Set<Word>();
  forEachRecord(tld, (heap) => {
    const { i32 } = tld;
    let left = 4 * mostPages(tld);
    for (let block = i32[heap + Heap.delayedFree]; block > 0 && block < i32.length && left > 0; left--) {
      const page = pageOf(tld, block);
      if (!(page > 0 && page < i32.length)) break;
      waiting.add(block);
      block = linkOf(tld, page, block);
    }
  });
  return waiting;
}

/** The live blocks of a page of another thread. */
function liveIn(tld: Tld, page: Word, waiting: ReadonlySet<Word>): Word[] {
  const { i32 } = tld;
  const start = i32[page + Page.start];
  const size = i32[page + Page.blockWords];
  const blocks: Word[] = [];
  freeMap(tld, page).forEach((free, index) => {
    const block = start + index * size;
    if (free === 0 && !waiting.has(block)) blocks.push(block);
  });
  return blocks;
}

/**
 * Calls back for each live block in pages of other threads, or of one of them. Huge blocks belong to no
 * thread's segments: see `visit.ts`.
 * @param name - of the thread; 0 for all
 * @param show - gets the block and the bytes of its size class
 * @returns false when the visitor has had enough
 */
export function visitOthers(
  tld: Tld,
  name: number,
  show: (block: Word, bytes: number, tag: number, threadId: number) => boolean,
): boolean {
  const waiting = delayedBlocks(tld);
  let more = true;
  forEachSegment(tld, (segment) => {
    if (!more || tld.i32[segment + Segment.threadId] === FREE_SEGMENT) return;
    forEachPageIn(tld, segment, (page) => {
      const { i32 } = tld;
      if (!more || isHuge(tld, page)) return;
      const owner = ownerOf(tld, page);
      if (owner === 0 || owner === tld.threadId || (name !== 0 && owner !== name)) return;
      const bytes = i32[page + Page.blockWords] * 4;
      // A page that is being made names no heap yet.
      const tag = i32[i32[page + Page.xheap] + Heap.tag] ?? 0;
      for (const block of liveIn(tld, page, waiting)) {
        more = show(block, bytes, tag, owner);
        if (!more) return;
      }
    });
  });
  return more;
}
