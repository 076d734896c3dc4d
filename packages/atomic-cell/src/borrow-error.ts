/**
 * What a refused borrow says.
 *
 * The state was read in the very operation that refused, so it is exact. The holder was read afterwards, from
 * the word beside it: a hint, which names the last thread that borrowed successfully and was done writing its
 * id.
 */

/**
 * A shared borrow was refused: a writer holds the cell, or it has as many readers as can be counted.
 * @public
 */
export class BorrowError extends Error {
  /** The flag as the borrow met it: −1 a writer, otherwise the number of readers. */
  readonly state: number;
  /** The thread that borrowed last, as far as could be seen; undefined when it gave no id. */
  readonly holder: number | undefined;

  constructor(state: number, holder?: number) {
    super(
      state < 0
        ? `already mutably borrowed, by ${nameOf(holder)}`
        : `already borrowed by ${state} readers, no more can be counted`,
    );
    this.name = 'BorrowError';
    this.state = state;
    this.holder = holder;
  }
}

/**
 * An exclusive borrow was refused: another thread, reader or writer, holds the cell.
 * @public
 */
export class BorrowMutError extends Error {
  /** The flag as the borrow met it: −1 a writer, otherwise the number of readers. */
  readonly state: number;
  /** The thread that borrowed last, as far as could be seen; undefined when it gave no id. */
  readonly holder: number | undefined;

  constructor(state: number, holder?: number) {
    super(
      state < 0
        ? `already mutably borrowed, by ${nameOf(holder)}`
        : `already borrowed by ${state} reader${state === 1 ? '' : 's'}, the last ${nameOf(holder)}`,
    );
    this.name = 'BorrowMutError';
    this.state = state;
    this.holder = holder;
  }
}

function nameOf(holder: number | undefined): string {
  return holder === undefined ? 'a thread that gave no id' : `thread ${holder}`;
}
