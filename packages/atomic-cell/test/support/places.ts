/**
 * Where the words of the tests lie: each on a cache line of its own, in a region of at least 64 KiB. A test
 * uses what it needs.
 *
 * ```
 *  0        64       128      192      256      320       1024                  65536
 *  ├────────┼────────┼────────┼────────┼────────┼─────────┼─────────────────────┤
 *  │ gate   │ cell   │ data   │ tally  │ news   │ bitmap  │  blocks …           │
 *  └────────┴────────┴────────┴────────┴────────┴─────────┴─────────────────────┘
 * ```
 */

/** Counts the threads that have come, see `meet`. */
export const GATE = 0;
/** The lock, flag, cell or list under test: up to two words. */
export const CELL = 64;
/** What it guards, read and written plainly. */
export const DATA = 128;
/** What the test counts besides, with Atomics. */
export const TALLY = 192;
/** A second list. */
export const NEWS = 256;
/** Words of bits. */
export const BITMAP = 320;
/** How many. */
export const BITMAP_WORDS = 4;
/** The first block. */
export const BLOCKS = 1024;
/** Words in a block: link, stamp. Even, as a block must be on a list with a mark. */
export const BLOCK_WORDS = 2;
/** Words in a row, behind the blocks: in a region of 8 MiB. */
export const LISTS = 2 ** 22;
