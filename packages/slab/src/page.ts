/**
 * A page's descriptor: two cache lines of the page map, apart from the page itself.
 *
 * ```
 *  word                                                   written by
 *   0  FREE      first free block, or 0                   ┐
 *   1  USED      blocks that are handed out, or on REMOTE │
 *   2  CAPACITY  blocks that were ever linked             │ the owner alone:
 *   3  RESERVED  blocks that fit into the page            │ what malloc touches
 *   4  STRIDE    words from block to block                │
 *   5  FIRST     the link word of block 0                 │
 *   6  NEXT      ┐ of the class's list; NEXT also         │
 *   7  PREV      ┘ links pages without an owner           │
 *   8  COUNT     pages of a large block                   │
 *   9  TOUCHED   OS pages of it that were ever used       │
 *      …                                                    ┘
 *  16  OWNER     a CPU's name and IN_FULL, or a state     ┐
 *  17  CLASS     of its blocks                            │ what other CPUs look at
 *  18  MASK      bits that are 0 in a block's address     │ a block, and what they change
 *  19  INDEX     of the page: its address / page bytes    │
 *  20  REMOTE    blocks that others have freed, and a mark┘
 * ```
 *
 * INDEX says which page this is, and so whether a word is a descriptor at all: `isDescriptor`.
 *
 * The second line is what a foreign free touches, and nothing else is. So a CPU that hands out blocks which
 * another one frees keeps its first line to itself: it is disturbed once for all the blocks that it takes
 * over at a time.
 *
 * A list of blocks goes through their **link words**. A plain block's is its first word; a block of an object
 * cache, and every block in debug mode, has it behind the object (`debug.ts`, `cache.ts`), so that a free
 * block keeps its contents. What FREE and REMOTE hold is the link word.
 *
 * ```
 *   used + |free| == capacity            used == live + |remote| + those on their way in a CPU's DELAYED
 *   FREE ──▶ block ──▶ block ──▶ 0
 * ```
 *
 * **The mark** (bit 0 of REMOTE) says that no thread looks at this page, because it is full and in no list:
 * the first free into it takes the mark away and brings the block to the owner's DELAYED list instead. A mark
 * may outlive the page's return to its list; then one block takes the longer way.
 */

/** Offsets of the fields, in words. */
export const Page = {
  free: 0,
  used: 1,
  capacity: 2,
  reserved: 3,
  stride: 4,
  first: 5,
  next: 6,
  prev: 7,
  count: 8,
  touched: 9,
  owner: 16,
  class: 17,
  mask: 18,
  index: 19,
  remote: 20,
} as const;

/** Words of a descriptor, as a shift. */
export const DESCRIPTOR_SHIFT = 5;
export const DESCRIPTOR_WORDS: number = 1 << DESCRIPTOR_SHIFT;

/** The mark on REMOTE. */
export const MARK = 1;

/** Beside a CPU's name in OWNER: the page is in no list, because it has no free block. */
export const IN_FULL = 1;

/** States of OWNER that are no CPU's name. 0: free, or no memory of ours. */
export const NO_OWNER = 0;
/** The first page of a large block. The others have NO_OWNER, and are not free. */
export const LARGE = 8;
/** Holds the page map of memory that was added. */
export const STATE = 16;
/** Blocks of it are in use, and its CPU is gone: in the list of its class in the header. */
export const ORPHAN = 24;
/** MASK of pages whose blocks only the slow path may free. */
export const NO_FAST_FREE = -1;
