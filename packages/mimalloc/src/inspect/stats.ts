/**
 * What a heap tells about itself in numbers: the header's words, the counters of all records added up, and a
 * count of what there is.
 */

import type { HeapStats, ThreadStats, Word } from '@shmalloc/allocator-api';
import { threadOf } from '../huge/huge-block.ts';
import { BIN_HUGE } from '../layout/bins.ts';
import { Counter } from '../layout/counters.ts';
import { OS_PAGE_BYTES } from '../layout/geometry.ts';
import { ALGORITHM_NAME, Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import { binOfPage, Page, slicesOf } from '../layout/page.ts';
import { presentBytes } from '../region/memory.ts';
import { slotAt } from '../region/thread-table.ts';
import { forEachPageIn, forEachRecord, forEachSegment } from '../region/walk.ts';
import { arenasOf } from '../segment/bounds.ts';
import { ABANDONED_SEGMENT, FREE_SEGMENT, HUGE_SEGMENT, Segment } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import { usedBytes } from './used.ts';

/**
 * What happened since the region was made, in all threads together, those that have ended included. A count
 * may lack what a thread is doing at the moment.
 * @public
 */
export interface MiCounters {
  /** Pages made for blocks that share them. */
  readonly pages: number;
  /** Pages of any kind given back to their segments. */
  readonly pagesFreed: number;
  /** Empty pages that were kept for a while, and given back when their time was up. */
  readonly retired: number;
  /** Times that a page got more blocks. */
  readonly extended: number;
  /** Pages of one block inside a segment. */
  readonly largePages: number;
  /** Pages of one block over segments of its own. */
  readonly hugePages: number;
  /** Free segments that a thread has taken. */
  readonly segmentsClaimed: number;
  /** Segments given back when their last page went. */
  readonly segmentsReleased: number;
  /** Pages looked at for a free block. */
  readonly searches: number;
  /** Requests answered with 0. */
  readonly failures: number;
  /** Times that everything was collected because memory was short. */
  readonly collections: number;
  /** Blocks that came back over a heap's list of delayed frees. */
  readonly delayed: number;
}

/**
 * What `MiMalloc.stats` tells.
 * @public
 */
export interface MiStats extends HeapStats {
  readonly failures: number;
  readonly errors: number;
  /** Bytes of address space: what is under management, and the heap's own state. */
  readonly reservedBytes: number;
  /** Bytes that have memory behind them. */
  readonly committedBytes: number;
  /** The most of those. */
  readonly peakCommittedBytes: number;
  /** Pages that there are: of shared blocks and of single ones. */
  readonly pages: number;
  /** Blocks with a page of their own inside a segment. */
  readonly large: number;
  /** Blocks with segments of their own. */
  readonly huge: number;
  /** Segments that have an owner, or pages. */
  readonly segments: number;
  /**
   * Segments that wait for a thread to adopt them, and huge blocks whose thread has gone, which wait for
   * nothing but their free.
   */
  readonly abandonedSegments: number;
  /** Segments that no thread has. */
  readonly freeSegments: number;
  /** How this thread does what crosses threads: `'wasm'` or `'js'`. */
  readonly crossings: 'wasm' | 'js';
  /** Heaps of all threads, one for each thread included. */
  readonly heaps: number;
  /** Exclusive arenas. */
  readonly arenas: number;
  /** The level of secure mode. */
  readonly secure: number;
  /** Times that memory was given back. */
  readonly purges: number;
  /** How much that was in all. */
  readonly purgedBytes: number;
  /** What happened since the region was made. */
  readonly counters: MiCounters;
}

/** The counters of all records, whichever thread had them. */
function countersOf(tld: Tld): MiCounters {
  const sums: Record<string, number> = {};
  for (const [name, counter] of Object.entries(Counter)) {
    sums[name] = 0;
    forEachRecord(tld, (heap) => {
      sums[name] += tld.i32[heap + Heap.counters + counter] >>> 0;
    });
  }
  return sums as unknown as MiCounters;
}

/** The threads that there are. `heldBytes` is what lies in their segments' slices in use. */
function threadsOf(tld: Tld, held: ReadonlyMap<number, number>): ThreadStats[] {
  const threads: ThreadStats[] = [];
  for (let slot = 0; slot < tld.slots; slot++) {
    const record = slotAt(tld, slot);
    const threadId = tld.i32[record + Heap.threadId];
    if (threadId === 0) continue;
    threads.push({
      threadId,
      lockWaits: 0,
      // Not counted: a foreign free is one exchange, and a count would be a second.
      remoteFrees: null,
      heldBytes: held.get(threadId) ?? 0,
      failures: tld.i32[record + Heap.counters + Counter.failures] >>> 0,
    });
  }
  return threads;
}

/** Heaps of all threads. */
function countHeaps(tld: Tld): number {
  let heaps = 0;
  forEachRecord(tld, (heap) => {
    if (tld.i32[heap + Heap.threadId] !== 0) heaps++;
  });
  return heaps;
}

/**
 * What kind of page it is, by where its blocks lie.
 * @public
 */
export type PageKind = 'small' | 'medium' | 'large' | 'huge';

export function kindOf(tld: Tld, page: Word): PageKind {
  const slices = slicesOf(tld, page);
  if (binOfPage(tld, page) === BIN_HUGE) return slices === 0 ? 'huge' : 'large';
  return slices > 1 ? 'medium' : 'small';
}

/** Segments and pages. */
function countMemory(tld: Tld): {
  pages: number;
  large: number;
  huge: number;
  segments: number;
  abandonedSegments: number;
  freeSegments: number;
  held: Map<number, number>;
} {
  const found = { pages: 0, large: 0, huge: 0, segments: 0, abandonedSegments: 0, freeSegments: 0 };
  const held = new Map<number, number>();
  forEachSegment(tld, (segment) => {
    const owner = tld.i32[segment + Segment.threadId];
    if (owner === FREE_SEGMENT) {
      found.freeSegments++;
      return;
    }
    found.segments++;
    if (owner === ABANDONED_SEGMENT) found.abandonedSegments++;
    forEachPageIn(tld, segment, (page) => {
      const kind = kindOf(tld, page);
      if (owner === HUGE_SEGMENT && threadOf(tld, page) === 0) found.abandonedSegments++;
      found.pages++;
      const bytes =
        kind === 'huge' ? tld.i32[page + Page.blockWords] * 4 : slicesOf(tld, page) << (tld.sliceShift + 2);
      const thread = threadOf(tld, page);
      held.set(thread, (held.get(thread) ?? 0) + bytes);
      if (kind === 'large' || kind === 'huge') found[kind]++;
    });
  });
  return { ...found, held };
}

/** All of it. O(pages). */
export function statsOf(tld: Tld): MiStats {
  tld.refresh();
  const { header } = tld;
  const field = (name: keyof typeof Field): number => tld.i32[header + Field[name]];
  // In this order: what comes in between makes the total larger, never the blocks in use.
  const used = usedBytes(tld);
  const totalBytes = Math.max(presentBytes(tld), used);
  const counters = countersOf(tld);
  const { held, ...memory } = countMemory(tld);
  return {
    algorithm: ALGORITHM_NAME,
    lock: 'none',
    totalBytes,
    usedBytes: used,
    availableBytes: totalBytes - used,
    footprintBytes: field('peak') * OS_PAGE_BYTES,
    reservedBytes: totalBytes + (field('end') - header) * 4,
    committedBytes: field('committed') * OS_PAGE_BYTES,
    peakCommittedBytes: field('peak') * OS_PAGE_BYTES,
    ...memory,
    threads: threadsOf(tld, held),
    heaps: countHeaps(tld),
    crossings: tld.crossings.kind,
    arenas: arenasOf(tld),
    secure: field('secure'),
    purges: field('purges'),
    purgedBytes: field('purgedPages') * OS_PAGE_BYTES,
    failures: counters.failures,
    errors: field('errors'),
    counters,
  };
}
