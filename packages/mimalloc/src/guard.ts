/**
 * What secure mode does at each place where the allocator touches free blocks. `null` in its place means that it is off: one comparison
 * on slow paths, nothing on fast ones. The implementation is in `secure.ts`, which a program that never uses it need not load.
 */

import type { AllocError } from '@shmalloc/allocator-api';
import type { Word } from './geometry.ts';
import type { Tld } from './tld.ts';

/** Secure mode's part of the allocator. */
export interface Guard {
  /** Gives a new page its keys. */
  initPage(tld: Tld, page: Word): void;
  /** Links new blocks into the free list, which is empty. */
  linkBlocks(tld: Tld, page: Word, first: Word, count: number): void;
  /** Takes a block off the free list. 0 when the list turns out to be broken; it has been reported then, and cut off. */
  pop(tld: Tld, page: Word): Word;
  /** The block behind a free block; 0 at the end, or where the list is broken. */
  nextOf(tld: Tld, page: Word, block: Word): Word;
  setNext(tld: Tld, page: Word, block: Word, next: Word): void;
  /** Bytes that a block needs beyond what was asked for. */
  readonly padding: number;
  /** Marks a block as handed out for a request of `size` bytes. */
  handOut(tld: Tld, page: Word, block: Word, size: number): void;
  /**
   * Looks at a block that is to be freed.
   * @param operation - the public name of what is being done
   * @returns null when it may be freed and is marked as free now; else what is wrong
   */
  takeBack(tld: Tld, page: Word, block: Word, address: number, operation: string): AllocError | null;
  /** Notes another size for a live block that keeps its place; false when it has to move. */
  resize(tld: Tld, page: Word, block: Word, size: number): boolean;
  /** Bytes that may be used in a live block; −1 when it is none. */
  usable(tld: Tld, page: Word, block: Word): number;
  /** Looks at everything that can be looked at without a free: the header, the guarded blocks, the poison. */
  inspect(tld: Tld): void;
}
