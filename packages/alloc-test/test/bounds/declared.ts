/**
 * The accesses that are meant to go beyond their view, each with why that is harmless. Reads only.
 *
 * What is beyond a view reads as `undefined`: code that says `| 0`, or compares it with a number, goes on with that.
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
    file: 'mimalloc/free.js',
    expression: 'i32[page + XTHREAD_ID]',
    why: 'freeAway and free: the descriptor of a block in new memory may lie in a table beyond this view; undefined is no owner, and free looks again after refresh',
  },
  {
    file: 'mimalloc/free.js',
    expression: 'i32[page + USED]',
    why: 'freeAway: the same descriptor; undefined is not above 0',
  },
  {
    file: 'mimalloc/lookup.js',
    expression: 'i32[slice + BLOCK_WORDS]',
    why: 'headPage, for livePage: the descriptor may lie in a table beyond this view; livePage sees that, refreshes and looks again',
  },
  {
    file: 'mimalloc/lookup.js',
    expression: 'i32[slice + START]',
    why: 'headPage, for livePage: the same',
  },
  ...['i32[page + Page.owner]', 'i32[page + Page.index]'].map((expression) => ({
    file: 'slab/lookup.js',
    expression,
    why: 'blockPage, for livePage: the descriptor may lie in memory that was added; undefined is no index, so no page is found, and livePage refreshes and looks again',
  })),
];
