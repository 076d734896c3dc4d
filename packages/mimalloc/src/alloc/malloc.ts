/**
 * Allocation off the fast path: what `malloc` does when the page at hand has no free block.
 *
 * ```
 *   malloc ──▶ direct table ──▶ page.free ──▶ block                       the fast path, in core-thread.ts
 *                                  │ empty
 *                                  ▼
 *   mallocGeneric: deferred frees · delayed frees · retired pages
 *        │ small, medium                                   │ larger than a quarter of a medium page
 *        ▼                                                 ▼
 *   the first page of the queue, collected                 mallocSingle: slices of a segment,
 *     ▸ searchPage: a few more of them                       or segments in a row
 *     ▸ freshPage: adopted, or made in a segment
 *       of ours, a free segment, more memory
 *        │ nothing                                         │ nothing
 *        ▼                                                 ▼
 *   mallocAgain: collect everything once, try once more, give 0
 * ```
 */

import type { Word } from '@shmalloc/allocator-api';
import { reclaimAll } from '../exit/abandon.ts';
import { reclaimOne } from '../exit/reclaim.ts';
import { collectHeap, collectRetired } from '../foreign/collect.ts';
import { collectDelayed } from '../foreign/delayed.ts';
import { frontPage, takeIn } from '../foreign/take-in.ts';
import { hugePage } from '../huge/huge.ts';
import { dropHuge, isHuge, publishHuge } from '../huge/huge-block.ts';
import { BIN_HUGE, BIN_WORDS, binOf } from '../layout/bins.ts';
import { Counter, count } from '../layout/counters.ts';
import { MAX_REQUEST, OS_PAGE_BYTES } from '../layout/geometry.ts';
import { Field } from '../layout/header.ts';
import { HEAP_QUEUES, Heap } from '../layout/heap.ts';
import { pageOf } from '../layout/lookup.ts';
import { DELAYED, Page, type PagePlan, setRetire } from '../layout/page.ts';
import { segmentAt } from '../layout/page-map.ts';
import { collectPage, extendPage } from '../page/blocks.ts';
import { lookAtFull, meetOthers, toFull } from '../page/full.ts';
import { dropGuests } from '../page/guests.ts';
import { pushPage, removePage, rotatePages } from '../page/queue.ts';
import { freePage } from '../page/retire.ts';
import { growForHuge, growForPage, isBeyond, MAX_GROWTHS } from '../region/grow.ts';
import { adoptMemory } from '../region/memory.ts';
import { lookAtNull } from '../region/null-write.ts';
import { claimSegmentFor, ownSegmentFor } from '../segment/arena.ts';
import { purgeArena, purgeOwn } from '../segment/purge.ts';
import { reach } from '../segment/reach.ts';
import { commit, findSlices, type HugeRequest, type SliceRequest, takeSlices } from '../segment/segment.ts';
import type { Guard } from '../thread/guard.ts';
import type { Tld } from '../thread/thread-view.ts';

const SEARCHES: number = Heap.counters + Counter.searches;

/** Pages of a queue that are compared before one is taken. */
const MAX_CANDIDATES = 4;

/** Abandoned segments that one request adopts before it claims a free one. */
const MAX_ADOPTED = 8;

/** A mask: one generic allocation in 64 looks whether memory is due to be given back. */
const HOUSEKEEPING = 63;

/** A medium page has this many slices; a block is at most a quarter of its page. */
const MEDIUM_SLICES = 8;

/** Slices of a page with blocks of this size: a quarter of the page is the largest. */
function slicesFor(tld: Tld, blockWords: number): number {
  return blockWords <= 1 << (tld.sliceShift - 2) ? 1 : MEDIUM_SLICES;
}

/**
 * Allocates.
 *
 * One long function, and on purpose: V8 puts functions of up to 460 bytes of bytecode into their callers
 * until 920 are spent, and a program's loop had better spend them on `malloc` and `free` than on this.
 * @param size - bytes that were asked for
 * @param room - bytes that the block shall have at least, for alignment
 * @returns the block's word, 0 when there is no memory
 */
export function mallocGeneric(tld: Tld, heap: Word, size: number, room: number): Word {
  if (tld.i32[tld.header + Field.epoch] !== tld.epoch) lookAround(tld);
  // Only now: pages of this thread may lie in memory that has come, where several objects share one slot.
  const { i32, guard } = tld;
  const heartbeat = i32[heap + Heap.heartbeat] + 1;
  i32[heap + Heap.heartbeat] = heartbeat;
  if (tld.deferredFree !== null) {
    tld.runDeferred(false, heartbeat);
    // The hook has made the memory grow: `i32` does not reach it.
    if (tld.i32 !== i32) return mallocGeneric(tld, heap, size, room);
  }
  if (i32[heap + Heap.delayedFree] !== 0) collectDelayed(tld, heap);
  if (i32[heap + Heap.retiredHigh] !== 0) collectRetired(tld, heap, false);
  if ((heartbeat & HOUSEKEEPING) === 0) purgeWhatIsDue(tld);
  if (guard !== null) return mallocGuarded(tld, guard, heap, size, room);
  const bytes = Math.max(size, room);
  if (bytes > tld.mediumMax) {
    const single = mallocSingle(tld, heap, bytes, 1, 0);
    return single === 0 ? mallocAgain(tld, heap, bytes) : single;
  }
  const bin = binOf(bytes);
  const page = i32[heap + HEAP_QUEUES + (bin << 1)];
  if (page === 0) return takeFrom(tld, heap, bytes, freshPage(tld, heap, bin));
  if ((i32[page + Page.xthreadFree] & ~DELAYED) !== 0) collectPage(tld, page, false);
  if (i32[page + Page.free] === 0) {
    const local = i32[page + Page.localFree];
    if (local === 0) return takeFrom(tld, heap, bytes, searchPage(tld, heap, bin, page));
    i32[page + Page.free] = local;
    i32[page + Page.localFree] = 0;
    if (tld.guests !== null) dropGuests(tld, page, local);
  }
  // Pop before `USED++`: a thread that ends between the two loses this block, and no page.
  const block = i32[page + Page.free];
  i32[page + Page.free] = i32[block];
  i32[page + Page.used]++;
  return block;
}

/** A block of a page that was looked for: it may lie in memory that has come meanwhile. */
function takeFrom(tld: Tld, heap: Word, bytes: number, page: Word): Word {
  if (page === 0) return mallocAgain(tld, heap, bytes);
  const { i32 } = tld;
  const block = i32[page + Page.free];
  i32[page + Page.free] = i32[block];
  i32[page + Page.used]++;
  return block;
}

/** Gives memory back that has been empty for its time, and looks for writes through NULL. */
function purgeWhatIsDue(tld: Tld): void {
  lookAtNull(tld);
  purgeOwn(tld, false);
  purgeArena(tld, false);
}

/** The same in secure mode. */
function mallocGuarded(tld: Tld, guard: Guard, heap: Word, size: number, room: number): Word {
  const zoned = room === 0 ? guard.sample(tld, size) : 0;
  const sampled = zoned === 0 ? 0 : mallocOnce(tld, heap, zoned);
  if (sampled !== 0) return guard.handOutZoned(tld, pageOf(tld, sampled), sampled, size);
  // Twice the padding is the least: a link must not reach into it.
  const bytes = Math.max(size + guard.padding, 2 * guard.padding, room);
  let block = mallocOnce(tld, heap, bytes);
  if (block === 0) block = mallocAgain(tld, heap, bytes);
  if (block !== 0) guard.handOut(tld, pageOf(tld, block), block, size);
  else guard.tell(tld);
  return block;
}

/** A block, if there is memory without further ado. */
function mallocOnce(tld: Tld, heap: Word, bytes: number): Word {
  return bytes <= tld.mediumMax ? mallocShared(tld, heap, bytes) : mallocSingle(tld, heap, bytes, 1, 0);
}

/**
 * The second try, after everything that can be freed was freed. A request that can never be met is answered
 * at once.
 */
function mallocAgain(tld: Tld, heap: Word, bytes: number): Word {
  const isHopeless = bytes > MAX_REQUEST || isBeyond(tld, bytes);
  if (!isHopeless) makeRoom(tld, heap);
  const block = isHopeless ? 0 : mallocOnce(tld, heap, bytes);
  if (block === 0) count(tld, heap, Counter.failures);
  return block;
}

/** Frees everything that can be freed: memory is short. */
function makeRoom(tld: Tld, heap: Word): void {
  count(tld, heap, Counter.collections);
  lookAtNull(tld);
  tick(tld, heap);
  reclaimAll(tld);
  collectHeap(tld, heap, true);
}

/** The same for a block with a page of its own, which starts where it is asked to. */
export function mallocSingleGeneric(tld: Tld, heap: Word, size: number, align: number, offset: number): Word {
  if (tld.i32[tld.header + Field.epoch] !== tld.epoch) lookAround(tld);
  let block = mallocSingle(tld, heap, size, align, offset);
  if (block === 0 && size <= MAX_REQUEST && !isBeyond(tld, size)) {
    makeRoom(tld, heap);
    block = mallocSingle(tld, heap, size, align, offset);
  }
  if (block === 0) count(tld, heap, Counter.failures);
  return block;
}

/**
 * Sees to it that this object's views reach what others have grown since it looked last: for objects that
 * share a slot, and so each other's pages.
 */
export function lookForMemory(tld: Tld): void {
  if (tld.i32[tld.header + Field.epoch] !== tld.epoch) lookAround(tld);
}

/** Looks at memory and threads that have come since this thread looked last. */
function lookAround(tld: Tld): void {
  // Taken down before looking: what comes meanwhile is looked at the next time.
  const epoch = tld.i32[tld.header + Field.epoch];
  tld.refresh();
  tld.epoch = epoch;
  adoptMemory(tld);
  meetOthers(tld);
  lookAtFull(tld);
}

/** What every generic allocation does besides, once more and with force. */
function tick(tld: Tld, heap: Word): void {
  const { i32 } = tld;
  const heartbeat = i32[heap + Heap.heartbeat] + 1;
  i32[heap + Heap.heartbeat] = heartbeat;
  tld.runDeferred(true, heartbeat);
  collectDelayed(tld, heap);
  collectRetired(tld, heap, true);
}

/** A block that shares a page with others of its size. */
function mallocShared(tld: Tld, heap: Word, size: number): Word {
  const bin = binOf(size);
  let page = tld.i32[heap + HEAP_QUEUES + (bin << 1)];
  if (page !== 0) collectPage(tld, page, false);
  if (page === 0 || tld.i32[page + Page.free] === 0) page = searchPage(tld, heap, bin, page);
  if (page === 0) return 0;
  if (tld.guard !== null) return tld.guard.pop(tld, page);
  // Only now: memory may have come.
  const { i32 } = tld;
  const block = i32[page + Page.free];
  i32[page + Page.free] = i32[block];
  i32[page + Page.used]++;
  return block;
}

/**
 * Looks for a page with a free block.
 * @param first - the first of the queue, in which there is none; 0 when the queue is empty
 */
function searchPage(tld: Tld, heap: Word, bin: number, first: Word): Word {
  if (first === 0) return freshPage(tld, heap, bin);
  const { i32 } = tld;
  setRetire(tld, first, 0);
  // Rather a page with a block than one that needs more memory.
  let candidate = i32[first + Page.capacity] < i32[first + Page.reserved] ? first : 0;
  let looks = 1;
  for (let page = i32[first + Page.next]; page !== 0 && looks <= MAX_CANDIDATES; looks++) {
    const next = i32[page + Page.next];
    if (i32[page + Page.localFree] !== 0 || i32[page + Page.xthreadFree] !== 0) collectPage(tld, page, false);
    if (i32[page + Page.free] !== 0) {
      candidate = page;
      break;
    }
    if (i32[page + Page.capacity] === i32[page + Page.reserved]) toFull(tld, heap, bin, page);
    else if (candidate === 0) candidate = page;
    page = next;
  }
  i32[heap + SEARCHES] += looks;
  if (candidate === 0) return freshPage(tld, heap, bin);
  setRetire(tld, candidate, 0);
  if (i32[candidate + Page.free] === 0) {
    count(tld, heap, Counter.extended);
    if (!extendPage(tld, candidate)) return 0;
  }
  if (candidate !== first) {
    // The page that was allocated from until now goes to the end: by the time it is first again it is likely
    // to have got blocks back. One that has got none since then is full.
    rotatePages(tld, heap, bin);
    if (i32[candidate + Page.prev] !== 0) {
      removePage(tld, heap, bin, candidate);
      pushPage(tld, heap, bin, candidate);
    }
  }
  return candidate;
}

/**
 * A page of this bin with a free block that a thread has left behind, in front of its queue now. A thread's
 * own heap adopts one segment for it; a heap of the program several, since what it does not take in goes to
 * the thread's own.
 * @param count - slices of a new page: while there is room for one, nothing is adopted
 * @returns 0 when what was left behind has none
 */
function adoptPage(tld: Tld, heap: Word, bin: number, count: number): Word {
  const arena = tld.i32[heap + Heap.arena];
  if (ownSegmentFor(tld, arena, { count, align: 1, residue: 0 }) !== 0) return 0;
  for (let tries = heap === tld.heap ? 1 : MAX_ADOPTED; tries > 0 && reclaimOne(tld, arena); tries--) {
    const page = frontPage(tld, heap, bin) || takeIn(tld, heap, bin);
    if (page !== 0) return page;
  }
  return 0;
}

/** A new page, in front of its queue. */
function freshPage(tld: Tld, heap: Word, bin: number): Word {
  const blockWords = BIN_WORDS[bin];
  const smallest = Math.ceil(blockWords / (1 << tld.sliceShift));
  const adopted = adoptPage(tld, heap, bin, slicesFor(tld, blockWords));
  if (adopted !== 0) return adopted;
  // When no long run of slices is left, a page of fewer blocks does.
  for (let slices = slicesFor(tld, blockWords); slices >= smallest; slices >>= 1) {
    const last = slices >> 1 < smallest;
    const page = takePage(tld, heap, bin, blockWords, { count: slices, align: 1, residue: 0 }, 0, last);
    if (page === 0) continue;
    count(tld, heap, Counter.pages);
    if (!extendPage(tld, page)) {
      freePage(tld, page);
      return 0;
    }
    pushPage(tld, heap, bin, page);
    return page;
  }
  // Where there is no more memory, room in a page of others' blocks.
  return takeIn(tld, heap, bin);
}

/**
 * A page out of a segment, which is claimed, or made of new memory, when none of ours has room.
 * @param grow - whether the memory may grow for it
 */
export function takePage(
  tld: Tld,
  heap: Word,
  bin: number,
  blockWords: number,
  request: SliceRequest,
  offset: number,
  grow: boolean,
): Word {
  const arena = tld.i32[heap + Heap.arena];
  let segment = ownSegmentFor(tld, arena, request);
  // What threads that have ended left behind comes before what no thread had.
  for (let tries = 0; segment === 0 && tries < MAX_ADOPTED && reclaimOne(tld, arena); tries++)
    segment = ownSegmentFor(tld, arena, request);
  if (segment === 0) segment = claimSegmentFor(tld, arena, request);
  while (segment === 0 && reclaimOne(tld, arena)) segment = ownSegmentFor(tld, arena, request);
  if (grow && arena === 0) {
    for (let tries = 0; segment === 0 && tries < MAX_GROWTHS && growForPage(tld, request); tries++) {
      segment = ownSegmentFor(tld, arena, request);
      if (segment === 0) segment = claimSegmentFor(tld, arena, request);
    }
  }
  if (segment === 0) return 0;
  const slice = findSlices(tld, segment, request);
  const page = takeSlices(tld, segment, slice, { heap, bin, blockWords, slices: request.count, offset });
  tld.i32[heap + Heap.pageCount]++;
  return page;
}

/**
 * A block with a page of its own.
 * @param size - bytes
 * @param align - bytes, a power of two
 * @param offset - bytes; the address plus this is a multiple of `align`
 */
export function mallocSingle(tld: Tld, heap: Word, size: number, align: number, offset: number): Word {
  if (size > MAX_REQUEST) return 0;
  const { sliceShift, segmentShift } = tld;
  // Whole OS pages: that much is committed anyway.
  const blockWords = Math.max(1, Math.ceil(size / OS_PAGE_BYTES)) * (OS_PAGE_BYTES / 4);
  const alignWords = Math.max(align, 8) / 4;
  const slice = 1 << sliceShift;
  const offsetWords = (offset / 4) % alignWords;
  // Where the block starts in its first slice.
  const within = (alignWords - offsetWords) % Math.min(alignWords, slice);
  const slices = Math.ceil((within + blockWords) / slice);
  const stride = Math.max(1, alignWords / slice);
  const residue = stride === 1 ? 0 : (((alignWords - offsetWords) % alignWords) - within) / slice;
  const isInside = slices <= tld.slicesPerSegment && alignWords <= 1 << segmentShift;
  const inside = { count: slices, align: stride, residue };
  const request = { words: blockWords, align: alignWords, offset: offsetWords };
  const plan = { heap, bin: BIN_HUGE, blockWords, slices: 0, offset: 0 };
  let page = isInside ? takePage(tld, heap, BIN_HUGE, blockWords, inside, within, false) : 0;
  if (page === 0) page = hugePage(tld, tld.i32[heap + Heap.arena], request, plan);
  if (page === 0 && isInside) page = takePage(tld, heap, BIN_HUGE, blockWords, inside, within, true);
  if (page === 0 && !isInside) page = growHuge(tld, heap, request, plan);
  if (page === 0) return 0;
  const huge = isHuge(tld, page);
  if (!huge) count(tld, heap, Counter.largePages);
  // Only now: memory may have come.
  const { i32 } = tld;
  const block = i32[page + Page.start];
  if (!reach(tld, block + blockWords) || !commit(tld, block, block + blockWords)) {
    if (huge) dropHuge(tld, segmentAt(tld, block), page);
    else freePage(tld, page);
    return 0;
  }
  if (!huge) pushPage(tld, heap, BIN_HUGE, page);
  i32[page + Page.capacity] = 1;
  i32[page + Page.used] = 1;
  if (huge) publishHuge(tld, page);
  return block;
}

/** A huge block's page in memory that this thread makes longer. @returns 0 when it cannot */
function growHuge(tld: Tld, heap: Word, request: HugeRequest, plan: PagePlan): Word {
  if (tld.i32[heap + Heap.arena] !== 0) return 0;
  let page = 0;
  for (let tries = 0; page === 0 && tries < MAX_GROWTHS && growForHuge(tld, request); tries++)
    page = hugePage(tld, 0, request, plan);
  return page;
}
