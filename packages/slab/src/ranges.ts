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

import { AllocError } from '@shmalloc/allocator-api';
import type { SlabCore } from './core.ts';
import { Cpu, recordOf, resetCpu } from './cpu.ts';
import { CHUNK_BITS, CLASSES } from './geometry.ts';
import { Field } from './header.ts';
import { DESCRIPTOR_WORDS, Page, STATE } from './page.ts';
import { markRun } from './page-list.ts';
import {
  CHUNK_PAGES,
  isPresent,
  NO_TABLE,
  pageNumber,
  presentWord,
  rootWords,
  setTable,
  TABLE_WORDS,
  tableOf,
} from './page-map.ts';

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
 * The pages of a range that is to be added, checked.
 * @param fresh - whether memory that is managed already may not be in it
 * @throws AllocError `MemoryOverlap` for the heap's own state and what it has, `InvalidParam` when there is no whole page
 */
export function checkRange(slab: SlabCore, start: number, end: number, fresh: boolean): PageRange {
  const { i32, header, pageShift } = slab;
  const state = header * 4;
  const stateEnd = i32[header + Field.end] * 4;
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
    throw new AllocError('InvalidParam', `[${start}, ${end}) holds no whole page of ${bytes} bytes`);
  }
  return range;
}

/** Whether a chunk's table lies with the header. */
function isHome(slab: SlabCore, chunk: number): boolean {
  const { i32, header } = slab;
  const first = i32[header + Field.firstChunk];
  return chunk >= first && chunk < first + i32[header + Field.chunks];
}

/** Pages that the tables of a range's chunks take. */
function stateNeeds(slab: SlabCore, { first, end }: PageRange, anew: boolean): number {
  let tables = 0;
  for (let chunk = first >>> CHUNK_BITS; chunk << CHUNK_BITS < end; chunk++) {
    if (!isHome(slab, chunk) && (anew || tableOf(slab, chunk) === 0)) tables++;
  }
  return Math.ceil((tables * TABLE_WORDS) / (1 << slab.pageShift));
}

/** Takes checked pages under management. Under the lock. O(pages). */
export function addPages(slab: SlabCore, { first, end }: PageRange): void {
  const { i32, header, pageShift } = slab;
  const state = stateNeeds(slab, { first, end }, false);
  let table = first << pageShift;
  for (let chunk = first >>> CHUNK_BITS; chunk << CHUNK_BITS < end; chunk++) {
    if (tableOf(slab, chunk) !== 0) continue;
    i32.fill(0, table, table + TABLE_WORDS);
    setTable(slab, chunk, table);
    table += TABLE_WORDS;
  }
  if (state > 0) Atomics.add(i32, header + Field.touched, (state << pageShift) >>> 4);
  for (let index = first; index < first + state; index++) {
    i32[pageNumber(slab, index) + Page.owner] = STATE;
  }
  for (let index = first; index < end; index++) {
    i32[presentWord(tableOf(slab, index >>> CHUNK_BITS), index)] |= 1 << index;
  }
  const low = first >>> CHUNK_BITS;
  const high = ((end - 1) >>> CHUNK_BITS) + 1;
  if (i32[header + Field.chunkHigh] === 0 || low < i32[header + Field.chunkLow]) {
    i32[header + Field.chunkLow] = low;
  }
  if (high > i32[header + Field.chunkHigh]) i32[header + Field.chunkHigh] = high;
  i32[header + Field.present] += end - first - state;
  markRun(slab, first + state, end - first - state, true);
  // Release: whoever looks at the epoch after this looks at the tables, too.
  Atomics.add(i32, header + Field.epoch, 1);
}

/** Gives the chunks of the region's own memory their tables, and all others none. */
export function layTables(slab: SlabCore): void {
  const { i32, header, root, chunkShift } = slab;
  i32.fill(NO_TABLE, root, root + rootWords(chunkShift));
  const first = i32[header + Field.firstChunk];
  for (let number = 0; number < i32[header + Field.chunks]; number++) {
    setTable(slab, first + number, i32[header + Field.tables] + number * TABLE_WORDS);
  }
}

/** Forgets all memory and all blocks; the CPU table keeps its CPUs, the caches their kinds. Under the lock. */
export function forgetMemory(slab: SlabCore): void {
  const { i32, header } = slab;
  layTables(slab);
  const first = i32[header + Field.firstChunk];
  for (let number = 0; number < i32[header + Field.chunks]; number++) {
    for (let index = 0; index < CHUNK_PAGES; index++) {
      const page = pageNumber(slab, ((first + number) << CHUNK_BITS) + index);
      // Its memory was used: that goes on.
      const touched = i32[page + Page.touched];
      i32.fill(0, page, page + DESCRIPTOR_WORDS);
      i32[page + Page.touched] = touched;
    }
    const table = tableOf(slab, first + number);
    i32.fill(0, table + CHUNK_PAGES * DESCRIPTOR_WORDS, table + TABLE_WORDS);
  }
  i32.fill(0, header + Field.orphans, header + Field.orphans + CLASSES);
  for (const field of [Field.chunkLow, Field.chunkHigh, Field.present, Field.freePages, Field.hint]) {
    i32[header + field] = 0;
  }
  for (let slot = 0; slot < i32[header + Field.slots]; slot++) {
    const cpu = recordOf(i32, header, slot);
    if (i32[cpu + Cpu.name] !== 0) resetCpu(i32, header, cpu);
    i32[cpu + Cpu.pending] = 0;
    i32[cpu + Cpu.delayed] = 0;
  }
}
