/**
 * How large blocks are.
 */

import { type AllocError, checkInteger, type Word } from '@shmalloc/allocator-api';
import { BIN_WORDS, binOf } from '../layout/bins.ts';
import { OS_PAGE_BYTES } from '../layout/geometry.ts';
import { blockAt, livePage } from '../layout/lookup.ts';
import { Page } from '../layout/page.ts';
import { refusal } from '../region/secure-mode.ts';
import type { Tld } from '../thread/thread-view.ts';

/**
 * Bytes from an address to the end of its block; −1 when it is no block's, as far as secure mode can tell.
 * The page is the address's.
 */
export function usableIn(tld: Tld, page: Word, address: number): number {
  const block = blockAt(tld, page, address >>> 2);
  return tld.guard === null
    ? tld.i32[page + Page.blockWords] * 4 - (address - block * 4)
    : tld.guard.usable(tld, page, block, address);
}

/** Bytes that may be used at an address; −1 when it is no block's. */
export function usableAt(tld: Tld, address: number): number {
  const page = livePage(tld, address);
  return page === 0 ? -1 : usableIn(tld, page, address);
}

/**
 * The same for programs.
 * @returns 0 for 0; what is wrong with an address that is not handed out
 */
export function usableOf(tld: Tld, address: number): number | AllocError {
  checkInteger('address', address);
  if (address === 0) return 0;
  const bytes = usableAt(tld, address);
  return bytes < 0 ? refusal(tld, 'usableSize', address) : bytes;
}

/** Bytes that may be used in a block for this request: with padding behind it, no more than was asked for. */
export function goodSizeOf(tld: Tld, size: number): number {
  return tld.guard === null || tld.guard.padding === 0 ? blockBytesFor(tld, size) : size;
}

/** Bytes of the block that serves a request where secure mode adds nothing to it. */
export function blockBytesFor(tld: Tld, size: number): number {
  if (size <= tld.mediumMax) return BIN_WORDS[binOf(size)] * 4;
  return Math.ceil(size / OS_PAGE_BYTES) * OS_PAGE_BYTES;
}
