/**
 * Walks over what there is, for all that looks at more than one page: validation, inspection, statistics,
 * adoption.
 */

import type { Word } from '@shmalloc/allocator-api';
import { Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import { Page } from '../layout/page.ts';
import { Chunk, segmentAt, sliceAt } from '../layout/page-map.ts';
import {
  highChunk,
  isOwnRecord,
  isRecord,
  isSegment,
  lowChunk,
  mostRecords,
  tableOf,
} from '../segment/bounds.ts';
import { KIND_HUGE_TAIL, Segment } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import { slotAt } from './thread-table.ts';

/**
 * Calls back for every segment that has memory, in address order. Memory that has come since this thread
 * looked last is seen as well, so views that were held before are old afterwards.
 */
export function forEachSegment(tld: Tld, visit: (segment: Word) => void): void {
  for (let chunk = lowChunk(tld); chunk < highChunk(tld); chunk++) {
    const words = tableOf(tld, chunk);
    if (words === 0) continue;
    for (let bits = tld.i32[words + Chunk.present]; bits !== 0; bits &= bits - 1) {
      const index = 31 - Math.clz32(bits & -bits);
      const segment = segmentAt(tld, (chunk << tld.chunkShift) + (index << tld.segmentShift));
      if (isSegment(tld, segment)) visit(segment);
      else tld.damage(`the segment at ${segment * 4} does not say where it lies`);
    }
  }
}

/** Calls back for every page that starts in a segment; it may be freed meanwhile. */
export function forEachPageIn(tld: Tld, segment: Word, visit: (page: Word) => void): void {
  const { i32 } = tld;
  if (i32[segment + Segment.kind] === KIND_HUGE_TAIL) return;
  const base = i32[segment + Segment.base];
  if (!isSegment(tld, segment)) return;
  for (let slice = 0; slice < tld.slicesPerSegment; slice++) {
    const page = sliceAt(tld, base + (slice << tld.sliceShift));
    if (i32[page + Page.blockWords] !== 0) visit(page);
  }
}

/** Calls back for every heap of this thread, the backing heap first; it may be let go meanwhile. */
export function forEachHeap(tld: Tld, visit: (heap: Word) => void): void {
  let left = mostRecords(tld);
  for (let heap = tld.heap; heap !== 0; ) {
    if (left-- === 0 || !isOwnRecord(tld, heap)) {
      tld.damage(
        `the list of heaps of thread ${tld.threadId} leads to ${heap * 4}, which is none of them, or does not end`,
      );
      return;
    }
    const next = tld.i32[heap + Heap.next];
    visit(heap);
    heap = next;
  }
}

/**
 * Calls back for every record of a heap, whichever thread has it: those of the thread table, then those of
 * further heaps.
 */
export function forEachRecord(tld: Tld, visit: (heap: Word) => void): void {
  for (let slot = 0; slot < tld.slots; slot++) visit(slotAt(tld, slot));
  let left = mostRecords(tld);
  // Acquire: pairs with the exchange in makeRecords.
  for (
    let heap = Atomics.load(tld.i32, tld.header + Field.records);
    heap !== 0;
    heap = tld.i32[heap + Heap.record]
  ) {
    if (left-- === 0 || !isRecord(tld, heap)) {
      tld.damage(`the list of heap records leads to ${heap * 4}, which is none, or does not end`);
      return;
    }
    visit(heap);
  }
}

/**
 * The heap of this thread that adopts pages of an arena, and in which no thread allocates but the thread
 * itself: the backing heap for arena 0.
 * @returns 0 when the thread never made a heap in that arena
 */
export function keeperOf(tld: Tld, arena: number): Word {
  const { i32 } = tld;
  if (i32[tld.heap + Heap.arena] === arena) return tld.heap;
  let keeper = 0;
  forEachHeap(tld, (heap) => {
    if (tld.i32[heap + Heap.arena] === arena && tld.i32[heap + Heap.backing] === heap) keeper ||= heap;
  });
  return keeper;
}
