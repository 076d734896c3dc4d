/**
 * The walk over everything: what the invariants say, as code.
 */

import {
  BIN_COUNT,
  BIN_DIRECT_FIRST,
  BIN_FULL,
  BIN_HUGE,
  BIN_LARGEST,
  BIN_WORDS,
  DIRECT_COUNT,
} from './bins.ts';
import { linkOf } from './blocks.ts';
import { SEGMENTS_PER_CHUNK, type Word } from './geometry.ts';
import { demandIntact } from './guard.ts';
import { Field } from './header.ts';
import { HEAP_QUEUES, Heap } from './heap.ts';
import { headPage, pageOf } from './lookup.ts';
import { demandNullZone } from './null-write.ts';
import { binOfPage, DELAYED, hasFlag, IN_FULL, ownerOf, Page, slicesOf } from './page.ts';
import { Chunk, chunkAt, segmentAt, sliceAt } from './page-map.ts';
import { firstPage } from './queue.ts';
import {
  ABANDONED_SEGMENT,
  FREE_SEGMENT,
  KIND_HUGE,
  KIND_HUGE_TAIL,
  KIND_PAGES,
  Segment,
} from './segment.ts';
import { countBits } from './slices.ts';
import type { Tld } from './tld.ts';
import { forEachHeap, forEachPageIn, forEachRecord, forEachSegment } from './walk.ts';

/** Steps after which a list that others change meanwhile is given up. */
const MOST_DELAYED = 1 << 20;

/** Throws with the sentence unless it holds. */
export function demand(holds: boolean, sentence: string): asserts holds {
  if (!holds) throw new Error(`mimalloc is broken: ${sentence}`);
}

/**
 * Bytes in blocks that are handed out, of all threads. What is freed and only not gathered yet does not count; while other threads are at
 * work the answer may be late.
 */
export function usedBytes(tld: Tld): number {
  // Another thread may have added memory since this one looked.
  tld.refresh();
  const { i32 } = tld;
  let words = 0;
  forEachSegment(tld, (segment) => {
    if (i32[segment + Segment.threadId] === FREE_SEGMENT) return;
    forEachPageIn(tld, segment, (page) => {
      words += (i32[page + Page.used] - ungathered(tld, page)) * i32[page + Page.blockWords];
    });
  });
  forEachRecord(tld, (heap) => (words -= delayedWords(tld, heap)));
  return words * 4;
}

/** Blocks that other threads have pushed onto a page. */
function ungathered(tld: Tld, page: Word): number {
  const { i32 } = tld;
  const used = i32[page + Page.used];
  let length = 0;
  // The end of a list that is being taken may be anything.
  for (let block = i32[page + Page.xthreadFree] & ~DELAYED; block > 0 && length < used; length++)
    block = linkOf(tld, page, block);
  return length;
}

/** Words of the blocks that wait on a heap's list of delayed frees. */
function delayedWords(tld: Tld, heap: Word): number {
  const { i32 } = tld;
  let words = 0;
  let steps = 0;
  // A list that is being taken may lead anywhere.
  for (
    let block = i32[heap + Heap.delayedFree];
    block > 0 && block < i32.length && steps < MOST_DELAYED;
    steps++
  ) {
    const page = pageOf(tld, block);
    if (page === 0) break;
    words += i32[page + Page.blockWords];
    block = linkOf(tld, page, block);
  }
  return words;
}

/** How long a free list is; throws when it leaves the page or does not end. */
function listLength(tld: Tld, page: Word, field: number, name: string): number {
  const { i32 } = tld;
  const start = i32[page + Page.start];
  const size = i32[page + Page.blockWords];
  const capacity = i32[page + Page.capacity];
  let length = 0;
  const head = i32[page + field] & ~(field === Page.xthreadFree ? DELAYED : 0);
  for (let block = head; block !== 0; block = linkOf(tld, page, block)) {
    const index = (block - start) / size;
    demand(
      Number.isInteger(index) && index >= 0 && index < capacity,
      `${name} of the page at ${start * 4} leads to ${block * 4}, which is no block of it`,
    );
    demand(++length <= capacity, `${name} of the page at ${start * 4} does not end`);
  }
  return length;
}

/** A page by itself. */
export function validatePage(tld: Tld, page: Word): void {
  const { i32 } = tld;
  const start = i32[page + Page.start];
  const what = `the page at ${start * 4}`;
  const bin = binOfPage(tld, page);
  const used = i32[page + Page.used];
  const capacity = i32[page + Page.capacity];
  const reserved = i32[page + Page.reserved];
  demand(bin >= 1 && bin <= BIN_HUGE, `${what} has bin ${bin}`);
  demand(capacity <= reserved, `${what}: capacity ${capacity} > reserved ${reserved}`);
  if (bin <= BIN_LARGEST) {
    demand(i32[page + Page.blockWords] === BIN_WORDS[bin], `${what} has blocks of another size than its bin`);
    const words = slicesOf(tld, page) << tld.sliceShift;
    demand(reserved === Math.floor(words / BIN_WORDS[bin]), `${what} has room for another number of blocks`);
  } else demand(reserved === 1 && capacity === 1, `${what} is to hold one block and holds ${capacity}`);
  const free = listLength(tld, page, Page.free, 'free');
  const local = listLength(tld, page, Page.localFree, 'local_free');
  const lost = i32[page + Page.lost];
  const threads = listLength(tld, page, Page.xthreadFree, 'thread_free');
  demand(
    used + free + local + lost === capacity,
    `${what}: used ${used} + |free| ${free} + |local_free| ${local} + lost ${lost} ≠ capacity ${capacity}`,
  );
  demand(threads <= used, `${what}: |thread_free| ${threads} > used ${used}`);
  demand(sliceAt(tld, start) === page, `${what} has a descriptor that is not its first slice's`);
  for (let slice = 1; slice < slicesOf(tld, page); slice++) {
    demand(headPage(tld, page + (slice << 4)) === page, `slice ${slice} of ${what} does not lead to it`);
  }
}

function isSubset(part: number, whole: number): boolean {
  return (part & ~whole) === 0;
}

/** The list of this thread's segments with free slices, link by link. */
function listedSegments(tld: Tld): Set<Word> {
  const { i32 } = tld;
  const listed = new Set<Word>();
  let prev = 0;
  for (let segment = i32[tld.heap + Heap.segments]; segment !== 0; segment = i32[segment + Segment.next]) {
    demand(!listed.has(segment), 'the list of segments goes in circles');
    demand(i32[segment + Segment.prev] === prev, 'the list of segments has a wrong link');
    listed.add(segment);
    prev = segment;
  }
  return listed;
}

/** What follows the first segment of a huge block. */
function validateTails(tld: Tld, segment: Word, what: string): void {
  const { i32 } = tld;
  const count = i32[segment + Segment.count];
  demand(count >= 1, `${what} starts a huge block of ${count} segments`);
  for (let index = 1; index < count; index++) {
    const base = i32[segment + Segment.base] + (index << tld.segmentShift);
    demand(
      chunkAt(tld, base >>> tld.chunkShift) !== 0 &&
        i32[segmentAt(tld, base) + Segment.kind] === KIND_HUGE_TAIL,
      `${what} starts a huge block of ${count} segments, of which number ${index} is none`,
    );
  }
}

function validateSegment(tld: Tld, segment: Word, listed: ReadonlySet<Word>): void {
  const { i32 } = tld;
  const base = i32[segment + Segment.base];
  const what = `the segment at ${base * 4}`;
  const owner = i32[segment + Segment.threadId];
  const field = (name: 'presentLow' | 'presentHigh' | 'freeLow' | 'freeHigh' | 'purgeLow' | 'purgeHigh') =>
    i32[segment + Segment[name]];
  demand(
    owner !== tld.threadId ||
      (isSubset(field('purgeLow'), field('freeLow')) && isSubset(field('purgeHigh'), field('freeHigh'))),
    `${what} is to purge slices that are not free`,
  );
  demand((field('freeLow') & ~field('presentLow')) === 0, `${what} has free slices that it does not have`);
  demand((field('freeHigh') & ~field('presentHigh')) === 0, `${what} has free slices that it does not have`);
  const chunk = chunkAt(tld, base >>> tld.chunkShift);
  const bit = 1 << ((base >>> tld.segmentShift) & 15);
  const isFree = owner === FREE_SEGMENT;
  // Hints: a bit is set before its segment is let go, so those of other threads' segments may be set too early.
  demand(
    isFree
      ? (i32[chunk + Chunk.free] & bit) !== 0
      : owner !== tld.threadId || (i32[chunk + Chunk.free] & bit) === 0,
    `${what} and the bitmap of free segments say different things`,
  );
  demand(
    owner === ABANDONED_SEGMENT
      ? (i32[chunk + Chunk.abandoned] & bit) !== 0
      : owner !== tld.threadId || (i32[chunk + Chunk.abandoned] & bit) === 0,
    `${what} and the bitmap of abandoned segments say different things`,
  );
  if (owner === tld.threadId && i32[segment + Segment.kind] === KIND_HUGE) validateTails(tld, segment, what);
  if (i32[segment + Segment.kind] !== KIND_PAGES) return;
  if (owner === tld.threadId) {
    const hasFree = (field('freeLow') | field('freeHigh')) !== 0;
    demand(
      listed.has(segment) === hasFree,
      `${what} has ${hasFree ? 'free slices and is not' : 'no free slice and is'} in the list of those that have`,
    );
  }
  let pages = 0;
  let slices = 0;
  forEachPageIn(tld, segment, (page) => {
    pages++;
    slices += slicesOf(tld, page);
    demand(
      ownerOf(tld, page) === (owner === ABANDONED_SEGMENT ? 0 : owner),
      `a page of ${what} has another owner`,
    );
    validatePage(tld, page);
  });
  const present = countBits(field('presentLow')) + countBits(field('presentHigh'));
  const free = countBits(field('freeLow')) + countBits(field('freeHigh'));
  // Memory that has come to a segment is counted as free when its owner looks.
  const late = !isFree && (owner !== tld.threadId || i32[tld.header + Field.epoch] !== tld.epoch);
  demand(
    free + slices === present || (late && free + slices < present),
    `${what}: ${free} free slices + ${slices} in pages ≠ ${present}`,
  );
  if (isFree) demand(pages === 0, `${what} has no owner and ${pages} pages`);
  else
    demand(
      pages === i32[segment + Segment.used],
      `${what} counts ${i32[segment + Segment.used]} pages and has ${pages}`,
    );
}

/** Segments that no walk would meet. */
function validateTables(tld: Tld): void {
  const { i32, header } = tld;
  for (let chunk = i32[header + Field.chunkLow]; chunk < i32[header + Field.chunkHigh]; chunk++) {
    const words = chunkAt(tld, chunk);
    if (words === 0) continue;
    for (let index = 0; index < SEGMENTS_PER_CHUNK; index++) {
      const base = (chunk << tld.chunkShift) + (index << tld.segmentShift);
      const segment = segmentAt(tld, base);
      demand(
        (i32[segment + Segment.presentLow] | i32[segment + Segment.presentHigh]) === 0 ||
          (i32[words + Chunk.present] & (1 << index)) !== 0,
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
      demand(i32[page + Page.blockWords] !== 0, `${what} is no page`);
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

/**
 * Walks everything that belongs to this thread, and what can be said of the rest while others work.
 * @throws Error with the first broken invariant
 */
export function validateHeap(tld: Tld): void {
  tld.refresh();
  const { i32 } = tld;
  demandNullZone(tld);
  demandIntact(tld);
  demand(i32[tld.emptyPage] === 0, 'the empty page has a block');
  const listed = listedSegments(tld);
  validateTables(tld);
  let own = 0;
  forEachSegment(tld, (segment) => {
    // What follows the first segment of a huge block goes with it, whatever name it has.
    if (i32[segment + Segment.threadId] === tld.threadId && i32[segment + Segment.kind] !== KIND_HUGE_TAIL)
      own += Math.max(1, i32[segment + Segment.count]);
    validateSegment(tld, segment, listed);
  });
  const counted = i32[tld.heap + Heap.segmentCount];
  demand(own === counted, `${own} segments belong to this thread, ${counted} are counted`);
  forEachHeap(tld, (heap) => validateQueues(tld, heap));
}
