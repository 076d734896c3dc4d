/**
 * The walker: every invariant of the region that holds while other CPUs are at work, and of this CPU's pages all.
 *
 * ```
 *   the page list, under its lock     bits ↔ OWNER, counts, orphans
 *   this CPU's pages                  used + |free| == capacity, links, lists, KEPT; in debug red zones and poison
 *   other CPUs' pages                 that their numbers can be
 * ```
 */

import type { SlabCore } from './core.ts';
import { Cpu } from './cpu.ts';
import { isLive, NODE_TO_END, writtenAfterFree, writtenPastEnd } from './debug.ts';
import { CHUNK_BITS, CLASSES, SIZE_CLASSES, type Word } from './geometry.ts';
import { Field } from './header.ts';
import { largePayload } from './large.ts';
import { payloadOf } from './lookup.ts';
import { FIRST_NAME, IN_FULL, LARGE, MARK, NOBODY, ORPHAN, Page, STATE } from './page.ts';
import { CHUNK_PAGES, forEachPage, isFree, isPresent, pageNumber, startOf, tableOf } from './page-map.ts';

/** @throws Error with `broken` unless `holds` */
function demand(holds: boolean, broken: string): asserts holds {
  if (!holds) throw new Error(`slab is broken: ${broken}`);
}

/** How a message calls a page. */
function named(slab: SlabCore, page: Word): string {
  return `the page at ${(startOf(slab, page) << 2) >>> 0}`;
}

/**
 * @throws Error with the first broken invariant
 */
export function validateHeap(slab: SlabCore): void {
  slab.lookAround();
  slab.enter();
  try {
    checkPages(slab);
    checkOrphans(slab);
  } finally {
    slab.leave();
  }
  const listed = new Set<Word>();
  for (let index = 0; index < CLASSES; index++) for (const page of checkList(slab, index)) listed.add(page);
  checkListed(slab, listed);
}

/** Every page under management, once. */
function checkPages(slab: SlabCore): void {
  const { i32, header } = slab;
  demand(i32[slab.empty + Page.free] === 0, 'the empty page has a block');
  let present = 0;
  let free = 0;
  let taken = 0;
  for (let chunk = i32[header + Field.chunkLow]; chunk < i32[header + Field.chunkHigh]; chunk++) {
    if (tableOf(slab, chunk) === 0) continue;
    for (let index = chunk << CHUNK_BITS; index < (chunk << CHUNK_BITS) + CHUNK_PAGES; index++) {
      const page = pageNumber(slab, index);
      const at = `the page at ${index * (4 << slab.pageShift)}`;
      const owner = i32[page + Page.owner];
      const isHere = isPresent(slab, index);
      const bit = isFree(slab, index);
      demand(isHere || (owner === NOBODY && !bit), `${at} is not under management, and is in use or free`);
      if (!isHere) continue;
      if (owner !== STATE) present++;
      if (bit) free++;
      demand(!bit || owner === NOBODY, `${at} is in the page list, and has an owner`);
      demand(!bit || index >= taken, `${at} is in the page list, and in a large block`);
      demand(bit || owner !== NOBODY || index < taken, `${at} is nobody's, and not in the page list`);
      demand(owner === NOBODY || index >= taken, `${at} has an owner, and is in a large block`);
      if (owner === LARGE) {
        demand(i32[page + Page.count] > 0, `${at} is a large block of ${i32[page + Page.count]} pages`);
        taken = index + i32[page + Page.count];
        if (slab.debug) checkLarge(slab, page, at);
      } else if (owner === ORPHAN || owner >= FIRST_NAME) checkPage(slab, page, index, at);
      else demand(owner === NOBODY || owner === STATE, `${at} has the owner ${owner}`);
      if (bit)
        demand(i32[page + Page.capacity] === 0 && i32[page + Page.free] === 0, `${at} is free and not clean`);
      if (bit) demand(chunk >= i32[header + Field.hint], `${at} is free, and below where the search begins`);
    }
  }
  const counted = i32[header + Field.present];
  demand(present === counted, `${present} pages are under management, ${counted} are counted`);
  const listed = i32[header + Field.freePages];
  demand(free === listed, `the page list holds ${free} pages, ${listed} are counted`);
}

/** A page with blocks. */
function checkPage(slab: SlabCore, page: Word, index: number, at: string): void {
  const { i32, threadId } = slab;
  const owner = i32[page + Page.owner] & ~IN_FULL;
  const capacity = i32[page + Page.capacity];
  const used = i32[page + Page.used];
  demand(i32[page + Page.index] === index, `${at} is called number ${i32[page + Page.index]}`);
  // Another CPU may be making or unmaking it.
  if (owner !== threadId && owner !== ORPHAN) return;
  const stride = i32[page + Page.stride];
  const kind = i32[page + Page.class];
  demand(kind >= 0 && kind < CLASSES, `${at} is of class ${kind}`);
  demand(
    stride > 0 && (kind >= SIZE_CLASSES || stride === 2 << kind),
    `${at} of class ${kind} has blocks of ${stride} words`,
  );
  const reserved = Math.floor((1 << slab.pageShift) / stride);
  demand(
    i32[page + Page.reserved] === reserved,
    `${at} has room for ${i32[page + Page.reserved]} blocks instead of ${reserved}`,
  );
  demand(capacity <= reserved, `${at} has linked ${capacity} of ${reserved} blocks`);
  const free = checkFreeList(slab, page, at);
  demand(used + free === capacity, `${at}: ${used} used + ${free} free ≠ ${capacity}`);
  demand(
    owner !== ORPHAN || (i32[page + Page.remote] & MARK) === 0,
    `${at} has no owner, and waits for one to hear of it`,
  );
  if (slab.debug) checkContents(slab, page, at);
}

/** The free blocks of a page: how many. */
function checkFreeList(slab: SlabCore, page: Word, at: string): number {
  const { i32 } = slab;
  const first = i32[page + Page.first];
  const stride = i32[page + Page.stride];
  const capacity = i32[page + Page.capacity];
  const seen = new Set<Word>();
  for (let node = i32[page + Page.free]; node !== 0; node = i32[node]) {
    const number = (node - first) / stride;
    demand(
      Number.isInteger(number) && number >= 0 && number < capacity,
      `${at}: its free list leads to word ${node}`,
    );
    demand(!seen.has(node), `${at}: its free list comes back to word ${node}`);
    seen.add(node);
  }
  return seen.size;
}

/** Debug mode: what stands around blocks in use and in free ones. */
function checkContents(slab: SlabCore, page: Word, at: string): void {
  const { i32 } = slab;
  const first = i32[page + Page.first];
  const stride = i32[page + Page.stride];
  for (let number = 0; number < i32[page + Page.capacity]; number++) {
    const payload = payloadOf(slab, page, first + number * stride);
    if (isLive(slab, payload.node)) {
      const error = writtenPastEnd(slab, payload, 'validate');
      demand(error === null, `${at}: ${error?.message}`);
    }
  }
  for (let node = i32[page + Page.free]; node !== 0; node = i32[node]) {
    // A block that was never handed out has no poison.
    if (i32[node + NODE_TO_END - 1] === 0) continue;
    const error = writtenAfterFree(slab, payloadOf(slab, page, node), 'validate');
    demand(error === null, `${at}: ${error?.message}`);
  }
}

/** Debug mode: what stands behind a large block. */
function checkLarge(slab: SlabCore, page: Word, at: string): void {
  const payload = largePayload(slab, page);
  // Its CPU may be handing it out, or taking it back.
  if (!isLive(slab, payload.node)) return;
  const error = writtenPastEnd(slab, payload, 'validate');
  demand(error === null, `${at}: ${error?.message}`);
}

/** The chains of pages that nobody owns. */
function checkOrphans(slab: SlabCore): void {
  const { i32, header } = slab;
  const pages = i32[header + Field.present];
  for (let index = 0; index < CLASSES; index++) {
    let steps = 0;
    for (let page = i32[header + Field.orphans + index]; page !== 0; page = i32[page + Page.next]) {
      demand(++steps <= pages, `the orphans of class ${index} go in circles`);
      demand(
        i32[page + Page.owner] === ORPHAN,
        `${named(slab, page)} is among the orphans, and has an owner`,
      );
      demand(i32[page + Page.class] === index, `${named(slab, page)} is among the orphans of class ${index}`);
    }
  }
}

/** This CPU's list of a class: its pages. */
function checkList(slab: SlabCore, index: number): ReadonlySet<Word> {
  const { i32, cpu, threadId } = slab;
  const listed = new Set<Word>();
  const first = i32[cpu + Cpu.current + index];
  for (let page = first; page !== slab.empty; ) {
    // A list that does not come back to its first page has somewhere a page whose PREV is another's.
    listed.add(page);
    const owner = i32[page + Page.owner];
    demand(
      owner === threadId,
      `${named(slab, page)} is in the list of class ${index}, and its owner is ${owner}`,
    );
    demand(i32[page + Page.class] === index, `${named(slab, page)} is in the list of class ${index}`);
    const next = i32[page + Page.next];
    demand(i32[next + Page.prev] === page, `${named(slab, page)} has a wrong link`);
    if (next === first) break;
    page = next;
  }
  const kept = i32[cpu + Cpu.kept + index];
  demand(
    kept === 0 || ((i32[kept + Page.owner] & ~IN_FULL) === threadId && i32[kept + Page.class] === index),
    `the page kept for class ${index} is none of it`,
  );
  for (const page of listed) {
    // One that a constructor has not finished was never used.
    const isOnly = i32[page + Page.used] !== 0 || i32[page + Page.capacity] === 0 || kept === page;
    demand(isOnly, `${named(slab, page)} is empty, and another one is kept for class ${index}`);
  }
  return listed;
}

/** Every page of this CPU that is not full is in a list. */
function checkListed(slab: SlabCore, listed: ReadonlySet<Word>): void {
  forEachPage(slab, (page) => {
    const { i32 } = slab;
    const owner = i32[page + Page.owner];
    if ((owner & ~IN_FULL) !== slab.threadId) return;
    const isFull = (owner & IN_FULL) !== 0;
    const where = isFull ? 'full, and in a list' : 'in no list';
    demand(isFull !== listed.has(page), `${named(slab, page)} is ${where}`);
    demand(!isFull || i32[page + Page.free] === 0, `${named(slab, page)} is full, and has a free block`);
  });
}
