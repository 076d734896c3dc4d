/**
 * The accesses that are meant to go beyond their view, each with why that is harmless. Reads only.
 *
 * What is beyond a view reads as `undefined`: code that says `| 0`, or compares it with a number, goes on
 * with that.
 */

/** One of them. */
export interface Declaration {
  /** The package's folder and the compiled file in it. */
  readonly file: string;
  /** The expression, as a whole: of every access of the file that reads so. */
  readonly expression: string;
  readonly why: string;
}

/** All of them. */
export const DECLARED: readonly Declaration[] = [
  {
    file: 'mimalloc/api/core-thread.js',
    expression: 'i32[page + Page.xthreadId]',
    why: 'free: the descriptor of another thread’s block may lie in a table beyond this view; undefined counts as 0, which is no thread, and the long way refreshes',
  },
  {
    file: 'mimalloc/foreign/foreign.js',
    expression: 'i32[page + Page.xthreadId]',
    why: 'freeAway: the same descriptor; undefined is no owner, and freeGeneric looks again after refresh',
  },
  {
    file: 'mimalloc/layout/lookup.js',
    expression: 'i32[slice + Page.blockWords]',
    why: 'headPage, for livePage: the same descriptor; livePage sees that it is beyond the view, refreshes and looks again',
  },
  {
    file: 'heap-base/boundary-tags.js',
    expression: 'i32[block]',
    why: 'liveSize: what a program frees wrongly may lie beyond the memory; undefined counts as 0, which is no block in use',
  },
  {
    file: 'heap-base/pools.js',
    expression: 'this.i32[block]',
    why: 'freeSize: the same address, for the error; undefined counts as 0, which is no free block',
  },
  ...['i32[page + Page.mask]', 'i32[page + Page.owner]'].map((expression) => ({
    file: 'slab/slab.js',
    expression,
    why: 'free: the descriptor of another thread’s block may lie in memory that was added; undefined is not this thread, and the long way refreshes',
  })),
];
