/**
 * A table of records, one for each thread that can be attached at one time.
 *
 * ```
 *   FIRST  ├ record 0 ┼ record 1 ┼ … ┼ record SLOTS−1 ┤
 *             NAME   0 ──claim, one exchange──▶ the thread's name ──▶ 0
 *             GENERATION: names that were made for it
 * ```
 */

import { AllocError, type Word } from '@shmalloc/allocator-api';
import type { Crossings } from '@shmalloc/atomic-cell';
import { nameOf } from './names.ts';

/**
 * Where the records lie, and what stands where in one.
 * @public
 */
export interface SlotTable {
  /** The first record. */
  readonly firstSlot: Word;
  readonly slots: number;
  /** Words of a record. */
  readonly slotWords: number;
  /** Words from a record to its NAME. */
  readonly nameAt: number;
  /** Words from a record to its GENERATION. */
  readonly generationAt: number;
}

/**
 * A slot that was claimed.
 * @public
 */
export interface ClaimedSlot {
  readonly record: Word;
  readonly name: number;
  /** Whether no thread had it before. */
  readonly isFirst: boolean;
}

/**
 * The record of a slot.
 * @public
 */
export function recordOf({ firstSlot, slotWords }: SlotTable, slot: number): Word {
  return firstSlot + slot * slotWords;
}

/**
 * Claims a free record for a thread that comes, or is expected. Lock-free; O(slots).
 * @param what - the plural of what a slot is for, in the message
 * @throws AllocError `TooManyThreads` when all are taken
 * @public
 */
export function claimSlot(
  i32: Int32Array,
  crossings: Pick<Crossings, 'claim'>,
  table: SlotTable,
  what: string,
): ClaimedSlot {
  const { slots, nameAt, generationAt } = table;
  for (let slot = 0; slot < slots; slot++) {
    const record = recordOf(table, slot);
    if (i32[record + nameAt] !== 0) continue;
    // A name of its own for every try: one that was made of a generation read before could be that of a
    // thread which has come and gone meanwhile, and the thread that reaps that one would reap this one.
    const generation = Atomics.add(i32, record + generationAt, 1);
    const name = nameOf(slot, generation);
    // Acquire: pairs with the store of the thread that let go of the record.
    if (crossings.claim(record + nameAt, 0, name)) return { record, name, isFirst: generation === 0 };
  }
  throw new AllocError(
    'TooManyThreads',
    `all ${slots} ${what} that this heap has slots for are attached: see threads; a thread that attaches again and again has to detach`,
  );
}
