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
 *  11  LOCK_KIND    0 none · 1 spin · 2 mutex
 *  12  DEBUG        0 or 1
 *  16  LOCK         of the page list: its holder's name; alone on its line
 *  32  EPOCH        goes up whenever memory is added
 *  33  CHUNK_LOW    ┐ chunks with memory: [low, high)
 *  34  CHUNK_HIGH   ┘
 *  35  PRESENT      pages under management                           under the lock
 *  36  FREE_PAGES   those that are free
 *  37  HINT         no chunk below it has a free page
 *  48  TOUCHED      lines of 64 bytes that were ever used           ┐ changed with
 *  49  ERRORS       wrong calls that were reported                  ┘ Atomics
 *  64  ORPHANS      for each class, pages that nobody owns           under the lock
 * 128  NO_PAGES     a table of CURRENT in which every page is EMPTY
 * 160  EMPTY        the descriptor of a page without blocks
 * 192  CACHES       for each object cache 8 words: `cache.ts`
 * 448  the root, the CPU table, the page map …
 * ```
 */

import { AllocError, alignUp, checkHandle, type Handle, SharedMemory } from '@shmalloc/allocator-api';
import { CACHES, CLASSES, checkPageShift, SIZE_CLASSES, type Word } from './geometry.ts';
import { DESCRIPTOR_WORDS } from './page.ts';

const MAGIC = 0x53484d31;
const ALGORITHM = 0x534c4142;
const VERSION = 1;

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
  lock: 16,
  epoch: 32,
  chunkLow: 33,
  chunkHigh: 34,
  present: 35,
  freePages: 36,
  hint: 37,
  touched: 48,
  errors: 49,
  orphans: ORPHANS as number,
  noPages: NO_PAGES as number,
  empty: EMPTY as number,
  caches: CACHE_RECORDS as number,
} as const;

export const HEADER_WORDS: number = CACHE_RECORDS + CACHES * CACHE_WORDS;

/** Writes what every header starts with, all but the magic. */
export function writeIdentity(i32: Int32Array, header: Word, pageShift: number): void {
  i32[header + Field.algorithm] = ALGORITHM;
  i32[header + Field.version] = VERSION;
  i32[header + Field.pageShift] = pageShift;
}

/** Makes a finished header known. Pairs with the load in {@link openHeader}: who sees the magic sees all that was written before it. */
export function publishHeader(i32: Int32Array, header: Word): void {
  Atomics.store(i32, header + Field.magic, MAGIC);
}

/** The header's first word in a region. */
export function headerOf(memory: SharedMemory): Word {
  return alignUp(memory.start, HEADER_ALIGN) / 4;
}

/**
 * Finds the header that a handle names and demands that it is one of this version.
 * @throws TypeError for no handle, AllocError `InvalidParam` for a foreign one
 */
export function openHeader(handle: Handle): { memory: SharedMemory; header: Word } {
  const { memory: source, start } = checkHandle(handle, ALGORITHM_NAME);
  const memory = SharedMemory.from(source, start);
  if (start % HEADER_ALIGN !== 0 || start + HEADER_WORDS * 4 > memory.end) {
    throw new AllocError('InvalidParam', `handle names address ${start}, where no header can lie`);
  }
  const header = start >>> 2;
  const expected = { magic: MAGIC, algorithm: ALGORITHM, version: VERSION };
  for (const what of ['magic', 'algorithm', 'version'] as const) {
    const found = Atomics.load(memory.i32, header + Field[what]);
    if (found !== expected[what]) {
      throw new AllocError(
        'InvalidParam',
        `cannot attach slab at address ${start}: wrong ${what} ${hex(found)}, expected ${hex(expected[what])}`,
      );
    }
  }
  checkPageShift(memory.i32[header + Field.pageShift]);
  return { memory, header };
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}
