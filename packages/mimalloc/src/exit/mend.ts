/**
 * Mending what a thread left that was terminated: pages and segments, each told from what stands in the page
 * map, whatever the queues of the dead heap said.
 *
 * **A page.** Every order of writes on a page is such that each of its prefixes leaves one of these pictures:
 *
 * ```
 *   malloc       FREE moved on, USED not             a block on no list: it counts as live from now on (the one that is lost)
 *   free         LOCAL_FREE has the block, USED not  USED is counted again
 *   extend       FREE leads beyond CAPACITY          the list is cut: those blocks are linked again by the next extension
 *   collect      LOCAL_FREE is a part of FREE, or    the list met second is cut where it reaches the first
 *                XTHREAD_FREE of LOCAL_FREE
 * ```
 *
 * So the lists are walked in this order, every block is marked once, and each list is cut where it leaves the
 * page or reaches a marked block. A cut is one store that takes nothing away that is not on another list, so
 * this can be stopped and done again as well.
 *
 * **A segment.** A slice with BLOCK_WORDS starts a page, whatever else stands there: they are written last
 * and cleared first. All slices of its run lead to it; the others lead nowhere and are free, but for slices
 * of heap records.
 */

import type { Word } from '@shmalloc/allocator-api';
import { cutRemoteFrees } from '@shmalloc/thread-heap';
import { BIN_HUGE } from '../layout/bins.ts';
import { Counter, count } from '../layout/counters.ts';
import { Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import {
  binOfPage,
  clearPage,
  GUARDED,
  HAS_ALIGNED,
  isRecordSlice,
  Page,
  setRetire,
  slicesOf,
} from '../layout/page.ts';
import { PAGE_SHIFT, sliceAt } from '../layout/page-map.ts';
import { collectPage, linkOf, setNext } from '../page/blocks.ts';
import { isRecord, mostRecords } from '../segment/bounds.ts';
import { forgetSlice, KIND_PAGES, Segment } from '../segment/segment.ts';
import { highBits, lowBits } from '../segment/slices.ts';
import type { Tld } from '../thread/thread-view.ts';

/** Which blocks of a page have been met on a list. */
type Marks = Uint8Array;

/** The number of a block in its page; −1 when the word is none that was ever linked. */
function indexOf(tld: Tld, page: Word, block: Word): number {
  const { i32 } = tld;
  const index = (block - i32[page + Page.start]) / i32[page + Page.blockWords];
  return Number.isInteger(index) && index >= 0 && index < i32[page + Page.capacity] ? index : -1;
}

/**
 * Marks the blocks of an owner's list, and cuts it where it leaves the page or reaches a block that is
 * marked.
 * @returns how many it has
 */
function markList(tld: Tld, page: Word, list: number, marks: Marks): number {
  const { i32 } = tld;
  let length = 0;
  let last = 0;
  for (let block = i32[page + list]; block !== 0; block = linkOf(tld, page, block)) {
    const index = indexOf(tld, page, block);
    if (index < 0 || marks[index] === 1) {
      if (last === 0) i32[page + list] = 0;
      else setNext(tld, page, last, 0);
      break;
    }
    marks[index] = 1;
    last = block;
    length++;
  }
  return length;
}

/**
 * Makes the page one that no thread has, with lists that are right and gathered.
 * @returns whether it has live blocks
 */
function mendPage(tld: Tld, page: Word): boolean {
  const { i32 } = tld;
  // From here on frees go onto the page's own list.
  tld.crossings.unmark(page + Page.xthreadFree);
  i32[page + Page.xthreadId] &= HAS_ALIGNED | GUARDED;
  if (tld.guard !== null || binOfPage(tld, page) === BIN_HUGE) i32[page + Page.xthreadId] |= GUARDED;
  setRetire(tld, page, 0);
  // A page has no more blocks than words: more is damage.
  const most = Math.max(1, slicesOf(tld, page)) << tld.sliceShift;
  const capacity = Math.max(0, Math.min(i32[page + Page.capacity], most));
  const marks = new Uint8Array(capacity);
  const free = markList(tld, page, Page.free, marks) + markList(tld, page, Page.localFree, marks);
  const meet = (block: Word): boolean => {
    const index = indexOf(tld, page, block);
    if (index < 0 || marks[index] === 1) return false;
    marks[index] = 1;
    return true;
  };
  cutRemoteFrees(tld, page, page + Page.xthreadFree, meet, linkOf, setNext);
  const lost = tld.guard === null ? 0 : Math.min(i32[page + Page.lost], capacity - free);
  i32[page + Page.lost] = lost;
  i32[page + Page.used] = capacity - free - lost;
  collectPage(tld, page, true);
  return i32[page + Page.used] !== 0;
}

/** Whether a record that is known lies in a slice. */
function hasRecords(tld: Tld, first: Word): boolean {
  const { header, crossings } = tld;
  const end = first + (1 << tld.sliceShift);
  let left = mostRecords(tld);
  for (
    let heap = crossings.load(header + Field.records);
    heap !== 0 && left-- > 0 && isRecord(tld, heap);
    heap = tld.i32[heap + Heap.record]
  ) {
    if (heap >= first && heap < end) return true;
  }
  return false;
}

/**
 * Mends a segment of a thread that has ended, which is this thread's for the moment and in no list of it: its
 * pages are no thread's, those without live blocks are gone, and its bitmaps say so. O(slices + blocks).
 * @returns whether it has pages
 */
export function mendSegment(tld: Tld, segment: Word): boolean {
  const { i32, slicesPerSegment } = tld;
  const base = i32[segment + Segment.base];
  let low = 0;
  let high = 0;
  let pages = 0;
  for (let slice = 0; slice < slicesPerSegment; ) {
    const place = base + (slice << tld.sliceShift);
    const page = sliceAt(tld, place);
    if (i32[page + Page.blockWords] === 0) {
      if (isRecordSlice(tld, page) && hasRecords(tld, place)) forgetSlice(tld, segment, slice);
      // Of a page that was being made or given back, or of a slice that was to become records.
      else i32[page + Page.start] = 0;
      slice++;
      continue;
    }
    // Damage, where it has none: huge blocks have their segments whole, and their page goes before this.
    const slices = Math.max(1, Math.min(slicesOf(tld, page), slicesPerSegment - slice));
    for (let next = 1; next < slices; next++) i32[page + (next << PAGE_SHIFT) + Page.start] = page;
    if (mendPage(tld, page)) {
      pages++;
      low |= lowBits(slice, slices);
      high |= highBits(slice, slices);
    } else {
      clearPage(tld, page);
      count(tld, tld.heap, Counter.pagesFreed);
    }
    slice += slices;
  }
  // What was to become a huge block, or was one, has its segments whole.
  const isDivided = i32[segment + Segment.kind] === KIND_PAGES;
  i32[segment + Segment.freeLow] = isDivided ? i32[segment + Segment.presentLow] & ~low : 0;
  i32[segment + Segment.freeHigh] = isDivided ? i32[segment + Segment.presentHigh] & ~high : 0;
  // Any of them may still have memory.
  i32[segment + Segment.purgeLow] = i32[segment + Segment.freeLow];
  i32[segment + Segment.purgeHigh] = i32[segment + Segment.freeHigh];
  i32[segment + Segment.used] = isDivided ? pages : 0;
  return pages !== 0;
}
