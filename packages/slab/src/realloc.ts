/** Other sizes for a block. */

import { DEBUG_BYTES, fence, writtenPastEnd } from './debug.ts';
import { freeChecked } from './free.ts';
import { classOf } from './geometry.ts';
import { resizeLarge } from './large.ts';
import { largeBytes } from './large-page.ts';
import { blockOf, livePage, nodeOf, payloadOf, usableAt } from './lookup.ts';
import { countFailure, mallocSlow } from './malloc.ts';
import { LARGE, Page } from './page.ts';
import type { SlabCore } from './thread-view.ts';

/** The largest request: what rounded up still is within 32 bits. */
const MAX_REQUEST = 0xffff0000;

/**
 * Makes a block fit `size` where it is; false, and nothing done, when it does not, or would waste more than
 * half.
 */
function resizeInPlace(slab: SlabCore, address: number, size: number): boolean {
  const page = livePage(slab, address);
  const { i32 } = slab;
  const bytes = Math.max(slab.debug ? size + DEBUG_BYTES : size, 1);
  if (i32[page + Page.owner] === LARGE) {
    // A size below the large ones moves, so that the pages are of use.
    return bytes > slab.smallMax && resizeLarge(slab, page, size);
  }
  if (bytes > slab.smallMax || classOf(bytes) !== i32[page + Page.class]) return false;
  if (slab.debug) {
    const payload = payloadOf(slab, page, nodeOf(slab, page, blockOf(slab, page, address)));
    const error = writtenPastEnd(slab, payload, 'realloc');
    fence(slab, payload, size);
    if (error !== null) slab.note(error);
  }
  return true;
}

/**
 * Changes a block's size, moving it when it must.
 * @returns its address; 0 when there is no memory, and then it is as it was; −1 when there is no such block
 */
export function reallocBlock(slab: SlabCore, address: number, size: number): number {
  const old = usableAt(slab, address);
  if (old < 0) return -1;
  if (size > MAX_REQUEST) {
    countFailure(slab);
    return 0;
  }
  if (resizeInPlace(slab, address, size)) return address;
  const moved = (mallocSlow(slab, size, 1) << 2) >>> 0;
  if (moved === 0) return size <= old ? keepLarger(slab, address, size) : 0;
  slab.u8.copyWithin(moved, address, address + Math.min(old, size));
  const error = freeChecked(slab, address, 'realloc');
  if (error !== null) slab.note(error);
  return moved;
}

/** A block that was to shrink and finds no smaller one stays. */
function keepLarger(slab: SlabCore, address: number, size: number): number {
  const page = livePage(slab, address);
  if (!slab.debug) return address;
  if (slab.i32[page + Page.owner] !== LARGE) {
    fence(slab, payloadOf(slab, page, nodeOf(slab, page, blockOf(slab, page, address))), size);
    return address;
  }
  return size <= largeBytes(slab, page) && resizeLarge(slab, page, size) ? address : 0;
}
