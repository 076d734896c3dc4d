/**
 * What the header of every region starts with, so that an attaching thread knows what it has before it.
 *
 * ```
 *  word
 *   0  MAGIC      "SHM1"; written last, so a half-made header is never taken for one
 *   1  ALGORITHM  four letters
 *   2  VERSION
 *   3  what the algorithm wants
 * ```
 */

import { alignDown, alignUp } from './address.ts';
import type { Word } from './bits.ts';
import { AllocError } from './error.ts';
import { checkHandle, type Handle } from './handle.ts';
import type { RegionOptions } from './memory-source.ts';
import { layNullZone, nullWordsOf } from './null-zone.ts';
import { SharedMemory } from './shared-memory.ts';
import { findSites, laySites, SITES_ALIGN, siteTableBytes } from './site-table.ts';

/** The first word of a header: "SHM1". @public */
export const HEADER_MAGIC = 0x53484d31;

/** Where the words are that every header has. */
const WORDS = { magic: 0, algorithm: 1, version: 2 } as const;

/**
 * What a header of one algorithm looks like.
 * @public
 */
export interface HeaderKind {
  /** The name in handles and messages. */
  readonly algorithm: string;
  /** Four letters of it, as a word. */
  readonly code: number;
  readonly version: number;
  /** Words that a header has at least. */
  readonly words: number;
  /** A header starts at a multiple of this, in bytes. */
  readonly align: number;
  /** Which of its words says how many words have the pattern of NULL, from address 0 on. Never changes. */
  readonly nullWords: number;
  /** Which of its words tells how far the memory has grown: see {@link SharedMemory.agreeOnGrowth}. */
  readonly grown: number;
  /** Which of its words tells where the table of sites lies, 0 for none; absent where there is never one. */
  readonly sites?: number | undefined;
}

/**
 * The memory of a heap that is to be made.
 * @param options - new memory, or a part of what there is; with `debug`, the end of it is kept for the
 *   table of sites, and the heap's region ends before
 * @returns the memory, in which address 0 is NULL
 * @throws as {@link SharedMemory.create}
 * @public
 */
export function openRegion(options: RegionOptions & { debug?: boolean | undefined }): SharedMemory {
  const memory = SharedMemory.create(options);
  const { source, start, end } = memory;
  const bytes = options.debug === true ? siteTableBytes(end - start) : 0;
  const region = bytes === 0 ? memory : SharedMemory.from(source, start, alignDown(end - bytes, SITES_ALIGN));
  if (bytes !== 0) region.sites = { table: region.end / 4, words: Math.floor((end - region.end) / 4) };
  region.reserveNull();
  return region;
}

/**
 * Where the header of a new region lies: behind the zone of NULL if the region starts at 0.
 * @param memory - the region
 * @param kind - what tells how it is aligned
 * @returns its first word
 * @public
 */
export function headerWord(memory: SharedMemory, { align }: Pick<HeaderKind, 'align'>): Word {
  return alignUp(memory.start + nullWordsOf(memory) * 4, align) / 4;
}

/**
 * Writes what every header has, all but the magic, which is for later, and the pattern of NULL in front of
 * it. The header's words are zero.
 * @param memory - the region
 * @param header - the header's first word
 * @param kind - the algorithm
 * @public
 */
export function writeIdentity(memory: SharedMemory, header: Word, kind: HeaderKind): void {
  const { i32 } = memory;
  const nullWords = nullWordsOf(memory);
  layNullZone(i32, nullWords);
  i32[header + WORDS.algorithm] = kind.code;
  i32[header + WORDS.version] = kind.version;
  i32[header + kind.nullWords] = nullWords;
  if (kind.sites !== undefined && memory.sites !== null) {
    laySites(i32, memory.sites);
    i32[header + kind.sites] = memory.sites.table;
  }
  memory.agreeOnGrowth(header + kind.grown);
}

/**
 * Makes a finished header known. Release: pairs with the load in {@link openHeader}; a thread that sees the
 * magic sees all that was written before it.
 * @param i32 - a view of the whole memory
 * @param header - the header's first word
 * @public
 */
export function publishHeader(i32: Int32Array, header: Word): void {
  Atomics.store(i32, header + WORDS.magic, HEADER_MAGIC);
}

/**
 * Finds the header that a handle names, and demands that it is one of this algorithm and version.
 * @param handle - what `share()` returned
 * @param kind - the algorithm
 * @returns the memory, and the header's first word
 * @throws TypeError for no handle, AllocError `InvalidParam` for a foreign one
 * @public
 */
export function openHeader(handle: Handle, kind: HeaderKind): { memory: SharedMemory; header: Word } {
  const { memory: source, start } = checkHandle(handle, kind.algorithm);
  const memory = openRegion({ memory: source, start });
  if (start % kind.align !== 0 || start + kind.words * 4 > memory.end) {
    throw new AllocError('InvalidParam', `handle names address ${start}, where no header can lie`);
  }
  const header = start >>> 2;
  const expected = { magic: HEADER_MAGIC, algorithm: kind.code, version: kind.version };
  for (const what of ['magic', 'algorithm', 'version'] as const)
    demandWord(kind, header, what, Atomics.load(memory.i32, header + WORDS[what]), expected[what]);
  if (kind.sites !== undefined) memory.sites = findSites(memory.i32, memory.i32[header + kind.sites]);
  memory.agreeOnGrowth(header + kind.grown);
  return { memory, header };
}

/**
 * Demands that a word of a header is what it should be.
 * @param kind - the algorithm
 * @param header - the header's first word
 * @param what - the word's name, for the message
 * @throws AllocError `InvalidParam`, with what was found and what was expected
 * @public
 */
export function demandWord(
  kind: HeaderKind,
  header: Word,
  what: string,
  found: number,
  expected: number,
): void {
  if (found === expected) return;
  const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;
  throw new AllocError(
    'InvalidParam',
    `cannot attach ${kind.algorithm} at address ${header * 4}: wrong ${what} ${hex(found)}, expected ${hex(expected)}`,
  );
}
