/**
 * The walker: every invariant of the region that holds while other CPUs are at work, and of this CPU's pages
 * all.
 *
 * ```
 *                                                           others at work      quiet
 *   NULL, the header, the root                              yes                 yes
 *   the page list, under its lock: bits ↔ OWNER, counts     yes                 yes
 *   pages: used + |free| == capacity, links, red zones      this CPU's, orphans all
 *   lists of pages, KEPT                                    this CPU's          all
 *   REMOTE, DELAYED, PENDING                                                    all
 * ```
 *
 * What others may be changing is not looked at, or in an order in which they cannot deceive. And what seems
 * broken while they may be at work is looked at once more: only what is found the same again is an error.
 */

import { AllocError, checkNullZone, type Demand, demandOf, type Word } from '@shmalloc/allocator-api';
import { FIRST_NAME, NO_TABLE, slotOf } from '@shmalloc/thread-heap';
import { Cpu, recordOf } from './cpu.ts';
import { NODE_TO_END, type Payload, sealOf, writtenAfterFree, writtenPastEnd } from './debug.ts';
import { CHUNK_BITS, CHUNK_PAGES, CLASSES, SIZE_CLASSES } from './geometry.ts';
import { Field } from './header.ts';
import { largePayload } from './large-page.ts';
import { payloadOf } from './lookup.ts';
import { IN_FULL, LARGE, MARK, NO_OWNER, ORPHAN, Page, STATE } from './page.ts';
import { named } from './page-list.ts';
import { forEachPage, isDescriptor, isFree, isPresent, pageAt, pageNumber, tableOf } from './page-map.ts';
import { repairList } from './page-repair.ts';
import { planFields } from './plan.ts';
import { isNode, isSound } from './shape.ts';
import type { SlabCore } from './thread-view.ts';

const demand: Demand = demandOf('slab');

/** Looks until one is like the one before. */
const LOOKS = 8;

/**
 * @param quiet - whether no other thread is using the heap: then everything is checked
 * @throws AllocError `Corrupted` with the first broken invariant
 */
export function validateHeap(slab: SlabCore, quiet: boolean): void {
  slab.lookAround();
  const isSound = slab.take();
  if (!isSound) repairList(slab);
  slab.leave();
  // The exchange that has replaced the lock's word was a second look.
  if (!isSound) throw slab.noted?.pop();
  let seen = '';
  for (let looks = 0; looks < LOOKS; looks++) {
    const error = firstBroken(slab, quiet);
    if (error === null) return;
    if (quiet || error.message === seen) throw error;
    seen = error.message;
  }
}

/** Looks at everything once. */
function firstBroken(slab: SlabCore, quiet: boolean): AllocError | null {
  try {
    look(slab, quiet);
    return null;
  } catch (error) {
    if (error instanceof AllocError && error.code === 'Corrupted') return error;
    throw error;
  }
}

function look(slab: SlabCore, quiet: boolean): void {
  checkHeader(slab);
  slab.take();
  try {
    checkPages(slab, quiet);
    checkOrphans(slab);
  } finally {
    slab.leave();
  }
  const listed = new Set<Word>();
  const names = new Set<number>();
  for (let slot = 0; slot < slab.plan.slots; slot++) {
    const cpu = recordOf(slab, slot);
    if (quiet) checkRecord(slab, cpu, slot);
    const name = slab.i32[cpu + Cpu.thread];
    if (cpu !== slab.cpu && (!quiet || name === 0)) continue;
    names.add(name);
    for (let index = 0; index < CLASSES; index++)
      for (const page of checkList(slab, cpu, name, index)) listed.add(page);
  }
  checkListed(slab, names, listed);
}

/** NULL, what never changes in the header, and the root. */
function checkHeader(slab: SlabCore): void {
  const { i32, header, plan } = slab;
  const written = checkNullZone(i32, i32[header + Field.nullWords]);
  if (written !== null) throw written;
  for (const [name, field, value] of planFields(plan))
    demand(
      i32[header + field] === value,
      `the header says ${name} ${i32[header + field]} instead of ${value}`,
    );
  demand(i32[slab.empty + Page.free] === 0, 'the empty page has a block');
  for (let index = 0; index < SIZE_CLASSES; index++)
    demand(i32[header + Field.noPages + index] === slab.empty, 'the table without pages has one');
  for (let chunk = 0; chunk < plan.allChunks; chunk++) {
    const table = tableOf(slab, chunk);
    const entry = i32[plan.root + chunk];
    const expected = table - (chunk << (CHUNK_BITS + 5));
    demand(
      table === 0 ? entry === NO_TABLE : entry === expected,
      `the root leads from chunk ${chunk} to no table`,
    );
  }
  const low = i32[header + Field.chunkLow];
  const high = i32[header + Field.chunkHigh];
  demand(
    low >= 0 && low < high && high <= plan.allChunks,
    `chunks ${low} to ${high} are said to have memory`,
  );
}

/** The record of a CPU, at rest. */
function checkRecord(slab: SlabCore, cpu: Word, slot: number): void {
  const { i32 } = slab;
  const name = i32[cpu + Cpu.name];
  const thread = i32[cpu + Cpu.thread];
  demand(name === 0 || slotOf(name) === slot, `cpu ${slot} is being reaped by thread ${name}`);
  demand(thread === 0 || thread === name, `cpu ${slot} is thread ${name} and thread ${thread}`);
  demand(i32[cpu + Cpu.pending] === 0, `cpu ${slot} has blocks in hand`);
  const seen = new Set<Word>();
  for (let node = i32[cpu + Cpu.delayed]; node !== 0; node = i32[node]) {
    const page = node > 0 && node < i32.length ? pageAt(slab, node) : 0;
    const isBlock = page !== 0 && isNode(slab, page, node, i32[page + Page.capacity]) && !seen.has(node);
    demand(isBlock, `what was freed into full pages of cpu ${slot} leads to word ${node}`);
    seen.add(node);
  }
}

/** Every page under management, once. */
function checkPages(slab: SlabCore, quiet: boolean): void {
  const { i32, header } = slab;
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
      demand(isHere || (owner === NO_OWNER && !bit), `${at} is not under management, and is in use or free`);
      if (!isHere) continue;
      if (owner !== STATE) present++;
      if (bit) free++;
      demand(!bit || owner === NO_OWNER, `${at} is in the page list, and has an owner`);
      demand(!bit || index >= taken, `${at} is in the page list, and in a large block`);
      demand(bit || owner !== NO_OWNER || index < taken, `${at} has no owner, and is not in the page list`);
      demand(owner === NO_OWNER || index >= taken, `${at} has an owner, and is in a large block`);
      if (owner === LARGE) {
        const count = i32[page + Page.count];
        const fits = count > 0 && (index + count) * 2 ** slab.pageShift <= i32.length;
        demand(fits, `${at} is a large block of ${count} pages`);
        demand(i32[page + Page.index] === index, `${at} is called number ${i32[page + Page.index]}`);
        taken = index + count;
        if (slab.debug) checkLarge(slab, page, at);
      } else if (owner === ORPHAN || owner >= FIRST_NAME) checkPage(slab, page, index, at, quiet);
      else demand(owner === NO_OWNER || owner === STATE, `${at} has the owner ${owner}`);
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
function checkPage(slab: SlabCore, page: Word, index: number, at: string, quiet: boolean): void {
  const { i32, threadId } = slab;
  const owner = i32[page + Page.owner] & ~IN_FULL;
  const capacity = i32[page + Page.capacity];
  const used = i32[page + Page.used];
  demand(i32[page + Page.index] === index, `${at} is called number ${i32[page + Page.index]}`);
  // Another CPU may be making or unmaking it.
  if (owner !== threadId && owner !== ORPHAN && !quiet) return;
  const slot = slotOf(owner);
  demand(
    owner === ORPHAN || (slot < slab.plan.slots && i32[recordOf(slab, slot) + Cpu.thread] === owner),
    `${at} has the owner ${owner}, which is not there`,
  );
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
  demand(isSound(slab, page), `${at} is laid out as no page of class ${kind} is`);
  const free = checkFreeList(slab, page, at);
  demand(used + free === capacity, `${at}: ${used} used + ${free} free ≠ ${capacity}`);
  demand(
    owner !== ORPHAN || (i32[page + Page.remote] & MARK) === 0,
    `${at} has no owner, and waits for one to hear of it`,
  );
  if (quiet) checkRemote(slab, page, at);
  if (slab.debug) checkContents(slab, page, at);
}

/** What others have freed into a page. */
function checkRemote(slab: SlabCore, page: Word, at: string): void {
  const { i32 } = slab;
  const seen = new Set<Word>();
  for (let node = i32[page + Page.remote] & ~MARK; node !== 0; node = i32[node]) {
    const isBlock = isNode(slab, page, node, i32[page + Page.capacity]) && !seen.has(node);
    demand(isBlock, `${at}: what was freed into it leads to word ${node}`);
    seen.add(node);
  }
  const used = i32[page + Page.used];
  demand(seen.size <= used, `${at}: ${seen.size} blocks were freed into it, and ${used} are in use`);
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
    checkRedZone(slab, payload, at);
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
  checkRedZone(slab, largePayload(slab, page), at);
}

/**
 * What stands behind a block, if it is handed out: before the look, and after it. A CPU that takes it back
 * changes the seal first, and what the seal guards after that (`takeBack`); one that hands it out the other
 * way round; and no block of this page is handed out meanwhile.
 */
function checkRedZone(slab: SlabCore, payload: Payload, at: string): void {
  const seal = sealOf(slab, payload.node);
  if (seal === 0) return;
  const error = writtenPastEnd(slab, payload, 'validate');
  demand(error === null || sealOf(slab, payload.node) !== seal, `${at}: ${error?.message}`);
}

/** The chains of pages that no thread owns. */
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

/** A CPU's list of a class: its pages. */
function checkList(slab: SlabCore, cpu: Word, name: number, index: number): ReadonlySet<Word> {
  const { i32 } = slab;
  const listed = new Set<Word>();
  const first = i32[cpu + Cpu.current + index];
  for (let page = first; page !== slab.empty; ) {
    // A list that does not come back to its first page has somewhere a page whose PREV is another's.
    listed.add(page);
    demand(isDescriptor(slab, page), `the list of class ${index} leads to word ${page}, which is no page`);
    const owner = i32[page + Page.owner];
    demand(
      owner === name,
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
    kept === 0 || ((i32[kept + Page.owner] & ~IN_FULL) === name && i32[kept + Page.class] === index),
    `the page kept for class ${index} is none of it`,
  );
  for (const page of listed) {
    // One that a constructor has not finished was never used.
    const isOnly = i32[page + Page.used] !== 0 || i32[page + Page.capacity] === 0 || kept === page;
    demand(isOnly, `${named(slab, page)} is empty, and another one is kept for class ${index}`);
  }
  return listed;
}

/** Every page of these CPUs that is not full is in a list. */
function checkListed(slab: SlabCore, names: ReadonlySet<number>, listed: ReadonlySet<Word>): void {
  forEachPage(slab, (page) => {
    const { i32 } = slab;
    const owner = i32[page + Page.owner];
    if (!names.has(owner & ~IN_FULL)) return;
    const isFull = (owner & IN_FULL) !== 0;
    const where = isFull ? 'full, and in a list' : 'in no list';
    demand(isFull !== listed.has(page), `${named(slab, page)} is ${where}`);
    demand(!isFull || i32[page + Page.free] === 0, `${named(slab, page)} is full, and has a free block`);
  });
}
