/**
 * Threads that end without a word: `worker.terminate()`, an uncaught error. What such a thread had is found
 * in the page map, made whole, and left to a thread that needs memory, as if the thread had detached.
 *
 * ```
 *   segment of the dead thread ──exchange──▶ the reaper's ──mend──▶ no pages:  free
 *                                                                  pages:     abandoned
 *   first segment of a huge block that it was making or freeing ──exchange──▶ the reaper's ──▶ the whole block is free
 *   tail of a huge block that no page counts ──exchange──▶ free
 *   heap records ──exchange──▶ the reaper's: what was taken off its list of delayed frees, memory that it was adding ──▶ free
 *   DEATHS, EPOCH ──▶ the others look through their full pages
 * ```
 *
 * The exchanges let several threads reap the same one at the same time: each piece is one reaper's. Each step
 * can be done again, so a reaper may itself be terminated anywhere: what it had in hand is then found under
 * its name, and the rest under the first one's. The thread's slot in the table is released last; until then
 * reaping again goes on where it stopped.
 *
 * Huge blocks in use are left as they are: they have no name, whichever thread made them (`huge-block.ts`).
 *
 * No thread waits for what is done here: the others have gone on all the time.
 */

import { AllocError, checkInteger, type Word } from '@shmalloc/allocator-api';
import { collectDelayed } from '../foreign/delayed.ts';
import { giveBack } from '../huge/huge.ts';
import { Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import { segmentAt } from '../layout/page-map.ts';
import { finishRange } from '../region/memory.ts';
import { resetHeap } from '../region/thread-table.ts';
import { forEachRecord, forEachSegment } from '../region/walk.ts';
import { KIND_HUGE, KIND_HUGE_TAIL, KIND_PAGES, Segment } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import { extentOf, letGo, takeOver } from './take-over.ts';

/** Gives back what a thread had that has ended: see `MiMallocCore.reap`. */
export function reapThread(tld: Tld, name: number): void {
  checkInteger('threadId', name);
  tld.refresh();
  if (name === tld.threadId) {
    throw new AllocError('InvalidParam', `thread ${name} cannot reap itself: detach() is for that`);
  }
  if (recordsOf(tld, name).length === 0) return;
  forEachSegment(tld, (segment) => {
    if (tld.i32[segment + Segment.kind] !== KIND_HUGE_TAIL && takeOver(tld, segment, name))
      letGo(tld, segment);
  });
  reapTails(tld, name);
  // The slot stands in front, and goes last.
  for (const heap of recordsOf(tld, name).reverse()) reapRecord(tld, heap, name);
  // A look at the epoch is followed by one at this.
  Atomics.add(tld.i32, tld.header + Field.deaths, 1);
  Atomics.add(tld.i32, tld.header + Field.epoch, 1);
}

/** The records with a thread's name, its slot first. */
function recordsOf(tld: Tld, name: number): Word[] {
  const found: Word[] = [];
  if (name === 0) return found;
  forEachRecord(tld, (heap) => {
    if (tld.i32[heap + Heap.threadId] === name) found.push(heap);
  });
  return found;
}

/**
 * Tails of huge blocks that were being made, made longer, or given back: those that no page counts. A block
 * that a living thread frees meanwhile has a page until all its tails have that thread's name.
 */
function reapTails(tld: Tld, name: number): void {
  const counted = new Set<Word>();
  forEachSegment(tld, (segment) => {
    if (tld.i32[segment + Segment.kind] !== KIND_HUGE) return;
    const base = tld.i32[segment + Segment.base];
    const extent = extentOf(tld, segment);
    for (let index = 1; index < extent; index++)
      counted.add(segmentAt(tld, base + (index << tld.segmentShift)));
  });
  forEachSegment(tld, (segment) => {
    if (tld.i32[segment + Segment.kind] === KIND_PAGES || counted.has(segment)) return;
    if (takeOver(tld, segment, name)) giveBack(tld, segment);
  });
}

/**
 * Lets go of a heap: the thread's own, or one that it made, was making, or had claimed to free what lay
 * there.
 */
function reapRecord(tld: Tld, heap: Word, name: number): void {
  const { crossings } = tld;
  // Acquire: as in `takeOver`.
  if (!crossings.claim(heap + Heap.threadId, name, tld.threadId)) return;
  finishRange(tld, heap);
  collectDelayed(tld, heap);
  tld.i32[heap + Heap.seat] = 0;
  tld.i32[heap + Heap.next] = 0;
  resetHeap(tld, heap);
  // Release: pairs with the exchange of the thread that claims the record next.
  crossings.store(heap + Heap.threadId, 0);
}
