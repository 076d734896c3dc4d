/**
 * Names of threads: one word that says which thread a page, a segment or a record belongs to.
 *
 * ```
 *   bit  31 30       13 12      3 2   0
 *       ├──┼───────────┼─────────┼─────┤
 *       │ 0│ generation│ slot + 8│  0  │        the low bits are free for what stands beside a name
 *       └──┴───────────┴─────────┴─────┘
 * ```
 *
 * A name counts the owners that its slot has had, so no two threads have the same one until a slot has had
 * 2^17. The words below the first name are free for states that are no thread's: free, abandoned, huge.
 */

const NAME_SHIFT = 3;
const SLOT_BITS = 10;
const GENERATIONS = 0x1ffff;

/**
 * Names are multiples of 8 from here on.
 * @public
 */
export const FIRST_NAME = 64;

const FIRST_SLOT: number = FIRST_NAME >> NAME_SHIFT;

/**
 * The most slots that names can tell apart.
 * @public
 */
export const MAX_SLOTS: number = (1 << SLOT_BITS) - FIRST_SLOT;

/**
 * Names lie below it.
 * @public
 */
export const MAX_NAME: number = 2 ** 30;

/**
 * The name of the thread that has a slot.
 * @param slot - 0, 1, …
 * @param generation - how many threads have had the slot before
 * @public
 */
export function nameOf(slot: number, generation: number): number {
  return (FIRST_SLOT + slot + ((generation & GENERATIONS) << SLOT_BITS)) << NAME_SHIFT;
}

/**
 * The slot of a thread; negative for what is no name.
 * @public
 */
export function slotOf(name: number): number {
  return ((name >>> NAME_SHIFT) & ((1 << SLOT_BITS) - 1)) - FIRST_SLOT;
}
