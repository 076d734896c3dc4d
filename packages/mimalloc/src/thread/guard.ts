/**
 * What secure mode does at each place where the allocator touches blocks, lists or the header. `null` in its
 * place means that it is off: one comparison on slow paths, nothing on fast ones. The implementation is in
 * `secure/`; the allocator proper does not import it, so that a program which wants no more than that does
 * not load it. `MiMalloc` has it, `MiMallocCore` has none.
 */

import type { AllocError, Word } from '@shmalloc/allocator-api';
import type { Tld } from './thread-view.ts';

/**
 * Secure mode's part of the allocator, for one thread.
 * @public
 */
export interface Guard {
  // ── The header ──

  /** Puts canaries around the header and the tables, and a checksum over what never changes. */
  seal(tld: Tld): void;

  // ── Free lists ──

  /** Gives a new page its keys. */
  initPage(tld: Tld, page: Word): void;
  /** Links new blocks into the free list, which is empty. */
  linkBlocks(tld: Tld, page: Word, first: Word, count: number): void;
  /**
   * Takes a block off the free list, which is not empty. 0 when the list turns out to be broken: it has been
   * cut off then.
   */
  pop(tld: Tld, page: Word): Word;
  /**
   * The block behind a free block of the same page; 0 at the end, or where the list is broken, and then it is
   * cut off there.
   */
  nextOf(tld: Tld, page: Word, block: Word): Word;
  /** The same for the list of a heap's delayed frees, where the next block may lie in another page. */
  nextDelayed(tld: Tld, page: Word, block: Word): Word;
  /** The link of a free block whatever it is, for a look from outside. */
  linkOf(tld: Tld, page: Word, block: Word): Word;
  setNext(tld: Tld, page: Word, block: Word, next: Word): void;
  /** Puts the blocks that the owner has freed in front of a free list that is not empty. */
  joinFree(tld: Tld, page: Word): void;

  // ── Blocks ──

  /** Bytes that a block needs beyond what was asked for. */
  readonly padding: number;
  /**
   * Bytes of the block that a request of `size` bytes should get to be guarded all around; 0 for most
   * requests.
   */
  sample(tld: Tld, size: number): number;
  /** Marks a block as handed out for a request of `size` bytes. */
  handOut(tld: Tld, page: Word, block: Word, size: number): void;
  /** The same for a block that is handed out by an address inside it. */
  handOutInside(tld: Tld, page: Word, block: Word, address: number, size: number): void;
  /**
   * The same for a block that {@link Guard.sample} has asked for.
   * @returns the word that the program gets, inside the block
   */
  handOutZoned(tld: Tld, page: Word, block: Word, size: number): Word;
  /**
   * Looks at a block that is to be freed. One that was written past its end may be freed all the same; what
   * happened is told later, by `tell`.
   * @param operation - the public name of what is being done
   * @returns null when it may be freed and is marked as free now; else what is wrong, and nothing has changed
   */
  takeBack(tld: Tld, page: Word, block: Word, address: number, operation: string): AllocError | null;
  /** Notes another size for a live block that keeps its place; false when it has to move. */
  resize(tld: Tld, page: Word, block: Word, address: number, size: number): boolean;
  /** Bytes from an address to the end of what was asked for; −1 when no block was handed out by it. */
  usable(tld: Tld, page: Word, block: Word, address: number): number;
  /** The error for an address that no block was handed out by. */
  refuse(tld: Tld, operation: string, address: number): AllocError;

  // ── Telling ──

  /**
   * Looks at everything that can be looked at without a free: the header, and of this thread's pages the free
   * lists, the poison and the zones of guarded blocks.
   * @param repair - whether what is found is mended as far as it can be, so that it is told once
   * @returns what was found, and with `repair` what was found on the way since the last time
   */
  inspect(tld: Tld, repair: boolean): AllocError[];
  /** Reports what was found on the way. The heap must be consistent: the error hook may use it. */
  tell(tld: Tld): void;
}

/** Makes the guard of one thread. */
export type GuardMaker = (tld: Tld) => Guard;
