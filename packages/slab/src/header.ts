/**
 * The header at the start of the region. With it a handle is only "this memory, from here".
 *
 * ```
 *  word
 *   0  MAGIC        "SHM1"; written last, so a half-made header is never taken for one
 *   1  ALGORITHM    "SLAB"
 *   2  VERSION
 *   3  PAGE_SHIFT   log2 of a page's bytes: the geometry
 *   4  END          first word behind the header and all tables that lie with it
 *   5  ROOT         the page map's root
 *   6  CPUS         the CPU table
 *   7  SLOTS        CPUs that can be attached at one time
 *   8  TABLES       the page map of the region's own chunks
 *   9  FIRST_CHUNK  the first of those
 *  10  CHUNKS       how many
 *  11  LOCK_KIND    0 none · 1 spin · 2 mutex · 3 outside
 *  12  DEBUG        0 or 1
 *  13  NULL_WORDS   words from address 0 on that have the pattern of NULL; 0 in a region that starts elsewhere
 *  16  LOCK         of the page list: its holder's name; alone on its line
 *  32  EPOCH        goes up whenever memory is added
 *  33  CHUNK_LOW    ┐ chunks with memory: [low, high)
 *  34  CHUNK_HIGH   ┘
 *  35  PRESENT      pages under management                           under the lock
 *  36  FREE_PAGES   those that are free
 *  37  HINT         no chunk below it has a free page
 *  38  GROWN        words of a SharedArrayBuffer that were given out: by this word threads agree on growth
 *  39  REACH        one past the last word of any page: as far as every thread has to see              under the lock
 *  40  SITES        first word of the table of sites, in debug mode
 *  48  TOUCHED      lines of 64 bytes that were ever used           ┐ changed with
 *  49  ERRORS       wrong calls that were reported                  ┘ Atomics
 *  64  ORPHANS      for each class, pages without an owner           under the lock
 * 128  NO_PAGES     a table of CURRENT in which every page is EMPTY
 * 160  EMPTY        the descriptor of a page without blocks
 * 192  CACHES       for each object cache 8 words: `cache.ts`
 * 448  the root, the CPU table, the page map …
 * ```
 */

import type { HeaderKind } from '@shmalloc/allocator-api';
import { CACHES, CLASSES, SIZE_CLASSES } from './geometry.ts';
import { DESCRIPTOR_WORDS } from './page.ts';

const ALGORITHM = 0x534c4142;
const VERSION = 2;

/** The name in handles and statistics. */
export const ALGORITHM_NAME = 'slab';

/** A header starts on a cache line, in bytes. */
export const HEADER_ALIGN = 64;

/** Words of an object cache's record. */
export const CACHE_WORDS = 8;

const ORPHANS = 64;
const NO_PAGES: number = ORPHANS + CLASSES;
const EMPTY: number = NO_PAGES + SIZE_CLASSES;
const CACHE_RECORDS: number = EMPTY + DESCRIPTOR_WORDS;

/** Offsets of the header's fields, in words. */
export const Field = {
  magic: 0,
  algorithm: 1,
  version: 2,
  pageShift: 3,
  end: 4,
  root: 5,
  cpus: 6,
  slots: 7,
  tables: 8,
  firstChunk: 9,
  chunks: 10,
  lockKind: 11,
  debug: 12,
  nullWords: 13,
  lock: 16,
  epoch: 32,
  chunkLow: 33,
  chunkHigh: 34,
  present: 35,
  freePages: 36,
  hint: 37,
  grown: 38,
  reach: 39,
  sites: 40,
  touched: 48,
  errors: 49,
  orphans: ORPHANS as number,
  noPages: NO_PAGES as number,
  empty: EMPTY as number,
  caches: CACHE_RECORDS as number,
} as const;

export const HEADER_WORDS: number = CACHE_RECORDS + CACHES * CACHE_WORDS;

/** What a header of this algorithm looks like. */
export const KIND: HeaderKind = {
  algorithm: ALGORITHM_NAME,
  code: ALGORITHM,
  version: VERSION,
  words: HEADER_WORDS,
  align: HEADER_ALIGN,
  nullWords: Field.nullWords,
  grown: Field.grown,
  sites: Field.sites,
};
