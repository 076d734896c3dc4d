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
 * A root entry is the table's place less what the chunk's first page would add: a descriptor is one load and one sum away from an address.
 */

import type { SlabCore } from './core.ts';
import { CHUNK_BITS, type Word } from './geometry.ts';
import { Field } from './header.ts';
import { DESCRIPTOR_SHIFT, DESCRIPTOR_WORDS, Page } from './page.ts';

/** A root entry of a chunk without memory. Tables lie at multiples of 16 words, so no entry of a table is odd. */
export const NO_TABLE = 1;

export const CHUNK_PAGES: number = 1 << CHUNK_BITS;
const MAP_WORDS: number = CHUNK_PAGES / 32;

/** Offsets in a table, in words. */
const FREE_BITS: number = CHUNK_PAGES * DESCRIPTOR_WORDS;
const PRESENT_BITS: number = FREE_BITS + MAP_WORDS;

/** Words of a table. */
export const TABLE_WORDS: number = FREE_BITS + 16;

/** Entries of the root: chunks in 4 GiB. */
export function rootWords(chunkShift: number): number {
  return 1 << (30 - chunkShift);
}

/** The table of a chunk, 0 when it has none. */
export function tableOf(slab: SlabCore, chunk: number): Word {
  const entry = slab.i32[slab.root + chunk];
  return entry === NO_TABLE ? 0 : entry + (chunk << (CHUNK_BITS + DESCRIPTOR_SHIFT));
}

/** Makes a table a chunk's. */
export function setTable(slab: SlabCore, chunk: number, table: Word): void {
  slab.i32[slab.root + chunk] = table - (chunk << (CHUNK_BITS + DESCRIPTOR_SHIFT));
}

/** The descriptor of the page that a word lies in; 0 when its chunk has no memory. */
export function pageAt(slab: SlabCore, word: Word): Word {
  const entry = slab.i32[slab.root + (word >>> slab.chunkShift)];
  return entry === NO_TABLE ? 0 : entry + ((word >>> slab.pageShift) << DESCRIPTOR_SHIFT);
}

/** The descriptor of a page by its number; the chunk must have a table. */
export function pageNumber(slab: SlabCore, index: number): Word {
  return slab.i32[slab.root + (index >>> CHUNK_BITS)] + (index << DESCRIPTOR_SHIFT);
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
  const high = slab.i32[slab.header + Field.chunkHigh];
  for (let chunk = slab.i32[slab.header + Field.chunkLow]; chunk < high; chunk++) {
    const table = tableOf(slab, chunk);
    if (table === 0) continue;
    for (let word = 0; word < MAP_WORDS; word++) {
      const { i32 } = slab;
      let bits = i32[table + PRESENT_BITS + word] & ~i32[table + FREE_BITS + word];
      for (; bits !== 0; bits &= bits - 1) {
        const index = (chunk << CHUNK_BITS) + (word << 5) + 31 - Math.clz32(bits & -bits);
        visit(pageNumber(slab, index), index);
      }
    }
  }
}
