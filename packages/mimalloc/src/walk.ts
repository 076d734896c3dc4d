/**
 * Walks over what there is, for everyone who looks at more than one page: validation, inspection, statistics, adoption.
 */

import { findSegment } from './arena.ts';
import type { Word } from './geometry.ts';
import { Field } from './header.ts';
import { Heap } from './heap.ts';
import { Page } from './page.ts';
import { Chunk, sliceAt } from './page-map.ts';
import { KIND_HUGE_TAIL, Segment } from './segment.ts';
import { slotAt } from './thread-table.ts';
import type { Tld } from './tld.ts';

/** Calls back for every segment that has memory, in address order. */
export function forEachSegment(tld: Tld, visit: (segment: Word) => void): void {
  findSegment(tld, Chunk.present, (segment) => {
    visit(segment);
    return false;
  });
}

/** Calls back for every page that starts in a segment; it may be freed meanwhile. */
export function forEachPageIn(tld: Tld, segment: Word, visit: (page: Word) => void): void {
  const { i32 } = tld;
  if (i32[segment + Segment.kind] === KIND_HUGE_TAIL) return;
  const base = i32[segment + Segment.base];
  for (let slice = 0; slice < tld.slicesPerSegment; slice++) {
    const page = sliceAt(tld, base + (slice << tld.sliceShift));
    if (i32[page + Page.blockWords] !== 0) visit(page);
  }
}

/** Calls back for every heap of this thread, the backing heap first; it may be let go meanwhile. */
export function forEachHeap(tld: Tld, visit: (heap: Word) => void): void {
  for (let heap = tld.heap; heap !== 0; ) {
    const next = tld.i32[heap + Heap.next];
    visit(heap);
    heap = next;
  }
}

/** Calls back for every record of a heap, whoever has it: those of the thread table, then those of further heaps. */
export function forEachRecord(tld: Tld, visit: (heap: Word) => void): void {
  const { i32, header } = tld;
  for (let slot = 0; slot < i32[header + Field.slots]; slot++) visit(slotAt(tld, slot));
  for (let heap = Atomics.load(i32, header + Field.records); heap !== 0; heap = i32[heap + Heap.record])
    visit(heap);
}

/**
 * The heap of this thread that adopts pages of an arena, and in which nobody allocates but the thread itself: the backing heap for arena 0.
 * @returns 0 when the thread never made a heap in that arena
 */
export function keeperOf(tld: Tld, arena: number): Word {
  const { i32 } = tld;
  for (let heap = tld.heap; heap !== 0; heap = i32[heap + Heap.next]) {
    if (i32[heap + Heap.arena] === arena && i32[heap + Heap.backing] === heap) return heap;
  }
  return 0;
}
