/**
 * The walk over everything: what the invariants say, as code.
 *
 * ```
 *   this thread's pages, segments, queues         exact, but for what others push onto thread_free
 *   what no thread has                            exact, if it stays so while it is looked at
 *   another thread's                              what holds at each of its steps (`moving`); when it is
 *                                                 known to be outside of a call (`quiet`), exact
 * ```
 *
 * **No false alarm.** What is not this thread's may change between two looks, so a finding stands only if so
 * many looks in a row find the same, and all words that it is about are the same all that time. A thread may
 * be stopped anywhere for any time, so of its pages only that is demanded which holds between any two of its
 * stores.
 */

import type { ValidateOptions, Word } from '@shmalloc/allocator-api';
import { BIN_COUNT, BIN_DIRECT_FIRST, BIN_FULL, BIN_WORDS, DIRECT_COUNT } from '../layout/bins.ts';
import { SEGMENTS_PER_CHUNK } from '../layout/geometry.ts';
import { Field } from '../layout/header.ts';
import { HEAP_QUEUES, Heap } from '../layout/heap.ts';
import { binOfPage, hasFlag, IN_FULL, Page } from '../layout/page.ts';
import { Chunk, rootWords, segmentAt } from '../layout/page-map.ts';
import { firstPage } from '../page/queue.ts';
import { demandNullZone } from '../region/null-write.ts';
import { demandIntact } from '../region/secure-mode.ts';
import { slotAt } from '../region/thread-table.ts';
import { forEachHeap, forEachRecord, forEachSegment } from '../region/walk.ts';
import { highChunk, isPage, isSegment, lowChunk, mostSegments, tableOf } from '../segment/bounds.ts';
import { FREE_SEGMENT, KIND_HUGE_TAIL, Segment } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import { demand } from './demand.ts';
import { validateSegment } from './validate-segment.ts';

/** The list of a thread's segments with free slices, link by link. */
function listedSegments(tld: Tld, heap: Word, listed: Set<Word>): void {
  const { i32 } = tld;
  let prev = 0;
  let left = mostSegments(tld);
  for (let segment = i32[heap + Heap.segments]; segment !== 0; segment = i32[segment + Segment.next]) {
    demand(isSegment(tld, segment), `the list of segments leads to ${segment * 4}, which is none`);
    demand(left-- > 0 && !listed.has(segment), 'the list of segments goes in circles');
    demand(i32[segment + Segment.prev] === prev, 'the list of segments has a wrong link');
    listed.add(segment);
    prev = segment;
  }
}

/** Segments that no walk would meet. */
function validateTables(tld: Tld): void {
  const most = rootWords(tld.chunkShift);
  for (const field of [Field.chunkLow, Field.chunkHigh]) {
    const chunk = tld.i32[tld.header + field];
    demand(
      chunk >= 0 && chunk <= most,
      `walks go from chunk ${lowChunk(tld)} to ${chunk}, and there are ${most}`,
    );
  }
  for (let chunk = lowChunk(tld); chunk < highChunk(tld); chunk++) {
    const words = tableOf(tld, chunk);
    if (words === 0) continue;
    const { i32 } = tld;
    for (let index = 0; index < SEGMENTS_PER_CHUNK; index++) {
      const base = (chunk << tld.chunkShift) + (index << tld.segmentShift);
      const segment = segmentAt(tld, base);
      // In this order: the bit is set before the slices are.
      const hasMemory = (i32[segment + Segment.presentLow] | i32[segment + Segment.presentHigh]) !== 0;
      demand(
        !hasMemory || (i32[words + Chunk.present] & (1 << index)) !== 0,
        `the segment at ${base * 4} has memory, and its bit of ${i32[words + Chunk.present]} is not set`,
      );
    }
  }
}

/** The queues and the direct table of one heap. */
function validateQueues(tld: Tld, heap: Word): void {
  const { i32 } = tld;
  let pages = 0;
  for (let bin = 1; bin <= BIN_FULL; bin++) {
    let prev = 0;
    for (let page = firstPage(tld, heap, bin); page !== 0; page = i32[page + Page.next]) {
      const what = `the page at ${i32[page + Page.start] * 4} in queue ${bin}`;
      demand(i32[page + Page.blockWords] !== 0 && isPage(tld, page), `${what} is no page`);
      demand(i32[page + Page.prev] === prev, `${what} has a wrong link`);
      demand(i32[page + Page.xheap] === heap, `${what} belongs to another heap`);
      const full = hasFlag(tld, page, IN_FULL);
      demand(full === (bin === BIN_FULL), `${what} has the wrong flag in_full`);
      demand(full || binOfPage(tld, page) === bin, `${what} is of bin ${binOfPage(tld, page)}`);
      demand(
        ++pages <= i32[heap + Heap.pageCount],
        `the queues hold more than ${i32[heap + Heap.pageCount]} pages`,
      );
      prev = page;
    }
    demand(prev === i32[heap + HEAP_QUEUES + bin * 2 + 1], `queue ${bin} ends elsewhere`);
  }
  demand(
    pages === i32[heap + Heap.pageCount],
    `the queues hold ${pages} pages, ${i32[heap + Heap.pageCount]} are counted`,
  );
  for (let bin = 1; bin < BIN_COUNT; bin++) {
    const granules = BIN_WORDS[bin] >>> 1;
    if (granules === 0 || granules >= DIRECT_COUNT) continue;
    const first = tld.guard === null ? firstPage(tld, heap, bin) : 0;
    for (let entry = BIN_DIRECT_FIRST[bin]; entry <= granules; entry++) {
      demand(
        i32[heap + Heap.direct + entry] === (first === 0 ? tld.emptyPage : first),
        `entry ${entry} of the direct table is not the first page of queue ${bin}`,
      );
    }
  }
}

/** The backing heaps whose threads are looked at exactly, by their threads' names. */
function exactHeaps(tld: Tld, quiet: boolean): Map<number, Word> {
  const heaps = new Map([[tld.threadId, tld.heap]]);
  if (!quiet) return heaps;
  for (let slot = 0; slot < tld.slots; slot++) {
    const heap = slotAt(tld, slot);
    const name = tld.i32[heap + Heap.threadId];
    if (name !== 0) heaps.set(name, heap);
  }
  return heaps;
}

/**
 * Walks everything that belongs to this thread, and what can be said of the rest while others work; the rest
 * as strictly where `quiet` says that none does.
 * @throws AllocError `Corrupted` with the first broken invariant
 */
export function validateHeap(tld: Tld, { quiet = false }: ValidateOptions = {}): void {
  tld.refresh();
  demandNullZone(tld);
  demandIntact(tld);
  demand(tld.i32[tld.emptyPage] === 0, 'the empty page has a block');
  const heaps = exactHeaps(tld, quiet);
  const listed = new Set<Word>();
  for (const heap of heaps.values()) listedSegments(tld, heap, listed);
  validateTables(tld);
  const counts = new Map<number, number>();
  forEachSegment(tld, (segment) => {
    const { i32 } = tld;
    const owner = i32[segment + Segment.threadId];
    // What follows the first segment of a huge block goes with it, whatever name it has.
    if (owner !== FREE_SEGMENT && i32[segment + Segment.kind] !== KIND_HUGE_TAIL)
      counts.set(owner, (counts.get(owner) ?? 0) + Math.max(1, i32[segment + Segment.count]));
    validateSegment(tld, segment, { exact: quiet || owner === tld.threadId, listed });
  });
  for (const [name, heap] of heaps) {
    const own = counts.get(name) ?? 0;
    const counted = tld.i32[heap + Heap.segmentCount];
    demand(own === counted, `${own} segments belong to this thread, ${counted} are counted`);
  }
  if (!quiet) forEachHeap(tld, (heap) => validateQueues(tld, heap));
  else {
    forEachRecord(tld, (heap) => {
      if (tld.i32[heap + Heap.threadId] !== 0) validateQueues(tld, heap);
    });
  }
}
