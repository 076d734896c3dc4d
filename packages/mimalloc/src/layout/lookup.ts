/**
 * From an address to its page and block, for callers that have more time than `free`.
 */

import { AllocError, type Word } from '@shmalloc/allocator-api';
import type { Tld } from '../thread/thread-view.ts';
import { BIN_HUGE, indexIn } from './bins.ts';
import { binOfPage, HAS_ALIGNED, hasFlag, Page } from './page.ts';
import { sliceAt } from './page-map.ts';

/** The page that a slice belongs to; 0 when it belongs to none. */
export function headPage(tld: Tld, slice: Word): Word {
  if (slice === 0) return 0;
  const { i32 } = tld;
  if (i32[slice + Page.blockWords] !== 0) return slice;
  const head = i32[slice + Page.start];
  return head !== 0 && i32[head + Page.blockWords] !== 0 ? head : 0;
}

/** The page that an address lies in; 0 when it lies in none. */
export function pageOf(tld: Tld, word: Word): Word {
  return headPage(tld, sliceAt(tld, word));
}

/**
 * The block that an address was handed out for: itself, or where it starts when the address lies inside, as
 * aligned ones with an offset do.
 * @returns 0 when no block of the page can be meant by it
 */
export function blockAt(tld: Tld, page: Word, word: Word): Word {
  const { i32 } = tld;
  const start = i32[page + Page.start];
  const bin = binOfPage(tld, page);
  if (bin === BIN_HUGE) return word === start ? start : 0;
  const index = indexIn(word - start, bin);
  if (word < start || index >= i32[page + Page.capacity]) return 0;
  const block = start + index * i32[page + Page.blockWords];
  return block === word || hasFlag(tld, page, HAS_ALIGNED) ? block : 0;
}

/**
 * The error for an address that no block has.
 * @param operation - the public name of what was asked
 */
export function notAllocated(operation: string, address: number): AllocError {
  return new AllocError('NotAllocated', `${operation}(${address}): no such block is handed out`);
}

/**
 * The page of a block, when an address has been found to be one; 0 when it is none. Looks at new memory if it
 * must.
 */
export function livePage(tld: Tld, address: number): Word {
  if ((address & 7) !== 0 || address >>> 0 !== address) return 0;
  const word = address >>> 2;
  let page = pageOf(tld, word);
  if (page === 0 || page + Page.key1 >= tld.i32.length || word >= tld.i32.length) {
    tld.refresh();
    if (word >= tld.i32.length) return 0;
    page = pageOf(tld, word);
  }
  return page !== 0 && blockAt(tld, page, word) !== 0 && tld.i32[page + Page.used] !== 0 ? page : 0;
}

/** The error for a block that is free already. */
export function freedTwice(operation: string, address: number): AllocError {
  return new AllocError('DoubleFree', `${operation}(${address}): freed twice, the block is free already`);
}
