/**
 * Where everything lies: the state of a two-level allocator, in pages that it takes from its page source
 * first of all.
 *
 * ```
 *  header   (a page's start)
 *  word
 *   0  MAGIC        "AXA1"; written last
 *   1  VERSION
 *   2  CPUS         how many threads can be attached            ┐
 *   3  GENERATIONS  how many heaps there can be at one time     │ geometry: never changes
 *   4  PAGE_SHIFT   log2 of a page's bytes                      │
 *   5  FIRST_PAGE   the map's first page                        │
 *   6  MAP_PAGES    how many pages the map has an entry for     │
 *   7  SITE_WORDS   length of the table of sites; 0 none        ┘
 *   8  POLICY × 4   the growth policy
 *      …
 *  16  CURRENT      which generation new blocks come from; alone on its cache line, since every malloc of every thread reads it
 *      …
 *  32  NEXT_THREAD  names for threads                           ┐
 *  33  LINES_USED   lines that ever had an owner, from the first│ written seldom
 *  34  SWAPS  35 GROWTHS  36 FAILURES  37 ERRORS  38 MADE       │
 *  40  USAGES × 5   pages by what programs use them for         ┘
 *      …
 *  48  ┌──────────────────────────────────┐
 *      │ lines × CPUS, 16 words each      │  a thread's own: OWNER · ANNOUNCED · VISITED · VISITED_INSIDE · unused · THREAD
 *      ├──────────────────────────────────┤
 *      │ tallies × CPUS, a word for each  │  blocks that this line's threads have allocated − freed in the generation,
 *      │ generation                       │  while they allocated from it
 *      ├──────────────────────────────────┤
 *      │ names × CPUS, a word for each    │  what the heap of the generation calls the thread; 0: not attached
 *      │ generation                       │
 *      ├──────────────────────────────────┤
 *      │ generations, 32 words each       │  STATE · ID · START · BALANCE · GROWTH · EMPTY · MOURNED · names
 *      ├──────────────────────────────────┤
 *      │ map, a byte for each page        │  0 free, or a program's     · 1 … 126 that generation's · 127 this state;
 *      ├──────────────────────────────────┤  with 128 where a run begins
 *      │ table of sites, with tracking    │  where blocks were allocated
 *      └──────────────────────────────────┘
 * ```
 *
 * A generation is named by its **slot**, 1 … GENERATIONS; the slot is used again when the generation is gone.
 * Its **id** is never used again: a running number above the slot.
 */

import {
  AllocError,
  alignUp,
  checkHandle,
  findSites,
  type Handle,
  laySites,
  SharedMemory,
  type Word,
} from '@shmalloc/allocator-api';
import type { GrowthPolicy } from './policy.ts';

export const ALGORITHM = 'axalloc';
const MAGIC = 0x41584131;
const VERSION = 3;

/** Where the table of sites begins, in bytes: on a cache line. */
const SITES_ALIGN = 64;

const Field = {
  magic: 0,
  version: 1,
  cpus: 2,
  generations: 3,
  pageShift: 4,
  firstPage: 5,
  mapPages: 6,
  siteWords: 7,
  policy: 8,
} as const;

/** Header words that change. */
export const CURRENT = 16;
export const NEXT_THREAD = 32;
export const LINES_USED = 33;
export const SWAPS = 34;
export const GROWTHS = 35;
export const FAILURES = 36;
export const ERRORS = 37;
/** How many generations were made: their running numbers. */
export const MADE = 38;
/** Pages by what programs use them for: five words. */
export const USAGES = 40;

const LINES = 48;
const LINE_WORDS = 16;

/** Fields of a thread's line. */
/** The thread's name; 0 no thread's; the negative name of the thread that is reaping it. */
export const OWNER = 0;
/** The slot that the thread may allocate from and free into without a further word; 0 none. */
export const ANNOUNCED = 1;
/** A slot whose heap the thread is using at this moment besides; 0 none. */
export const VISITED = 2;
/** The same, for what an error hook does during a visit. */
export const VISITED_INSIDE = 3;
/** The thread's name again, which its reaper keeps. */
export const THREAD = 5;

const ENTRY_WORDS = 32;

/** Fields of a generation. */
export const STATE = 0;
export const ID = 1;
/** Address of the heap's header; 0 when there is no heap in it (yet, or any more). */
export const START = 2;
/** What visitors add to the tallies: −1 for each block that they have freed. */
export const BALANCE = 3;
/** How often it has grown, and which CPU is at it. */
export const GROWTH = 4;
/** Bytes in use when the heap was new. */
export const EMPTY = 5;
/** 1 when a thread has died in it. */
export const MOURNED = 6;
const NAME = 8;
const KIND = 20;
const TEXT_BYTES = 48;

/** A slot's bits in a map byte and in CURRENT. */
export const SLOT_MASK = 127;
export const SLOT_BITS = 7;
/** A map byte's bit where a run begins. */
export const RUN_BEGINS = 128;
/** The "slot" of the pages with this state. */
export const OWN_PAGES = 127;
export const MOST_GENERATIONS = 126;
export const MOST_CPUS = 255;

/** What was chosen when the allocator was made. */
export interface Geometry {
  readonly cpus: number;
  readonly generations: number;
  readonly pageShift: number;
  readonly firstPage: number;
  readonly mapPages: number;
  /** Length of the table of sites, 0 without tracking. */
  readonly siteWords: number;
}

/** Where the parts lie, in words from the header (the map's place in bytes). */
export interface Places {
  readonly row: number;
  readonly tallies: Word;
  readonly names: Word;
  readonly entries: Word;
  readonly mapBytes: number;
  readonly sites: Word;
  readonly bytes: number;
}

/** Where the parts of an allocator with this geometry lie. */
export function placesOf({ cpus, generations, mapPages, siteWords }: Geometry): Places {
  const row = alignUp(generations + 1, LINE_WORDS);
  const tallies = LINES + cpus * LINE_WORDS;
  const names = tallies + cpus * row;
  const entries = names + cpus * row;
  const mapBytes = (entries + generations * ENTRY_WORDS) * 4;
  const mapEnd = mapBytes + mapPages;
  const sites = alignUp(mapEnd, SITES_ALIGN) / 4;
  const bytes = siteWords === 0 ? mapEnd : (sites + siteWords) * 4;
  return { row, tallies, names, entries, mapBytes, sites, bytes };
}

/** The line of CPU 1, 2, … */
export function lineAt(header: Word, cpu: number): Word {
  return header + LINES + (cpu - 1) * LINE_WORDS;
}

/** The entry of slot 1, 2, … */
export function entryAt(header: Word, places: Places, slot: number): Word {
  return header + places.entries + (slot - 1) * ENTRY_WORDS;
}

/** The tally of a CPU in a generation. */
export function tallyAt(header: Word, places: Places, cpu: number, slot: number): Word {
  return header + places.tallies + (cpu - 1) * places.row + slot;
}

/** What a generation's heap calls a CPU. */
export function nameAt(header: Word, places: Places, cpu: number, slot: number): Word {
  return header + places.names + (cpu - 1) * places.row + slot;
}

/** Makes pages a fresh state, all but the magic. */
export function writeHeader(
  memory: SharedMemory,
  header: Word,
  geometry: Geometry,
  policy: GrowthPolicy,
  pages: number,
): void {
  const { i32, u8 } = memory;
  const places = placesOf(geometry);
  const { cpus, generations, pageShift, firstPage, mapPages, siteWords } = geometry;
  i32.fill(0, header, header + Math.ceil(places.bytes / 4));
  i32[header + Field.version] = VERSION;
  i32[header + Field.cpus] = cpus;
  i32[header + Field.generations] = generations;
  i32[header + Field.pageShift] = pageShift;
  i32[header + Field.firstPage] = firstPage;
  i32[header + Field.mapPages] = mapPages;
  i32[header + Field.siteWords] = siteWords;
  if (siteWords > 0) laySites(i32, { table: header + places.sites, words: siteWords });
  const { initialBytes, percent, leastBytes, mostBytes } = policy;
  for (const [index, value] of [initialBytes, percent, leastBytes, mostBytes].entries())
    memory.u32[header + Field.policy + index] = Math.min(value, 0xffffffff);
  const own = header * 4 + places.mapBytes + ((header * 4) >>> pageShift) - firstPage;
  u8.fill(OWN_PAGES, own, own + pages);
  u8[own] |= RUN_BEGINS;
}

/**
 * Makes a finished state known. Pairs with the load in {@link openHeader}: a thread that sees the magic sees
 * all that was written before.
 */
export function publishHeader(memory: SharedMemory, header: Word): void {
  Atomics.store(memory.i32, header + Field.magic, MAGIC);
}

/**
 * Finds the state that a handle names.
 * @throws TypeError for no handle, AllocError `InvalidParam` for a foreign one
 */
export function openHeader(handle: Handle): { memory: SharedMemory; header: Word } {
  const { memory: source, start } = checkHandle(handle, ALGORITHM);
  const memory = SharedMemory.from(source);
  const header = start >>> 2;
  if (start % 16 !== 0 || start + LINES * 4 > memory.end)
    throw new AllocError('InvalidParam', `handle names address ${start}, where no header can lie`);
  const { i32 } = memory;
  const demand = (what: string, found: number, holds: boolean): void => {
    if (holds) return;
    throw new AllocError(
      'InvalidParam',
      `cannot attach ${ALGORITHM} at address ${start}: wrong ${what} 0x${(found >>> 0).toString(16)}`,
    );
  };
  // Acquire: pairs with the store in publishHeader.
  const magic = Atomics.load(i32, header + Field.magic);
  demand('magic', magic, magic === MAGIC);
  demand('version', i32[header + Field.version], i32[header + Field.version] === VERSION);
  const geometry = geometryOf(memory, header);
  const { cpus, generations } = geometry;
  demand('number of threads', cpus, cpus > 0 && cpus <= MOST_CPUS);
  demand('number of generations', generations, generations > 0 && generations <= MOST_GENERATIONS);
  const { pageShift, firstPage, mapPages, siteWords } = geometry;
  demand('page size', pageShift, pageShift >= 6 && pageShift <= 31);
  demand('first page', firstPage, firstPage >= 0 && firstPage <= start / 2 ** pageShift);
  const { bytes, sites } = placesOf(geometry);
  const hasTable = siteWords === 0 || findSites(i32, header + sites)?.words === siteWords;
  demand('table of sites', siteWords, hasTable);
  const covered = mapPages > 0 && start + bytes <= (firstPage + mapPages) * 2 ** pageShift;
  demand('map', mapPages, covered && start + bytes <= memory.end);
  return { memory, header };
}

export function geometryOf({ i32 }: SharedMemory, header: Word): Geometry {
  return {
    cpus: i32[header + Field.cpus],
    generations: i32[header + Field.generations],
    pageShift: i32[header + Field.pageShift],
    firstPage: i32[header + Field.firstPage],
    mapPages: i32[header + Field.mapPages],
    siteWords: i32[header + Field.siteWords],
  };
}

export function readPolicy({ u32 }: SharedMemory, header: Word): GrowthPolicy {
  const at = header + Field.policy;
  return {
    initialBytes: u32[at],
    percent: u32[at + 1],
    leastBytes: u32[at + 2],
    mostBytes: u32[at + 3],
  };
}

// ── The two texts of a generation: the algorithm's name, and what its handles say ──

/** Whether a text fits into its place. */
export function fitsText(text: string): boolean {
  return new TextEncoder().encode(text).length < TEXT_BYTES;
}

export function writeName({ u8 }: SharedMemory, entry: Word, text: string): void {
  writeText(u8, (entry + NAME) * 4, text);
}

export function writeKind({ u8 }: SharedMemory, entry: Word, text: string): void {
  writeText(u8, (entry + KIND) * 4, text);
}

export function readName({ u8 }: SharedMemory, entry: Word): string {
  return readText(u8, (entry + NAME) * 4);
}

export function readKind({ u8 }: SharedMemory, entry: Word): string {
  return readText(u8, (entry + KIND) * 4);
}

function writeText(u8: Uint8Array, at: number, text: string): void {
  const bytes = new TextEncoder().encode(text);
  u8[at] = bytes.length;
  u8.set(bytes, at + 1);
}

function readText(u8: Uint8Array, at: number): string {
  // A decoder takes no shared memory.
  return new TextDecoder().decode(Uint8Array.from(u8.subarray(at + 1, at + 1 + u8[at])));
}
