/**
 * Where the words of the tests lie: each on a cache line of its own, in a region of at least 64 KiB. A test uses what it needs.
 *
 * ```
 *  0        64       128      192       1024                  65536
 *  ├────────┼────────┼────────┼─────────┼─────────────────────┤
 *  │ gate   │ cell   │ data   │ tally   │  blocks …           │
 *  └────────┴────────┴────────┴─────────┴─────────────────────┘
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
/** The first block. */
export const BLOCKS = 1024;
