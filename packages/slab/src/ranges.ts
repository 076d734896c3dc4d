/**
 * Memory that comes under management: the region's own at first, and what `addMemory` brings.
 *
 * ```
 *   start                                                        end
 *   ├ … ┼─────────┬───────────┬───────────┬ … ┬───────────┼ … ┤
 *       │ page map│ page      │ page      │   │ page      │         whole pages; what is left at the ends is not used
 *       └─────────┴───────────┴───────────┴ … ┴───────────┘
 *        only for chunks that have no table yet; STATE
 * ```
 */

import { AllocError, type Word } from '@shmalloc/allocator-api';
import { NO_TABLE } from '@shmalloc/thread-heap';
import { Cpu, recordOf, resetCpu } from './cpu.ts';
import { CHUNK_BITS, CHUNK_PAGES, CLASSES, TABLE_WORDS } from './geometry.ts';
import { Field } from './header.ts';
import { DESCRIPTOR_WORDS, Page, STATE } from './page.ts';
import { enter, markRun } from './page-list.ts';
import { descriptorIn, isPresent, presentWord, setTable, tableOf } from './page-map.ts';
import type { SlabCore } from './thread-view.ts';

/** Pages of a range: `[first, end)` by number. */
export interface PageRange {
  readonly first: number;
  readonly end: number;
}

/** The pages that lie wholly in `[start, end)`, in bytes. Address 0 is NULL: its page is of no use. */
export function pagesIn(slab: SlabCore, start: number, end: number): PageRange {
  const bytes = 4 << slab.pageShift;
  return { first: Math.max(1, Math.ceil(start / bytes)), end: Math.floor(end / bytes) };
}

/**
 * Takes a range under management. The range is looked at under the lock: of two threads that bring the same
 * memory one is told.
 * @param fresh - whether memory that is managed already may not be in it; else the range is all that there is
 *   to be
 * @throws AllocError `MemoryOverlap` for the heap's own state and what it has, `InvalidParam` when there is
 *   no whole page
 */
export function addRange(slab: SlabCore, start: number, end: number, fresh: boolean): void {
  enter(slab);
  try {
    const range = checkRange(slab, start, end, fresh);
    if (!fresh) forgetMemory(slab);
    addPages(slab, range);
  } finally {
    slab.leave();
    slab.tell();
  }
}

/** The pages of a range that is to be added, checked. Under the lock. */
function checkRange(slab: SlabCore, start: number, end: number, fresh: boolean): PageRange {
  const { plan, pageShift } = slab;
  // What lies before the header, too: NULL, when the region starts at 0.
  const state = slab.memory.start === 0 ? 0 : plan.header * 4;
  const stateEnd = plan.end * 4;
  if (start < stateEnd && end > state) {
    throw new AllocError(
      'MemoryOverlap',
      `[${start}, ${end}) overlaps the heap's own state [${state}, ${stateEnd})`,
    );
  }
  const bytes = 4 << pageShift;
  const touched = { first: Math.floor(start / bytes), end: Math.ceil(end / bytes) };
  for (let index = touched.first; fresh && index < touched.end; index++) {
    if (!isPresent(slab, index)) continue;
    throw new AllocError(
      'MemoryOverlap',
      `[${start}, ${end}) overlaps the page at ${index * bytes}, which is managed already`,
    );
  }
  const range = pagesIn(slab, start, end);
  if (range.first + stateNeeds(slab, range, !fresh) >= range.end) {
    throw new AllocError('RegionTooSmall', `[${start}, ${end}) holds no whole page of ${bytes} bytes`);
  }
  return range;
}

/** Whether a chunk's table lies with the header. */
function isHome({ plan }: SlabCore, chunk: number): boolean {
  return chunk >= plan.firstChunk && chunk < plan.firstChunk + plan.chunks;
}

/** Pages that the tables of a range's chunks take. */
function stateNeeds(slab: SlabCore, { first, end }: PageRange, fresh: boolean): number {
  let tables = 0;
  for (let chunk = first >>> CHUNK_BITS; chunk << CHUNK_BITS < end; chunk++) {
    if (!isHome(slab, chunk) && (fresh || tableOf(slab, chunk) === 0)) tables++;
  }
  return Math.ceil((tables * TABLE_WORDS) / (1 << slab.pageShift));
}

/** Marks pages of a chunk that hold tables: [first, end) by number, as far as they lie in it. */
function markState(slab: SlabCore, table: Word, chunk: number, first: number, end: number): void {
  const { i32 } = slab;
  const from = Math.max(first, chunk << CHUNK_BITS);
  const to = Math.min(end, (chunk + 1) << CHUNK_BITS);
  for (let index = from; index < to; index++) {
    i32[descriptorIn(table, index) + Page.owner] = STATE;
    i32[presentWord(table, index)] |= 1 << index;
  }
}

/**
 * Takes checked pages under management. Under the lock. O(pages).
 *
 * A thread may end anywhere in here. The pages of the tables are marked before a table is one, so that none
 * is taken for memory; what is present and not free yet is found by `repairList`; the rest can be added
 * another time.
 */
export function addPages(slab: SlabCore, { first, end }: PageRange): void {
  const { i32, header, pageShift } = slab;
  const state = stateNeeds(slab, { first, end }, false);
  let table = first << pageShift;
  for (let chunk = first >>> CHUNK_BITS; chunk << CHUNK_BITS < end; chunk++) {
    const there = tableOf(slab, chunk);
    if (there === 0) i32.fill(0, table, table + TABLE_WORDS);
    markState(slab, there === 0 ? table : there, chunk, first, first + state);
    if (there !== 0) continue;
    setTable(slab, chunk, table);
    table += TABLE_WORDS;
  }
  if (state > 0) Atomics.add(i32, header + Field.touched, (state << pageShift) >>> 4);
  for (let index = first + state; index < end; index++) {
    i32[presentWord(tableOf(slab, index >>> CHUNK_BITS), index)] |= 1 << index;
  }
  const low = first >>> CHUNK_BITS;
  const high = ((end - 1) >>> CHUNK_BITS) + 1;
  if (i32[header + Field.chunkHigh] === 0 || low < i32[header + Field.chunkLow]) {
    i32[header + Field.chunkLow] = low;
  }
  if (high > i32[header + Field.chunkHigh]) i32[header + Field.chunkHigh] = high;
  i32[header + Field.reach] = Math.max(i32[header + Field.reach], end << pageShift);
  i32[header + Field.present] += end - first - state;
  markRun(slab, first + state, end - first - state, true);
  // Release: pairs with the look in `heed`: a thread that finds the epoch changed finds the tables, too.
  Atomics.add(i32, header + Field.epoch, 1);
}

/** Gives the chunks of the region's own memory their tables, and all others none. */
export function layTables(slab: SlabCore): void {
  const { i32, plan } = slab;
  i32.fill(NO_TABLE, plan.root, plan.root + plan.allChunks);
  for (let number = 0; number < plan.chunks; number++)
    setTable(slab, plan.firstChunk + number, plan.tables + number * TABLE_WORDS);
}

/**
 * Forgets all memory and all blocks; the CPU table keeps its CPUs, the caches their kinds. Under the lock.
 */
function forgetMemory(slab: SlabCore): void {
  const { i32, header, plan } = slab;
  layTables(slab);
  for (let number = 0; number < plan.chunks; number++) {
    const table = plan.tables + number * TABLE_WORDS;
    for (let index = 0; index < CHUNK_PAGES; index++) {
      const page = descriptorIn(table, index);
      // Its memory was used: that goes on.
      const touched = i32[page + Page.touched];
      i32.fill(0, page, page + DESCRIPTOR_WORDS);
      i32[page + Page.touched] = touched;
    }
    i32.fill(0, table + CHUNK_PAGES * DESCRIPTOR_WORDS, table + TABLE_WORDS);
  }
  i32.fill(0, header + Field.orphans, header + Field.orphans + CLASSES);
  for (const field of [Field.chunkLow, Field.chunkHigh, Field.present, Field.freePages, Field.hint]) {
    i32[header + field] = 0;
  }
  for (let slot = 0; slot < plan.slots; slot++) {
    const cpu = recordOf(slab, slot);
    if (i32[cpu + Cpu.name] !== 0) resetCpu(i32, header, cpu);
    i32[cpu + Cpu.pending] = 0;
    i32[cpu + Cpu.delayed] = 0;
  }
}
