/**
 * Making a region: where everything lies.
 *
 * ```
 *  start
 *  ├ NULL ┼ header ┼ root ┼ empty page ┼ thread table ┼ tables of the region's chunks  ┤ slices …
 *  │ 1 KiB│ 48     │ 64 … 4096 words   │ SLOTS × 352  │ and of those that it may reach │
 *    if start is 0                                     │ when it grows, if there is room│
 * ```
 *
 * In secure mode there are rows of canaries before and behind the thread table, and behind the tables.
 *
 * Only what is touched costs memory: the thread table and the tables are reserved.
 */

import { AllocError, headerWord, type SharedMemory, type Word, writeIdentity } from '@shmalloc/allocator-api';
import { NO_TABLE } from '@shmalloc/thread-heap';

import { geometryOf, OS_PAGE_BYTES, segmentShiftFor } from '../layout/geometry.ts';
import { Field, HEADER_WORDS, KIND } from '../layout/header.ts';
import { HEAP_WORDS, Heap } from '../layout/heap.ts';
import { rootWords, tableWords } from '../layout/page-map.ts';
import type { Tld } from '../thread/thread-view.ts';
import { addRange, checkNew, makeTable } from './memory.ts';
import type { Settings } from './options.ts';
import { BY_REGION } from './options.ts';
import { resetHeap, slotAt } from './thread-table.ts';

const LINE_WORDS = 16;

/**
 * Slices for blocks that a region has behind its tables, at least, if its segments are larger than a
 * sixteenth of it.
 */
const ROOM_SLICES = 8;

/** Threads by the region's size. */
function slotsFor(bytes: number): number {
  if (bytes < 1 << 20) return 8;
  return bytes < 1 << 24 ? 16 : 64;
}

/** Where everything lies, in words. */
interface Plan {
  readonly segmentShift: number;
  readonly slots: number;
  readonly root: Word;
  readonly emptyPage: Word;
  readonly heaps: Word;
  readonly tables: Word;
  readonly firstChunk: number;
  readonly chunks: number;
  readonly end: Word;
  /** Words of a slice. */
  readonly slice: number;
}

/** @param end - words: tables are laid for the chunks below */
function planFor(memory: SharedMemory, settings: Settings, segmentShift: number, end: number): Plan {
  const geometry = geometryOf(segmentShift);
  const slots = settings.threads === BY_REGION ? slotsFor(memory.end - memory.start) : settings.threads;
  const header = headerWord(memory, KIND);
  const root = header + HEADER_WORDS;
  const emptyPage = root + Math.max(LINE_WORDS, rootWords(geometry.chunkShift));
  const fence = settings.secure === 0 ? 0 : LINE_WORDS;
  const heaps = emptyPage + LINE_WORDS + fence;
  const tables = heaps + slots * HEAP_WORDS + fence;
  const firstChunk = header >>> geometry.chunkShift;
  const chunks = ((Math.max(end, 1) - 1) >>> geometry.chunkShift) - firstChunk + 1;
  return {
    segmentShift,
    slots,
    root,
    emptyPage,
    heaps,
    tables,
    firstChunk,
    chunks,
    end: tables + chunks * tableWords(geometry.slicesPerSegment) + fence,
    slice: 1 << geometry.sliceShift,
  };
}

/**
 * The division of a region. One that may grow has the tables of all chunks that it can reach in its header,
 * so that they never lie between pieces that come one by one: with segments a sixteenth of the region if a
 * quarter of it is enough for those tables, else with larger ones, up to those of a region of the final size.
 * Where even these tables leave no room, the further ones come with the first piece (`memory.ts`).
 * @param maxWords - how far the memory can grow, 0 when that is not known
 */
function choosePlan(memory: SharedMemory, settings: Settings, maxWords: number): Plan {
  const end = Math.floor(memory.end / 4);
  const most = Math.max(maxWords, end);
  const isGiven = settings.segmentShift !== BY_REGION;
  const least = isGiven ? settings.segmentShift : segmentShiftFor(memory.end - memory.start);
  const largest = isGiven ? least : Math.max(least, segmentShiftFor(most * 4 - memory.start));
  for (let shift = least; shift <= largest; shift++) {
    const plan = planFor(memory, settings, shift, most);
    if (most === end || (plan.end - plan.tables) * 4 <= end - memory.start / 4) return plan;
  }
  for (const tablesTo of [most, end]) {
    for (let shift = largest; shift >= least; shift--) {
      const plan = planFor(memory, settings, shift, tablesTo);
      if (plan.end + ROOM_SLICES * plan.slice <= end) return plan;
    }
  }
  return planFor(memory, settings, least, end);
}

/**
 * Writes the header, the root and an empty thread table; the magic is for later.
 * @param maxWords - how far the memory can grow, 0 when that is not known
 * @returns the header's word
 * @throws AllocError `InvalidParam` when the region is too small
 */
export function layOut(memory: SharedMemory, settings: Settings, maxWords: number): Word {
  const { i32 } = memory;
  const header = headerWord(memory, KIND);
  const plan = choosePlan(memory, settings, maxWords);
  const { root, emptyPage, heaps, tables, end } = plan;
  const least = (end + 2 * plan.slice) * 4;
  // Refused before anything is written: the memory may be in use.
  if (memory.end < least) {
    throw new AllocError(
      'RegionTooSmall',
      `region [${memory.start}, ${memory.end}) is too small: mimalloc needs ${least - memory.start} bytes at least`,
    );
  }
  i32.fill(0, header, tables);
  i32.fill(NO_TABLE, root, emptyPage);
  writeIdentity(memory, header, KIND);
  const fields: readonly (readonly [number, number])[] = [
    [Field.segmentShift, plan.segmentShift],
    [Field.end, end],
    [Field.root, root],
    [Field.heaps, heaps],
    [Field.slots, plan.slots],
    [Field.emptyPage, emptyPage],
    [Field.homeTables, tables],
    [Field.homeFirst, plan.firstChunk],
    [Field.homeCount, plan.chunks],
    [Field.secure, settings.secure],
    [Field.secret, seedOf(settings)],
    [Field.sampleRate, settings.sampleRate],
    [Field.purgeDelay, settings.purgeDelay],
    [Field.purgeResets, settings.purgeResets],
    [Field.retireCycles, settings.retireCycles],
    [Field.grow, settings.grow],
    [Field.reclaimOnFree, settings.reclaimOnFree],
    [Field.maxWords, maxWords],
    [Field.committed, Math.ceil(((heaps - header) * 4) / OS_PAGE_BYTES)],
    [Field.epoch, 1],
  ];
  for (const [field, value] of fields) i32[header + field] = value;
  i32[header + Field.peak] = i32[header + Field.committed];
  return header;
}

/** A number that other programs cannot guess easily, or the one that was asked for. */
function seedOf({ seed }: Settings): number {
  return seed === BY_REGION ? (Math.random() * 2 ** 32) | 0 : seed | 0;
}

/**
 * Forgets all memory and all blocks; the thread table keeps its threads.
 * @param dirty - whether the words of the tables may be anything but zero
 */
export function forgetMemory(tld: Tld, dirty: boolean): void {
  const { i32, header, root, chunkShift } = tld;
  i32.fill(NO_TABLE, root, root + rootWords(chunkShift));
  const first = i32[header + Field.homeFirst];
  const words = tableWords(tld.slicesPerSegment);
  for (let index = 0; index < i32[header + Field.homeCount]; index++) {
    const table = i32[header + Field.homeTables] + index * words;
    if (dirty) i32.fill(0, table, table + words);
    makeTable(tld, first + index, table);
  }
  for (const field of [Field.chunkLow, Field.chunkHigh, Field.arenas, Field.purgeAt, Field.records])
    i32[header + field] = 0;
  const used = (i32[header + Field.heaps] - header) * 4;
  let committed = Math.ceil(used / OS_PAGE_BYTES);
  for (let slot = 0; slot < i32[header + Field.slots]; slot++) {
    const heap = slotAt(tld, slot);
    if (i32[heap] === 0) continue;
    resetHeap(tld, heap);
    i32[heap + Heap.next] = 0;
    committed += Math.ceil((HEAP_WORDS * 4) / OS_PAGE_BYTES);
  }
  i32[header + Field.committed] = committed;
  i32[header + Field.generation]++;
}

/**
 * The slices inside a byte range, in words.
 * @throws AllocError `InvalidParam` when there are none, `MemoryOverlap` for the heap's own state and for
 *   what it has
 */
export function slicesIn(tld: Tld, start: number, end: number, fresh: boolean): { from: Word; to: Word } {
  const { i32, header, sliceShift } = tld;
  const state = (header - i32[header + Field.nullWords]) * 4;
  const stateEnd = i32[header + Field.end] * 4;
  if (start < stateEnd && end > state) {
    throw new AllocError(
      'MemoryOverlap',
      `[${start}, ${end}) overlaps the heap's own state [${state}, ${stateEnd})`,
    );
  }
  const slice = 4 << sliceShift;
  // Address 0 is NULL: its slice is of no use.
  const from = Math.max(1, Math.ceil(start / slice)) * (slice / 4);
  const to = Math.floor(end / slice) * (slice / 4);
  // Every slice that the range touches: what is managed is managed in whole slices.
  if (fresh) checkNew(tld, Math.floor(start / slice) * (slice / 4), Math.ceil(end / slice) * (slice / 4));
  if (from >= to) {
    throw new AllocError('RegionTooSmall', `[${start}, ${end}) holds no whole slice of ${slice} bytes`);
  }
  return { from, to };
}

/** Adds what lies behind the header as the first range. */
export function addHome(tld: Tld): void {
  const { i32, header, sliceShift, memory } = tld;
  const from = (((i32[header + Field.end] - 1) >>> sliceShift) + 1) << sliceShift;
  const to = Math.floor(memory.end / (4 << sliceShift)) << sliceShift;
  addRange(tld, from, to, 0);
}
