/**
 * How a full machine lays out its physical memory. Only this file knows an offset.
 *
 * ```
 *  start
 *  ├ NULL ┼ header ┼ table of the VM account ┼ page allocator's header, maps ┼ page ┼ page ┼ …  end
 *   1 KiB   128 B    a word a page             3.1 bits a page                 ▲ ACCOUNT: first page behind the table
 *
 *  word
 *   0  MAGIC      "SHM1"; written last, so a half-made header is never taken for one
 *   1  ALGORITHM  "KMEM"
 *   2  VERSION    of this layout
 *   3  TABLE      bytes: where the account's table begins
 *   4  ACCOUNT    bytes: the first page that the account is about
 *   5  PAGES      how many pages those are
 *   6  FRAMES     how many of them may be resident at once
 *   7  MAPS       bytes: where the page allocator's header lies
 *   8  NULL_WORDS words from address 0 on that have the pattern of NULL; 0 in a region that starts elsewhere
 *      …
 *  16  HEAP      pages that the byte allocators have   ┐ a cache line of their own: changed with
 *  17  PEAK      the most that they have had           ┘ every page that comes or goes
 *  18  GROWN     words of a SharedArrayBuffer that were given out
 * ```
 */

import {
  AllocError,
  alignUp,
  demandWord,
  type Handle,
  type HeaderKind,
  headerWord,
  nullWordsOf,
  openHeader,
  publishHeader,
  type SharedMemory,
  writeIdentity,
} from '@shmalloc/allocator-api';
import { PAGE_BYTES } from '../vm/frames.ts';
import { VmAccount } from '../vm/vm-account.ts';

const LINE = 64;

// Words of the header.
const TABLE_AT = 3;
const ACCOUNT_AT = 4;
const PAGES_AT = 5;
const FRAMES_AT = 6;
const MAPS_AT = 7;
export const HEAP_AT = 16;
export const PEAK_AT = 17;
const HEADER_WORDS = 32;

/** What a header of this memory looks like, and what a handle calls itself. */
export const KIND: HeaderKind = {
  algorithm: 'physical-memory',
  code: 0x4b4d454d,
  version: 2,
  words: HEADER_WORDS,
  align: LINE,
  nullWords: 8,
  grown: 18,
};

/** What a header says. */
export interface Plan {
  /** First word of the header. */
  readonly header: number;
  readonly table: number;
  readonly account: number;
  readonly pages: number;
  readonly frames: number;
  readonly maps: number;
  readonly nullWords: number;
}

/**
 * Where everything lies in a region.
 * @param frames - how many pages may be resident; undefined for all
 * @throws AllocError `InvalidParam` when the region is too small for it
 */
export function planMemory(memory: SharedMemory, frames: number | undefined): Plan {
  const header = headerWord(memory, KIND);
  const table = (header + HEADER_WORDS) * 4;
  const last = Math.floor(memory.end / PAGE_BYTES);
  // A word for every page that could lie behind the header, those that the table itself takes included.
  const most = Math.max(0, last - Math.floor(table / PAGE_BYTES));
  const maps = alignUp(table + VmAccount.tableBytes(most), LINE);
  const account = alignUp(maps, PAGE_BYTES);
  const pages = last - account / PAGE_BYTES;
  // A page for the maps, and one to hand out.
  if (pages < 2)
    throw new AllocError(
      'InvalidParam',
      `region [${memory.start}, ${memory.end}) is too small for a memory of pages`,
    );
  return { header, table, account, pages, frames: frames ?? pages, maps, nullWords: nullWordsOf(memory) };
}

/** Writes the header and an empty table; {@link publishPlan} is for later. */
export function writePlan(memory: SharedMemory, plan: Plan): void {
  const { i32 } = memory;
  const { header, table, account, pages, frames, maps } = plan;
  i32.fill(0, header, maps / 4);
  writeIdentity(memory, header, KIND);
  const fields: readonly (readonly [number, number])[] = [
    [TABLE_AT, table],
    [ACCOUNT_AT, account],
    [PAGES_AT, pages],
    [FRAMES_AT, frames],
    [MAPS_AT, maps],
  ];
  for (const [field, value] of fields) i32[header + field] = value;
}

export function publishPlan(memory: SharedMemory, plan: Plan): void {
  publishHeader(memory.i32, plan.header);
}

/**
 * Reads a header.
 * @throws TypeError or AllocError `InvalidParam` when none lies there
 */
export function openPlan(handle: Handle): { memory: SharedMemory; plan: Plan } {
  const { memory, header } = openHeader(handle, KIND);
  const [table, account, pages, frames, maps, nullWords] = [
    TABLE_AT,
    ACCOUNT_AT,
    PAGES_AT,
    FRAMES_AT,
    MAPS_AT,
    KIND.nullWords,
  ].map((field) => memory.i32[header + field] >>> 0);
  // What is left of a header after damage may name places that are none.
  demandWord(KIND, header, 'table', table, (header + HEADER_WORDS) * 4);
  const most = Math.floor((memory.end - account) / PAGE_BYTES);
  demandWord(KIND, header, 'number of pages', pages, Math.max(0, Math.min(pages, most)));
  const least = alignUp(table + VmAccount.tableBytes(pages), LINE);
  demandWord(KIND, header, 'page allocator', maps, Math.max(least, Math.min(maps, memory.end) & -LINE) >>> 0);
  demandWord(KIND, header, 'account', account, alignUp(maps, PAGE_BYTES));
  demandWord(KIND, header, 'zone of NULL', nullWords, Math.min(nullWords, header));
  return { memory, plan: { header, table, account, pages, frames, maps, nullWords } };
}
