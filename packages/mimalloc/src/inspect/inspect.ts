/**
 * A picture of the whole region as plain objects, for people and for pages that draw it. Any thread may take
 * one while the others go on.
 *
 * **What may be off.** Nothing is locked, so the picture is put together from moments that differ. Of this
 * thread's own pages everything is exact, except `threadFree`, which others may have added to. Of other
 * threads' segments, `used` and the lengths of lists differ from each other by what was allocated and freed
 * meanwhile, and a list that was taken while it was walked ends early; a page that was made or given back
 * meanwhile may be there or not. Nothing is followed further than it can be long: a list ends after
 * `capacity` blocks and at the first link that leaves its page.
 */

import { countBits, type Word } from '@shmalloc/allocator-api';
import { threadOf } from '../huge/huge-block.ts';
import { Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import {
  binOfPage,
  DELAYED,
  GUARDED,
  HAS_ALIGNED,
  hasFlag,
  IN_FULL,
  Page,
  retireOf,
  slicesOf,
} from '../layout/page.ts';
import { forEachFree } from '../page/free-map.ts';
import { presentBytes } from '../region/memory.ts';
import { slotAt } from '../region/thread-table.ts';
import { forEachPageIn, forEachRecord, forEachSegment } from '../region/walk.ts';
import { arenasOf, capacityOf } from '../segment/bounds.ts';
import {
  ABANDONED_SEGMENT,
  FREE_SEGMENT,
  HUGE_SEGMENT,
  KIND_HUGE,
  KIND_HUGE_TAIL,
  Segment,
} from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import { kindOf, type PageKind } from './stats.ts';

/**
 * A page: blocks of one size.
 * @public
 */
export interface PagePicture {
  /** Where its first block is. */
  readonly address: number;
  /**
   * Small and medium pages are shared by their blocks; large ones have one block in some slices, huge ones in
   * segments of its own.
   */
  readonly kind: PageKind;
  /** Bytes of a block. */
  readonly blockSize: number;
  /** Its size class. */
  readonly bin: number;
  /** How many slices it has; 0 for a huge one. */
  readonly slices: number;
  /** Blocks that are live, or freed by other threads and not gathered. */
  readonly used: number;
  /** Blocks that were ever handed out, or are linked. */
  readonly capacity: number;
  /** Blocks that there is room for. */
  readonly reserved: number;
  /** Blocks on the list that `malloc` takes from. */
  readonly free: number;
  /** Blocks that the owner has freed. */
  readonly localFree: number;
  /** Blocks that other threads have freed. */
  readonly threadFree: number;
  /** The name of the thread that owns it; 0 when it is abandoned. */
  readonly owner: number;
  /**
   * In the queue of full pages; with addresses inside blocks handed out; in secure mode; waiting for news of
   * a foreign free.
   */
  readonly flags: readonly ('in_full' | 'has_aligned' | 'guarded' | 'delayed')[];
  /** The heap that it is from: where its record lies. */
  readonly heap: number;
  /** That heap's tag. */
  readonly tag: number;
  /** Generic allocations until the empty page is given back; 0 when it is not retired. */
  readonly retired: number;
}

/**
 * A segment: what a thread claims.
 * @public
 */
export interface SegmentPicture {
  /** Its first byte. */
  readonly address: number;
  /** Free, a thread's, or no thread's any more. A huge block is shown as the thread's that it is from. */
  readonly state: 'free' | 'owned' | 'abandoned';
  /** The name of the thread that owns it, or 0. */
  readonly owner: number;
  /** Divided into pages; or the first segment of a huge block, or another one of it. */
  readonly kind: 'pages' | 'huge' | 'tail';
  /** The exclusive arena that it is in, or 0. */
  readonly arena: number;
  /** Slices under management. */
  readonly slices: number;
  /** Those of them in no page. */
  readonly freeSlices: number;
  /** Its pages, by address. */
  readonly pages: readonly PagePicture[];
}

/**
 * A heap, of any thread.
 * @public
 */
export interface HeapPicture {
  /** Where its record lies. */
  readonly address: number;
  /** The thread that it belongs to. */
  readonly owner: number;
  /**
   * A thread's own heap; one that the program made; or one that keeps what others leave behind in an
   * exclusive arena.
   */
  readonly kind: 'backing' | 'heap' | 'keeper';
  /** What `heapNew` was given. */
  readonly tag: number;
  /** The exclusive arena that it is for, or 0. */
  readonly arena: number;
  /** How many pages it has, without those of huge blocks. */
  readonly pages: number;
  /** Generic allocations so far. */
  readonly heartbeat: number;
  /** Whether other threads have freed blocks that it has not looked at. */
  readonly delayed: boolean;
}

/**
 * What `MiMalloc.inspect` shows.
 * @public
 */
export interface Picture {
  /** How the region is divided, in bytes. */
  readonly region: {
    readonly start: number;
    readonly end: number;
    readonly segmentBytes: number;
    readonly sliceBytes: number;
    readonly slicesPerSegment: number;
    /** Bytes under management. */
    readonly totalBytes: number;
    /** Where the heap's own state lies. */
    readonly header: number;
    readonly headerBytes: number;
    readonly secure: number;
  };
  /** Names of the threads that are attached. */
  readonly threads: readonly number[];
  /** Heaps of all threads. */
  readonly heaps: readonly HeapPicture[];
  /** Exclusive arenas: their ids and what they have. */
  readonly arenas: readonly { readonly id: number; readonly bytes: number }[];
  /** All segments that have memory, by address. */
  readonly segments: readonly SegmentPicture[];
}

function pagePicture(tld: Tld, page: Word): PagePicture {
  const { i32 } = tld;
  const capacity = capacityOf(tld, page);
  // The page may have got more blocks since.
  const length = (list: number): number =>
    Math.min(
      capacity,
      forEachFree(tld, page, list, () => {}),
    );
  const heap = i32[page + Page.xheap];
  const flags: PagePicture['flags'][number][] = [];
  if (hasFlag(tld, page, IN_FULL)) flags.push('in_full');
  if (hasFlag(tld, page, HAS_ALIGNED)) flags.push('has_aligned');
  if (hasFlag(tld, page, GUARDED)) flags.push('guarded');
  if ((i32[page + Page.xthreadFree] & DELAYED) !== 0) flags.push('delayed');
  return {
    address: i32[page + Page.start] * 4,
    kind: kindOf(tld, page),
    blockSize: i32[page + Page.blockWords] * 4,
    bin: binOfPage(tld, page),
    slices: slicesOf(tld, page),
    used: i32[page + Page.used],
    capacity,
    reserved: i32[page + Page.reserved],
    free: length(Page.free),
    localFree: length(Page.localFree),
    threadFree: length(Page.xthreadFree),
    owner: threadOf(tld, page),
    flags,
    heap: heap * 4,
    // A page that is being made, or a damaged one, may name no heap.
    tag: i32[heap + Heap.tag] ?? 0,
    retired: retireOf(tld, page),
  };
}

/** Whose a segment is, as its THREAD_ID says, or for a huge block its page. */
function ownerNow(name: number, pages: readonly PagePicture[]): number {
  return name === HUGE_SEGMENT ? pages[0]?.owner || ABANDONED_SEGMENT : name;
}

function segmentPicture(tld: Tld, segment: Word): SegmentPicture {
  const field = (name: keyof typeof Segment): number => tld.i32[segment + Segment[name]];
  const kind = field('kind');
  const pages: PagePicture[] = [];
  if (field('threadId') !== FREE_SEGMENT)
    forEachPageIn(tld, segment, (page) => pages.push(pagePicture(tld, page)));
  const owner = ownerNow(field('threadId'), pages);
  const slices = countBits(field('presentLow')) + countBits(field('presentHigh'));
  return {
    address: field('base') * 4,
    state: owner === FREE_SEGMENT ? 'free' : owner === ABANDONED_SEGMENT ? 'abandoned' : 'owned',
    owner: owner === ABANDONED_SEGMENT ? 0 : owner,
    kind: kind === KIND_HUGE ? 'huge' : kind === KIND_HUGE_TAIL ? 'tail' : 'pages',
    arena: field('arena'),
    slices,
    freeSlices: owner === FREE_SEGMENT ? slices : countBits(field('freeLow')) + countBits(field('freeHigh')),
    pages,
  };
}

function heapPicture(tld: Tld, heap: Word, isBacking: boolean): HeapPicture {
  const field = (name: keyof typeof Heap): number => tld.i32[heap + Heap[name]];
  return {
    address: heap * 4,
    owner: field('threadId'),
    kind: isBacking ? 'backing' : field('backing') === heap ? 'keeper' : 'heap',
    tag: field('tag'),
    arena: field('arena'),
    pages: field('pageCount'),
    heartbeat: field('heartbeat'),
    delayed: field('delayedFree') !== 0,
  };
}

/** Takes the picture. O(slices + free blocks). */
export function inspectRegion(tld: Tld): Picture {
  tld.refresh();
  const { header, memory, sliceShift, slicesPerSegment } = tld;
  const segments: SegmentPicture[] = [];
  let head: SegmentPicture | undefined;
  forEachSegment(tld, (segment) => {
    const picture = segmentPicture(tld, segment);
    if (picture.kind === 'huge') head = picture;
    // Another segment of a huge block has the name of a thread that may have ended; it goes with the first.
    if (picture.kind !== 'tail' || head === undefined) segments.push(picture);
    else segments.push({ ...picture, owner: head.owner, state: head.state });
  });
  const heaps: HeapPicture[] = [];
  const firstSlot = slotAt(tld, 0);
  const lastSlot = slotAt(tld, tld.slots);
  forEachRecord(tld, (heap) => {
    if (tld.i32[heap + Heap.threadId] === 0) return;
    heaps.push(heapPicture(tld, heap, heap >= firstSlot && heap < lastSlot));
  });
  const sliceBytes = 4 << sliceShift;
  // Only now: memory may have come.
  const { i32 } = tld;
  return {
    region: {
      start: memory.start,
      end: memory.end,
      segmentBytes: 4 << tld.segmentShift,
      sliceBytes,
      slicesPerSegment,
      totalBytes: presentBytes(tld),
      header: header * 4,
      headerBytes: (i32[header + Field.end] - header) * 4,
      secure: i32[header + Field.secure],
    },
    threads: heaps.filter(({ kind }) => kind === 'backing').map(({ owner }) => owner),
    heaps,
    arenas: Array.from({ length: arenasOf(tld) }, (_, index) => ({
      id: index + 1,
      bytes: segments
        .filter(({ arena }) => arena === index + 1)
        .reduce((bytes, { slices }) => bytes + slices * sliceBytes, 0),
    })),
    segments,
  };
}
