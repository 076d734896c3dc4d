/**
 * The root of a page map: one word for each chunk of the whole 4 GiB, which leads to the chunk's table of
 * descriptors.
 *
 * ```
 *   root   ┼────┬────┬────┬────┼           a chunk's table
 *          │ ×  │  ──────────────────┐   ┌▶├ descriptor ┼ descriptor ┼ … ┤
 *          ┼────┴────┴────┴────┼     └───┘
 *            × = NO_TABLE                    word of a block:  ├── chunk ──┼── page ──┼── … ┤
 * ```
 *
 * A root entry is the table's place less what the chunk's first page would add. So a descriptor is one load
 * and one sum away from an address: `root[word >> chunkShift] + (word >> pageShift << descriptorShift)`. The
 * fast paths say that themselves; here it stands for all others.
 */

import type { Word } from '@shmalloc/allocator-api';

/**
 * A root entry of a chunk without memory. Tables lie at even words, so no entry of a table is odd.
 * @public
 */
export const NO_TABLE = 1;

/**
 * The root entry for a table.
 * @param table - where the table lies
 * @param firstPage - the number of the chunk's first page in the 4 GiB
 * @param descriptorShift - log2 of a descriptor's words
 * @public
 */
export function rootEntry(table: Word, firstPage: number, descriptorShift: number): number {
  return table - (firstPage << descriptorShift);
}

/**
 * The table that a root entry leads to; 0 for {@link NO_TABLE}. `rootEntry` back.
 * @public
 */
export function tableOf(entry: number, firstPage: number, descriptorShift: number): Word {
  return entry === NO_TABLE ? 0 : entry + (firstPage << descriptorShift);
}

/**
 * The descriptor of a page; 0 when its chunk has no memory.
 * @param entry - of its chunk
 * @param page - its number in the 4 GiB
 * @public
 */
export function descriptorAt(entry: number, page: number, descriptorShift: number): Word {
  return entry === NO_TABLE ? 0 : entry + (page << descriptorShift);
}
