/**
 * Making a region: where everything lies.
 *
 * ```
 *  start
 *  ├ header ┼ root ┼ CPU table ┼ page map of the region's chunks ┤ pages …
 *  │ 448    │      │ SLOTS×192 │ 4112 words for 128 pages        │
 * ```
 *
 * Memory that was made for this region is zero and only reserved, so tables are not cleared: only what is used costs memory.
 */

import {
  AllocError,
  checkChoice,
  checkInteger,
  openRegion,
  type RegionOptions,
  type SharedMemory,
  writeIdentity,
} from '@shmalloc/allocator-api';
import { CPU_WORDS, MAX_SLOTS } from './cpu.ts';
import { CHUNK_BITS, pageShiftFor, SIZE_CLASSES, shiftOfPage, type Word } from './geometry.ts';
import { Field, HEADER_WORDS, headerOf, KIND } from './header.ts';
import { LOCK_KINDS, type LockKind } from './page-lock.ts';
import { rootWords, TABLE_WORDS } from './page-map.ts';

/**
 * Where the region comes from, and how it is run.
 * @public
 */
export interface SlabOptions extends RegionOptions {
  /** What stands around the page list; blocks need none. `'none'` is for one thread. Default `'spin'`. */
  lock?: LockKind | undefined;
  /**
   * Detect every wrong free, every write past a block's end and into a freed block, for 24 bytes a block and some of the speed. Default false.
   */
  debug?: boolean | undefined;
  /** CPUs (threads) that can be attached at one time, 1 … 1000. Default 8 to 64, by the region. */
  maxCpus?: number | undefined;
  /** Bytes of a page: 8, 16, 32 or 64 KiB. Default 64 KiB; less in a region below 8 MiB, a 128th of it. */
  pageBytes?: number | undefined;
}

/** CPUs by the region's size. */
function slotsFor(bytes: number): number {
  if (bytes < 1 << 20) return 8;
  return bytes < 1 << 24 ? 16 : 64;
}

function checkSlots(value: number): number {
  if (checkInteger('maxCpus', value) >= 1 && value <= MAX_SLOTS) return value;
  throw new AllocError('InvalidParam', `maxCpus must lie between 1 and ${MAX_SLOTS}, got ${value}`);
}

/** A region that is laid out, but for its magic and its pages. */
export interface LaidOut {
  readonly memory: SharedMemory;
  readonly header: Word;
}

/**
 * Writes the header, the root and an empty CPU table; the magic is for later.
 * @throws TypeError, RangeError or AllocError, naming the option; `InvalidParam` when the region is too small
 */
export function layOut(options: SlabOptions): LaidOut {
  const lock = LOCK_KINDS.indexOf(checkChoice('lock', options.lock ?? 'spin', LOCK_KINDS));
  const { debug = false } = options;
  if (typeof debug !== 'boolean') throw new TypeError(`debug must be true or false, got ${String(debug)}`);
  const wanted =
    options.pageBytes === undefined ? 0 : shiftOfPage(checkInteger('pageBytes', options.pageBytes));
  const maxCpus = options.maxCpus === undefined ? 0 : checkSlots(options.maxCpus);
  const memory = openRegion(options);
  const bytes = memory.end - memory.start;
  const pageShift = wanted === 0 ? pageShiftFor(bytes) : wanted;
  const slots = maxCpus === 0 ? slotsFor(bytes) : maxCpus;
  const chunkShift = pageShift - 2 + CHUNK_BITS;
  const header = headerOf(memory);
  const root = header + HEADER_WORDS;
  const cpus = root + Math.max(16, rootWords(chunkShift));
  const tables = cpus + slots * CPU_WORDS;
  const first = header >>> chunkShift;
  const chunks = (Math.floor(Math.max(memory.end - 1, 0) / 4) >>> chunkShift) - first + 1;
  const end = tables + chunks * TABLE_WORDS;
  const page = 2 ** pageShift;
  // Refused before anything is written: the memory may be somebody's.
  const least = (Math.ceil((end * 4) / page) + 1) * page;
  if (memory.end < least) {
    throw new AllocError(
      'InvalidParam',
      `region [${memory.start}, ${memory.end}) is too small: slab needs ${least - memory.start} bytes at least`,
    );
  }
  const { i32 } = memory;
  i32.fill(0, header, cpus);
  if (options.memory !== undefined) i32.fill(0, cpus, end);
  writeIdentity(memory, header, KIND);
  i32[header + Field.pageShift] = pageShift;
  const fields: readonly (readonly [number, number])[] = [
    [Field.end, end],
    [Field.root, root],
    [Field.cpus, cpus],
    [Field.slots, slots],
    [Field.tables, tables],
    [Field.firstChunk, first],
    [Field.chunks, chunks],
    [Field.lockKind, lock],
    [Field.debug, debug ? 1 : 0],
    [Field.epoch, 1],
    [Field.touched, (cpus - header) >>> 4],
  ];
  for (const [field, value] of fields) i32[header + field] = value;
  i32.fill(header + Field.empty, header + Field.noPages, header + Field.noPages + SIZE_CLASSES);
  return { memory, header };
}
