/**
 * Changing a block's size: in place when it fits and wastes less than half, or when a block with a page of
 * its own finds free memory behind it; otherwise by moving it.
 */

import { type Address, type AllocError, checkInteger, type Word } from '@shmalloc/allocator-api';
import { extendHuge } from '../huge/huge.ts';
import { hugeBlock, isHuge } from '../huge/huge-block.ts';
import { BIN_HUGE } from '../layout/bins.ts';
import { MAX_REQUEST, OS_PAGE_BYTES } from '../layout/geometry.ts';
import { blockAt, livePage } from '../layout/lookup.ts';
import { binOfPage, ownerOf, Page, setSlices, slicesOf } from '../layout/page.ts';
import { usableIn } from '../page/usable.ts';
import { refusal } from '../region/secure-mode.ts';
import { reach } from '../segment/reach.ts';
import { commit, extendSlices } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import { mallocAligned } from './aligned.ts';
import { freeGeneric } from './free.ts';
import { mallocGeneric } from './malloc.ts';

/** Up to this many words a loop copies quicker than a call into the engine. */
const FEW_WORDS = 64;

/**
 * Gives a block another size.
 * @param heap - where a block that moves goes
 * @param align - bytes; 1 for what `malloc` aligns to
 * @param offset - bytes; the address plus this is a multiple of `align`
 * @param operation - the public name, for the report
 * @returns the block's address, or 0 when there is no memory, or what is wrong; then the old block is as it
 *   was
 */
export function reallocBlock(
  tld: Tld,
  heap: Word,
  address: Address,
  size: number,
  align = 1,
  offset = 0,
  operation = 'realloc',
): Address | AllocError {
  checkInteger('size', size);
  let usable = 0;
  if (checkInteger('address', address) !== 0) {
    const page = livePage(tld, address);
    usable = page === 0 ? -1 : usableIn(tld, page, address);
    if (usable < 0) return refusal(tld, operation, address);
    const isAligned = (address + offset) % align === 0;
    if (isAligned && resizeInPlace(tld, page, address, usable, size, usable - (usable >>> 1))) return address;
  }
  const moved =
    align === 1
      ? (mallocGeneric(tld, heap, size, 0) << 2) >>> 0
      : mallocAligned(tld, heap, size, align, offset);
  if (moved === 0 || address === 0) return moved;
  const bytes = Math.min(usable, size);
  // The old block may be another thread's, and reach beyond what this one has seen of the memory.
  reach(tld, (address >>> 2) + ((bytes + 3) >>> 2));
  // In secure mode something stands behind the new block's last byte.
  if (tld.guard !== null) tld.u8.copyWithin(moved, address, address + bytes);
  else copyWords(tld, address >>> 2, moved >>> 2, (bytes + 3) >>> 2);
  const error = freeGeneric(tld, address, operation);
  if (error !== null) tld.report(error);
  return moved;
}

/**
 * Gives a block another size without moving it.
 * @returns its address, or 0 when it would have to move
 */
export function expandInPlace(tld: Tld, address: Address, size: number): Address {
  checkInteger('size', size);
  if (checkInteger('address', address) === 0) return 0;
  const page = livePage(tld, address);
  const usable = page === 0 ? -1 : usableIn(tld, page, address);
  if (usable >= 0) return resizeInPlace(tld, page, address, usable, size, 0) ? address : 0;
  tld.report(refusal(tld, 'expand', address));
  return 0;
}

/**
 * Whether a block has another size now, where it is.
 * @param usable - bytes that it has
 * @param least - a smaller size would waste too much
 */
function resizeInPlace(
  tld: Tld,
  page: Word,
  address: Address,
  usable: number,
  size: number,
  least: number,
): boolean {
  if (size > usable) return size <= MAX_REQUEST && expandBlock(tld, page, address, size);
  if (size < least) return false;
  return tld.guard === null || tld.guard.resize(tld, page, blockAt(tld, page, address >>> 2), address, size);
}

/**
 * Lets a block grow where it is.
 * @param address - a live block of the page
 * @returns whether it has `size` bytes now
 */
function expandBlock(tld: Tld, page: Word, address: Address, size: number): boolean {
  const { i32 } = tld;
  if (binOfPage(tld, page) !== BIN_HUGE || tld.guard !== null) return false;
  // A huge block is the program's, whichever thread made it; slices are their owner's to take.
  if (isHuge(tld, page) ? hugeBlock(tld, page) === 0 : ownerOf(tld, page) !== tld.threadId) return false;
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
  tld.i32[page + Page.blockWords] = words;
  return true;
}

/** Copies words between two blocks. */
function copyWords(tld: Tld, from: Word, to: Word, words: number): void {
  const { i32 } = tld;
  if (words > FEW_WORDS) i32.copyWithin(to, from, from + words);
  else for (let index = 0; index < words; index++) i32[to + index] = i32[from + index];
}
