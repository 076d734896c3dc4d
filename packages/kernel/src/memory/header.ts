/**
 * How a full machine lays out its physical memory. Only this file knows an offset.
 *
 * ```
 *  start
 *  ├ header ┼ table of the VM account ┼ page allocator's header, maps ┼ page ┼ page ┼ …  end
 *    128 B    a word a page             3.1 bits a page                 ▲ ACCOUNT: the first page that begins behind the table
 *
 *  word
 *   0  MAGIC     "KMEM"; written last, so a half-made header is never taken for one
 *   1  VERSION   of this layout
 *   2  TABLE     bytes: where the account's table begins
 *   3  ACCOUNT   bytes: the first page that the account is about
 *   4  PAGES     how many pages those are
 *   5  FRAMES    how many of them may be resident at once
 *   6  MAPS      bytes: where the page allocator's header lies
 *      …
 *  16  HEAP      pages that the byte allocators have   ┐ a cache line of their own: changed with
 *  17  PEAK      the most that they have had           ┘ every page that comes or goes
 * ```
 */

import { AllocError, alignUp, checkHandle, type Handle, SharedMemory } from '@shmalloc/allocator-api';
import { PAGE_BYTES } from '../vm/frames.ts';
import { VmAccount } from '../vm/vm-account.ts';

/** What a handle of this memory calls itself. */
export const KIND = 'physical-memory';

const MAGIC = 0x4b4d454d;
const VERSION = 1;
const LINE = 64;

// Words of the header.
const MAGIC_AT = 0;
const VERSION_AT = 1;
const TABLE_AT = 2;
const ACCOUNT_AT = 3;
const PAGES_AT = 4;
const FRAMES_AT = 5;
const MAPS_AT = 6;
export const HEAP_AT = 16;
export const PEAK_AT = 17;
const HEADER_WORDS = 32;

/** What a header says. */
export interface Plan {
  /** First word of the header. */
  readonly header: number;
  readonly table: number;
  readonly account: number;
  readonly pages: number;
  readonly frames: number;
  readonly maps: number;
}

/**
 * Where everything lies in a region.
 * @param frames - how many pages may be resident; undefined for all
 * @throws AllocError `InvalidParam` when the region is too small for it
 */
export function planMemory(memory: SharedMemory, frames: number | undefined): Plan {
  const header = alignUp(memory.start, LINE) / 4;
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
  return { header, table, account, pages, frames: frames ?? pages, maps };
}

/** Writes the header and an empty table; {@link publishPlan} is for later. */
export function writePlan(memory: SharedMemory, plan: Plan): void {
  const { i32 } = memory;
  const { header, table, account, pages, frames, maps } = plan;
  i32.fill(0, header, maps / 4);
  const fields: readonly (readonly [number, number])[] = [
    [VERSION_AT, VERSION],
    [TABLE_AT, table],
    [ACCOUNT_AT, account],
    [PAGES_AT, pages],
    [FRAMES_AT, frames],
    [MAPS_AT, maps],
  ];
  for (const [field, value] of fields) i32[header + field] = value;
}

export function publishPlan(memory: SharedMemory, plan: Plan): void {
  // Release: who reads the magic also reads what was written before it.
  Atomics.store(memory.i32, plan.header + MAGIC_AT, MAGIC);
}

/**
 * Reads a header.
 * @throws TypeError or AllocError `InvalidParam` when none lies there
 */
export function openPlan(handle: Handle): { memory: SharedMemory; plan: Plan } {
  const { memory: source, start } = checkHandle(handle, KIND);
  const memory = SharedMemory.from(source, start);
  const { i32 } = memory;
  const header = start / 4;
  if (Atomics.load(i32, header + MAGIC_AT) !== MAGIC || i32[header + VERSION_AT] !== VERSION)
    throw new AllocError('InvalidParam', `no memory of pages (version ${VERSION}) lies at ${start}`);
  const [table, account, pages, frames, maps] = [TABLE_AT, ACCOUNT_AT, PAGES_AT, FRAMES_AT, MAPS_AT].map(
    (field) => i32[header + field] >>> 0,
  );
  return { memory, plan: { header, table, account, pages, frames, maps } };
}
