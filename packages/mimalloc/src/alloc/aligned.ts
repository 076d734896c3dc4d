/**
 * Aligned allocation.
 *
 * Pages start at multiples of a slice, so every block of a page whose size is a multiple of the alignment is
 * aligned. Sizes are therefore rounded up to a multiple of the alignment, which always is the size of a bin
 * (or leads to one), and nothing else is needed: no bytes are skipped in front of a block, up to the size of
 * a slice. Beyond that, a block gets a page of its own that starts where it should.
 *
 * ```
 *   align ≤ slice, offset 0            a block of a bin of multiples of align
 *   align ≤ slice, offset              a block with align bytes to spare; the address lies inside it
 *                                        block ├──────┼────────── size ──────────┤
 *                                                     └ address + offset is aligned
 *   align > slice, or a large size     slices, or segments, that start right
 * ```
 */

import type { Address, Word } from '@shmalloc/allocator-api';
import { BIN_WORDS, binOf } from '../layout/bins.ts';
import { pageOf } from '../layout/lookup.ts';
import { HAS_ALIGNED, setFlag } from '../layout/page.ts';
import type { Tld } from '../thread/thread-view.ts';
import { mallocGeneric, mallocSingleGeneric } from './malloc.ts';

/**
 * Allocates so that `address + offset` is a multiple of `align`.
 * @param align - bytes, a power of two
 * @param offset - bytes
 * @returns 0 when there is no memory
 */
export function mallocAligned(tld: Tld, heap: Word, size: number, align: number, offset: number): Address {
  const shift = offset & (align - 1);
  const largest = tld.mediumMax;
  const padded = size + (tld.guard === null ? 0 : tld.guard.padding);
  if (align <= 4 << tld.sliceShift) {
    // Blocks of 16 bytes and more are aligned to 16 anyway, all others to 8.
    if (shift === 0) {
      const rounded = Math.max(align, Math.ceil(padded / align) * align);
      if (rounded <= largest && (BIN_WORDS[binOf(rounded)] * 4) % align === 0) {
        return (mallocGeneric(tld, heap, size, rounded) << 2) >>> 0;
      }
    } else if (padded + align <= largest) {
      return mallocInside(tld, heap, size, align, shift, padded + align);
    }
  }
  const block = mallocSingleGeneric(tld, heap, Math.max(padded, 1), align, shift);
  if (block !== 0 && tld.guard !== null) tld.guard.handOut(tld, pageOf(tld, block), block, size);
  return (block << 2) >>> 0;
}

/** A block with room to spare, and an address inside it. */
function mallocInside(
  tld: Tld,
  heap: Word,
  size: number,
  align: number,
  shift: number,
  room: number,
): Address {
  const block = mallocGeneric(tld, heap, size + align, room);
  if (block === 0) return 0;
  const start = block * 4;
  const address = Math.ceil((start + shift) / align) * align - shift;
  if (address !== start) setFlag(tld, pageOf(tld, block), HAS_ALIGNED);
  if (tld.guard !== null) tld.guard.handOutInside(tld, pageOf(tld, block), block, address, size);
  return address;
}
