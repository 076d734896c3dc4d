/**
 * Changing a block's size: in place when it fits and wastes less than half, or when a block with a page of its own finds free memory
 * behind it; otherwise by moving it.
 */

import { type Address, checkInteger, MAX_BYTES } from '@shmalloc/allocator-api';
import { extendHuge } from './arena.ts';
import { BIN_HUGE } from './bins.ts';
import { freeGeneric } from './free.ts';
import { OS_PAGE_BYTES, type Word } from './geometry.ts';
import { blockAt, livePage, notAllocated } from './lookup.ts';
import { MAX_REQUEST, mallocGeneric } from './malloc.ts';
import { binOfPage, ownerOf, Page, setSlices, slicesOf } from './page.ts';
import { commit, extendSlices } from './segment.ts';
import type { Tld } from './tld.ts';
import { usableIn } from './usable.ts';

/** Up to this many words a loop copies quicker than a call into the engine. */
const FEW_WORDS = 64;

/**
 * @param heap - where a block that moves goes
 * @returns the block's address, or 0, and then the old block is as it was
 */
export function reallocBlock(tld: Tld, heap: Word, address: Address, size: number): Address {
  checkInteger('address', address);
  checkInteger('size', size);
  if (address === 0) return size >= MAX_BYTES ? 0 : (mallocGeneric(tld, heap, size, 0) << 2) >>> 0;
  const page = livePage(tld, address);
  const usable = page === 0 ? -1 : usableIn(tld, page, address);
  if (usable < 0) {
    tld.report(notAllocated('realloc', address));
    return 0;
  }
  if (size <= usable && size >= usable - (usable >>> 1)) {
    if (tld.guard === null || tld.guard.resize(tld, page, blockAt(tld, page, address >>> 2), size))
      return address;
  }
  if (size > usable && size <= MAX_REQUEST && expandBlock(tld, page, address, size)) return address;
  const moved = size >= MAX_BYTES ? 0 : mallocGeneric(tld, heap, size, 0);
  if (moved === 0) return 0;
  copyWords(tld, address >>> 2, moved, (Math.min(usable, size) + 3) >>> 2);
  freeGeneric(tld, address, 'realloc');
  return (moved << 2) >>> 0;
}

/**
 * Lets a block grow where it is.
 * @param address - a live block of the page
 * @returns whether it has `size` bytes now
 */
export function expandBlock(tld: Tld, page: Word, address: Address, size: number): boolean {
  const { i32 } = tld;
  if (binOfPage(tld, page) !== BIN_HUGE || ownerOf(tld, page) !== tld.threadId || tld.guard !== null)
    return false;
  const start = i32[page + Page.start];
  const words = Math.ceil((size + (address - start * 4)) / OS_PAGE_BYTES) * (OS_PAGE_BYTES / 4);
  const slices = slicesOf(tld, page);
  if (slices === 0) {
    if (!extendHuge(tld, page, start + words)) return false;
  } else {
    const within = start & ((1 << tld.sliceShift) - 1);
    const wanted = Math.ceil((within + words) / (1 << tld.sliceShift));
    if (wanted > slices) {
      if (!extendSlices(tld, page, slices, wanted)) return false;
      setSlices(tld, page, wanted);
    }
  }
  if (!commit(tld, start, start + words)) return false;
  i32[page + Page.blockWords] = words;
  return true;
}

/** Copies words between two blocks. */
export function copyWords(tld: Tld, from: Word, to: Word, words: number): void {
  const { i32 } = tld;
  if (words > FEW_WORDS) i32.copyWithin(to, from, from + words);
  else for (let index = 0; index < words; index++) i32[to + index] = i32[from + index];
}
