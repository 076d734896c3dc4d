/**
 * From an address to its page: the page map.
 *
 * ```
 *  header          root: a word for each chunk of 4 GiB          a chunk's table
 *  ├ … ┼────┬────┬────┬────┬ … ┬────┤    ┌▶├─────────────────────┤
 *      │ ×  │  ─────────────────────────┘  │ descriptors of its  │ 128 × 32 words
 *      └────┴────┴────┴────┴ … ┴────┘      │ 128 pages           │
 *        × = NO_TABLE                      ├─────────────────────┤
 *                                          │ FREE bits           │ 4 words     the page list
 *   word of a block                        │ PRESENT bits        │ 4 words     under management
 *   ├── chunk ──┼── page ──┼── … ┤         └─────────────────────┘
 * ```
 *
 * A root entry is the table's place less what the chunk's first page would add: a descriptor is one load and
 * one sum away from an address.
 */

import type { Word } from '@shmalloc/allocator-api';
import { rootEntry, tableOf as tableAt } from '@shmalloc/thread-heap';
import { CHUNK_BITS, CHUNK_PAGES, TABLE_WORDS } from './geometry.ts';
import { Field } from './header.ts';
import { DESCRIPTOR_SHIFT, DESCRIPTOR_WORDS, Page, STATE } from './page.ts';
import type { SlabCore } from './thread-view.ts';

const MAP_WORDS: number = CHUNK_PAGES / 32;

/** Offsets in a table, in words. */
const FREE_BITS: number = CHUNK_PAGES * DESCRIPTOR_WORDS;
const PRESENT_BITS: number = FREE_BITS + MAP_WORDS;

/**
 * The table of a chunk, 0 when it has none. A table of the region's own chunks lies where it has always lain.
 * That of another one lies in pages that hold state, so an entry of the root that leads elsewhere is a wrong
 * one, and no table.
 */
export function tableOf(slab: SlabCore, chunk: number): Word {
  const { i32, plan } = slab;
  const home = chunk - plan.firstChunk;
  if (home >= 0 && home < plan.chunks) return plan.tables + home * TABLE_WORDS;
  if (!(chunk >= 0 && chunk < plan.allChunks)) return 0;
  const table = tableAt(i32[plan.root + chunk], chunk << CHUNK_BITS, DESCRIPTOR_SHIFT);
  if (table <= 0 || (table & 15) !== 0 || table + TABLE_WORDS > i32.length) return 0;
  // The page that it lies in: in the region's own chunks, or by the root. No further: the look must end.
  const page = table >>> slab.pageShift;
  const holder = (page >>> CHUNK_BITS) - plan.firstChunk;
  const at =
    holder >= 0 && holder < plan.chunks
      ? plan.tables + holder * TABLE_WORDS + ((page & (CHUNK_PAGES - 1)) << DESCRIPTOR_SHIFT)
      : i32[plan.root + (page >>> CHUNK_BITS)] + (page << DESCRIPTOR_SHIFT);
  return i32[at + Page.owner] === STATE ? table : 0;
}

/** Makes a table a chunk's. */
export function setTable(slab: SlabCore, chunk: number, table: Word): void {
  slab.i32[slab.root + chunk] = rootEntry(table, chunk << CHUNK_BITS, DESCRIPTOR_SHIFT);
}

/** The descriptor in a table of a page by its number. */
export function descriptorIn(table: Word, index: number): Word {
  return table + ((index & (CHUNK_PAGES - 1)) << DESCRIPTOR_SHIFT);
}

/** The descriptor of a page by its number; 0 when its chunk has no memory. */
export function pageNumber(slab: SlabCore, index: number): Word {
  const table = tableOf(slab, index >>> CHUNK_BITS);
  return table === 0 ? 0 : descriptorIn(table, index);
}

/** The descriptor of the page that a word lies in; 0 when its chunk has no memory. */
export function pageAt(slab: SlabCore, word: Word): Word {
  return pageNumber(slab, word >>> slab.pageShift);
}

/**
 * Whether a word is the first of a descriptor of a page that has had blocks: what a link, a list or an entry
 * of the root leads to is looked at in this way before it is followed any further. O(1), and only off the
 * fast paths.
 *
 * INDEX and the root agree on it nearly always: three loads. A root that was written over may lead elsewhere,
 * and then the table is looked for where nothing has written.
 */
export function isDescriptor(slab: SlabCore, page: Word): boolean {
  const { i32 } = slab;
  const index = i32[page + Page.index];
  if (!(index > 0)) return false;
  if (i32[slab.root + (index >>> CHUNK_BITS)] + (index << DESCRIPTOR_SHIFT) === page) return true;
  return pageNumber(slab, index) === page;
}

/** Chunks that may have memory, [low, high), as far as there can be any. */
export function chunkBounds(slab: SlabCore): { low: number; high: number } {
  const { i32, header, plan } = slab;
  const high = Math.min(i32[header + Field.chunkHigh], plan.allChunks);
  return { low: Math.max(0, i32[header + Field.chunkLow]), high };
}

/**
 * Pages from here on would lie outside the memory, as far as this thread sees it: under the lock, all that
 * there is. Bits that say otherwise are damage.
 */
export function endOfMemory(slab: SlabCore): number {
  return slab.i32.length >>> slab.pageShift;
}

/** Pages that there can be, as far as this thread sees memory: the bound of every walk over pages. */
export function mostPages(slab: SlabCore): number {
  return (slab.i32.length >>> slab.pageShift) + 1;
}

/** The word at which a page starts. */
export function startOf(slab: SlabCore, page: Word): Word {
  return slab.i32[page + Page.index] << slab.pageShift;
}

/** The word with a page's FREE bit, in a table. */
export function freeWord(table: Word, index: number): Word {
  return table + FREE_BITS + ((index & (CHUNK_PAGES - 1)) >>> 5);
}

/** The word with a page's PRESENT bit. */
export function presentWord(table: Word, index: number): Word {
  return table + PRESENT_BITS + ((index & (CHUNK_PAGES - 1)) >>> 5);
}

/** Whether a page is under management. */
export function isPresent(slab: SlabCore, index: number): boolean {
  const table = tableOf(slab, index >>> CHUNK_BITS);
  return table !== 0 && ((slab.i32[presentWord(table, index)] >>> index) & 1) === 1;
}

/** Whether a page is free. */
export function isFree(slab: SlabCore, index: number): boolean {
  const table = tableOf(slab, index >>> CHUNK_BITS);
  return table !== 0 && ((slab.i32[freeWord(table, index)] >>> index) & 1) === 1;
}

/** Calls back for each page that is under management and not free, in address order. */
export function forEachPage(slab: SlabCore, visit: (page: Word, index: number) => void): void {
  const { low, high } = chunkBounds(slab);
  for (let chunk = low; chunk < high; chunk++) {
    const table = tableOf(slab, chunk);
    if (table === 0) continue;
    for (let word = 0; word < MAP_WORDS; word++) {
      const { i32 } = slab;
      let bits = i32[table + PRESENT_BITS + word] & ~i32[table + FREE_BITS + word];
      for (; bits !== 0; bits &= bits - 1) {
        const index = (chunk << CHUNK_BITS) + (word << 5) + 31 - Math.clz32(bits & -bits);
        visit(descriptorIn(table, index), index);
      }
    }
  }
}
