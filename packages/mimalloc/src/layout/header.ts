/**
 * The region's header: all that an attaching thread must know, so that a handle is only "this memory, from
 * here".
 *
 * ```
 *  word
 *   0  MAGIC          "SHM1"; written last, so a half-made header is never taken for one
 *   1  ALGORITHM      "MIMA"
 *   2  VERSION
 *   3  SEGMENT_SHIFT  log2 of a segment's bytes: the geometry
 *   4  END            first word behind everything that the header holds
 *   5  ROOT           where the page map's root lies            ┐
 *   6  HEAPS          where the thread table lies               │ laid out once,
 *   7  SLOTS          its length                                │ never changed
 *   8  EMPTY_PAGE     a page descriptor with no block           │
 *   9  HOME_TABLES    tables of the chunks that the header has  │
 *  10  HOME_FIRST     the first of those chunks                 │
 *  11  HOME_COUNT     how many                                  │
 *  12  SECURE         the level of secure mode                  │
 *  13  SECRET         of secure mode                            │
 *  14  SAMPLE_RATE    of guarded blocks                         │
 *  15  PURGE_DELAY    milliseconds; −1 never                    │
 *  16  RETIRE_CYCLES                                            │
 *  17  PURGE_RESETS   purge by reset rather than by decommit    │
 *  18  GROW           whether threads may lengthen the memory   │
 *  19  RECLAIM_ON_FREE  whether a free adopts abandoned memory  ┘
 *  20  NULL_WORDS     words from address 0 on that have the pattern of NULL
 *  21  MAX_WORDS      how far the memory can grow; 0 when that is not known
 *  22  CHECKSUM       over 1 … 21, in secure mode; else 0
 *  23  SITES          first word of the table of sites, in debug mode
 *  31  a canary, in secure mode
 *  32  EPOCH          goes up when memory comes or `init` forgets: the other threads look again
 *  33  GENERATION     goes up with each `init`
 *  34  CHUNK_LOW      the chunks that have memory: first …
 *  35  CHUNK_HIGH     … and one past the last
 *  36  DEATHS         threads that ended without a word and were reaped
 *  37  ARENAS         exclusive arenas that were added; their ids start at 1
 *  38  COMMITTED      OS pages with memory behind them
 *  39  PEAK           the most of those
 *  40  ERRORS         wrong calls that were reported
 *  41  PURGE_AT       when a free segment next wants to be purged, milliseconds; 0 for none
 *  42  PURGES         how often memory was given back
 *  43  PURGED_PAGES   how much, in OS pages
 *  44  SHARED         1 since a second thread has attached
 *  45  RECORDS        the newest of the heap records beside the thread table
 *  46  GROWN          words of a SharedArrayBuffer that were given out: by this word threads agree on growth
 *  47  a canary, in secure mode
 *  48  the root, the thread table, tables of chunks …
 * ```
 *
 * Counters that several threads write are changed with Atomics, all on slow paths.
 */

import {
  type Handle,
  type HeaderKind,
  openHeader as openAny,
  type SharedMemory,
  type Word,
} from '@shmalloc/allocator-api';
import { geometryOf } from './geometry.ts';

const ALGORITHM = 0x4d494d41;
const VERSION = 1;

/** The name in handles and statistics. */
export const ALGORITHM_NAME = 'mimalloc';

/** A header starts on a cache line, in bytes. */
export const HEADER_ALIGN = 64;

/** Offsets of the header's fields, in words. */
export const Field = {
  magic: 0,
  algorithm: 1,
  version: 2,
  segmentShift: 3,
  end: 4,
  root: 5,
  heaps: 6,
  slots: 7,
  emptyPage: 8,
  homeTables: 9,
  homeFirst: 10,
  homeCount: 11,
  secure: 12,
  secret: 13,
  sampleRate: 14,
  purgeDelay: 15,
  retireCycles: 16,
  purgeResets: 17,
  grow: 18,
  reclaimOnFree: 19,
  nullWords: 20,
  maxWords: 21,
  checksum: 22,
  sites: 23,
  canary: 31,
  epoch: 32,
  generation: 33,
  chunkLow: 34,
  chunkHigh: 35,
  deaths: 36,
  arenas: 37,
  committed: 38,
  peak: 39,
  errors: 40,
  purgeAt: 41,
  purges: 42,
  purgedPages: 43,
  shared: 44,
  records: 45,
  grown: 46,
  lastCanary: 47,
} as const;

/** Words that are laid out once and never change, from the magic on. */
export const FIXED_WORDS: number = Field.checksum;

export const HEADER_WORDS = 48;

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

/**
 * Finds the header that a handle names and demands that it is one of this version.
 * @throws TypeError for no handle, AllocError `InvalidParam` for a foreign one
 */
export function openHeader(handle: Handle): { memory: SharedMemory; header: Word } {
  const opened = openAny(handle, KIND);
  const { memory, header } = opened;
  geometryOf(memory.i32[header + Field.segmentShift]);
  return opened;
}
