/**
 * How much is in use: what pages count, less what was freed by other threads and not gathered yet.
 *
 * Other threads may be at work meanwhile. Then the answer is put together from moments that differ, and every
 * part of it is held to what can be: no page has more blocks in use than it has room for, and no segment more
 * bytes than it has.
 */

import type { Word } from '@shmalloc/allocator-api';
import { Heap } from '../layout/heap.ts';
import { pageOf } from '../layout/lookup.ts';
import { DELAYED, Page } from '../layout/page.ts';
import { linkOf } from '../page/blocks.ts';
import { forEachPageIn, forEachRecord, forEachSegment } from '../region/walk.ts';
import { capacityOf, mostPages } from '../segment/bounds.ts';
import { FREE_SEGMENT, Segment } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';

/**
 * Bytes in blocks that are handed out, of all threads. What is freed and only not gathered yet does not
 * count; while other threads are at work the answer may be late.
 */
export function usedBytes(tld: Tld): number {
  // Another thread may have added memory since this one looked.
  tld.refresh();
  let words = 0;
  forEachSegment(tld, (segment) => {
    if (tld.i32[segment + Segment.threadId] === FREE_SEGMENT) return;
    forEachPageIn(tld, segment, (page) => (words += usedWords(tld, page)));
  });
  forEachRecord(tld, (heap) => (words -= delayedWords(tld, heap)));
  return Math.max(0, Math.min(words, tld.i32.length)) * 4;
}

/** Words of a page's blocks in use. */
function usedWords(tld: Tld, page: Word): number {
  const { i32 } = tld;
  const used = Math.max(0, Math.min(i32[page + Page.used], capacityOf(tld, page)));
  return Math.max(0, used - ungathered(tld, page, used)) * Math.max(0, i32[page + Page.blockWords]);
}

/** Blocks that other threads have pushed onto a page. */
function ungathered(tld: Tld, page: Word, used: number): number {
  const { i32 } = tld;
  let length = 0;
  // The end of a list that is being taken may be anything.
  for (
    let block = i32[page + Page.xthreadFree] & ~DELAYED;
    block > 0 && block < i32.length && length < used;
    length++
  )
    block = linkOf(tld, page, block);
  return length;
}

/** Words of the blocks that wait on a heap's list of delayed frees. */
function delayedWords(tld: Tld, heap: Word): number {
  const { i32 } = tld;
  let words = 0;
  // A page brings one block, and goes on to another list until its owner looks. A list that is being taken
  // may lead anywhere.
  let left = 4 * mostPages(tld);
  for (let block = i32[heap + Heap.delayedFree]; block > 0 && block < i32.length && left > 0; left--) {
    const page = pageOf(tld, block);
    if (!(page > 0 && page < i32.length)) break;
    words += Math.max(0, i32[page + Page.blockWords]);
    block = linkOf(tld, page, block);
  }
  return words;
}
