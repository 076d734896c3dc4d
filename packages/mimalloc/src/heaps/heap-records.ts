/**
 * Records for heaps beyond the first of a thread. They lie in slices that leave the heap's management for
 * good, because a record must never become anything else: a thread that frees into a heap which has just been
 * deleted still writes to a record.
 *
 * ```
 *   header: RECORDS ──▶ record ──▶ record ──▶ record ──▶ … ──▶ 0          every record ever made; only ever pushed in front
 *                       mine       free       another thread's
 *
 *   a slice:  ├ record ┼ record ┼ … ┼ record ┤ rest ┤        1408 bytes each, 2 … 46 a slice
 * ```
 *
 * The slice's PRESENT bit goes, so that its segment can be released and claimed without it. What remains in
 * the page map is a descriptor without blocks that leads to itself: an address in there is no thread's block,
 * and the range cannot be added again.
 */

import type { Word } from '@shmalloc/allocator-api';
import { takePage } from '../alloc/malloc.ts';
import { BIN_HUGE } from '../layout/bins.ts';
import { Counter, count } from '../layout/counters.ts';
import { Field } from '../layout/header.ts';
import { HEAP_WORDS, Heap } from '../layout/heap.ts';
import { clearPage, Page } from '../layout/page.ts';
import { segmentAt } from '../layout/page-map.ts';
import { freePage } from '../page/retire.ts';
import { resetHeap } from '../region/thread-table.ts';
import { keeperOf } from '../region/walk.ts';
import { releaseSegment } from '../segment/arena.ts';
import { isRecord, mostRecords } from '../segment/bounds.ts';
import { commit, forgetSlice, linkSegment, Segment } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import type { HeapPlan } from './heap-plan.ts';

/**
 * Makes a record the heap of this thread: one that no thread has, or a new one. Lock-free; O(records).
 * @param keeper - the heap that gets its pages when it is deleted; 0 when it is to be a keeper itself
 * @returns 0 when there is no memory
 */
export function claimHeap(tld: Tld, { tag, arena }: HeapPlan, keeper: Word): Word {
  const heap = findRecord(tld);
  if (heap === 0) return 0;
  const { i32 } = tld;
  i32[heap + Heap.generation]++;
  resetHeap(tld, heap);
  i32[heap + Heap.tag] = tag;
  i32[heap + Heap.arena] = arena;
  i32[heap + Heap.backing] = keeper === 0 ? heap : keeper;
  i32[heap + Heap.next] = i32[tld.heap + Heap.next];
  i32[tld.heap + Heap.next] = heap;
  return heap;
}

/**
 * Claims a record for a heap, and one for its arena's keeper if need be.
 * @returns 0 when there is no memory
 */
export function makeHeap(tld: Tld, plan: HeapPlan): Word {
  const { arena } = plan;
  const keeper = keeperOf(tld, arena) || claimHeap(tld, { tag: 0, arena }, 0);
  return keeper && claimHeap(tld, plan, keeper);
}

/** Lets go of a heap that has no pages any more. */
export function releaseHeap(tld: Tld, heap: Word): void {
  const { i32 } = tld;
  let before = tld.heap;
  for (let left = mostRecords(tld); before !== 0 && i32[before + Heap.next] !== heap; left--)
    before = left === 0 ? 0 : i32[before + Heap.next];
  if (before > 0) i32[before + Heap.next] = i32[heap + Heap.next];
  else tld.damage(`the heap at ${heap * 4} is on no list of thread ${tld.threadId}`);
  resetHeap(tld, heap);
  // Release: pairs with the exchange in findRecord.
  tld.crossings.store(heap + Heap.threadId, 0);
}

/** A record with this thread's name in it. */
function findRecord(tld: Tld): Word {
  const { header, threadId, crossings } = tld;
  // Acquire: pairs with the exchange in makeRecords.
  let heap = crossings.load(header + Field.records);
  for (let left = mostRecords(tld); heap !== 0; heap = tld.i32[heap + Heap.record]) {
    // It may lie in memory that another thread has added.
    if (--left < 0 || !isRecord(tld, heap)) {
      tld.damage(`the list of heap records leads to ${heap * 4}, which is none, or does not end`);
      break;
    }
    if (tld.i32[heap + Heap.threadId] !== 0) continue;
    // Acquire: pairs with the store in releaseHeap, and receives the record as its last owner left it.
    if (crossings.claim(heap + Heap.threadId, 0, threadId)) return heap;
  }
  return makeRecords(tld);
}

/**
 * Fills a slice with records and makes them known. The first is this thread's already.
 *
 * The slice leads to itself before its records are known, and leaves the management after: a thread that ends
 * in between leaves a slice that can be told from both (`reap.ts`).
 */
function makeRecords(tld: Tld): Word {
  const page = takeSlice(tld);
  if (page === 0) return 0;
  // The memory may be new to this thread.
  const { i32, header, crossings } = tld;
  const words = 1 << tld.sliceShift;
  const first = i32[page + Page.start];
  clearPage(tld, page);
  i32[page + Page.start] = page;
  i32.fill(0, first, first + words);
  let last = first;
  for (let next = first + HEAP_WORDS; next + HEAP_WORDS <= first + words; next += HEAP_WORDS) {
    i32[last + Heap.record] = next;
    last = next;
  }
  i32[first + Heap.threadId] = tld.threadId;
  for (let head = crossings.load(header + Field.records); ; head = crossings.load(header + Field.records)) {
    i32[last + Heap.record] = head;
    // Release: pairs with the load in findRecord. Nothing is ever taken off this list, so it cannot have come
    // back to the same head.
    if (crossings.claim(header + Field.records, head, first)) break;
  }
  dropSlice(tld, first);
  return first;
}

/**
 * A slice of this thread's, with memory behind it, as a page of no block yet.
 * @returns 0 when there is none
 */
function takeSlice(tld: Tld): Word {
  const request = { count: 1, align: 1, residue: 0 };
  const words = 1 << tld.sliceShift;
  const page = takePage(tld, tld.heap, BIN_HUGE, words, request, 0, true);
  if (page === 0) return 0;
  const { i32 } = tld;
  const first = i32[page + Page.start];
  i32[tld.heap + Heap.pageCount]--;
  if (commit(tld, first, first + words)) return page;
  i32[tld.heap + Heap.pageCount]++;
  count(tld, tld.heap, Counter.largePages);
  freePage(tld, page);
  return 0;
}

/** Takes a slice that is taken out of the management. */
function dropSlice(tld: Tld, first: Word): void {
  const { i32 } = tld;
  const segment = segmentAt(tld, first);
  forgetSlice(tld, segment, (first - i32[segment + Segment.base]) >>> tld.sliceShift);
  if (--i32[segment + Segment.used] > 0) return;
  // It needs no owner for the records' sake.
  if ((i32[segment + Segment.freeLow] | i32[segment + Segment.freeHigh]) === 0) linkSegment(tld, segment);
  releaseSegment(tld, segment);
}
