/**
 * How the region is divided: data in the header, so that a small region gets small segments.
 *
 * ```
 *  region of      segment      slice     slices a segment     chunk = 16 segments
 *  < 2 MiB        64 KiB       4 KiB     16                   1 MiB
 *    2 MiB       128 KiB       4 KiB     32                   2 MiB
 *    4 MiB       256 KiB       8 KiB     32                   4 MiB
 *    8 MiB       512 KiB      16 KiB     32                   8 MiB
 *   16 MiB         1 MiB      32 KiB     32                  16 MiB
 *   32 MiB         2 MiB      64 KiB     32                  32 MiB
 * ≥ 64 MiB         4 MiB      64 KiB     64                  64 MiB
 * ```
 *
 * A **segment** is what a thread claims; a **slice** is the smallest page; a **chunk** is what the page map
 * describes with one table. A segment is at most 1/16 of a region of 1 MiB and up, so that is the most that a
 * first `malloc` claims.
 *
 * Glossary: a *page* is mimalloc's: a run of slices that holds blocks of one size. What the operating system
 * maps is an *OS page*. Positions and lengths are counted in 32-bit **words** unless a name says otherwise: a
 * word's index stays below 2^30, and so is a small integer for the engine whatever the address.
 */

import { AllocError } from '@shmalloc/allocator-api';

/** Bytes of what the operating system maps, and so what commit and purge count in. */
export const OS_PAGE_BYTES = 4096;
export const OS_PAGE_WORDS: number = OS_PAGE_BYTES / 4;
export const OS_PAGE_SHIFT = 10;

/** The largest request: what rounded up to OS pages still is less than the address space. */
export const MAX_REQUEST = 0xfffff000;

export const SEGMENTS_PER_CHUNK = 16;
const CHUNK_SEGMENT_BITS = 4;
/** Slices a segment, as a shift; two bitmap words hold 64. */
const SLICE_BITS = 5;
/** A slice has at most 64 KiB, in words as a shift. */
const MAX_SLICE_SHIFT = 14;

const MIN_SEGMENT_SHIFT = 16;
const MAX_SEGMENT_SHIFT = 22;

/** The division of one region; shifts are of words. */
export interface Geometry {
  readonly segmentShift: number;
  readonly sliceShift: number;
  readonly chunkShift: number;
  readonly slicesPerSegment: number;
}

/** The segment of a region of this many bytes, as a shift of bytes: a sixteenth. */
export function segmentShiftFor(bytes: number): number {
  const shift = 31 - Math.clz32(Math.min(bytes, 0xffffffff)) - 4;
  return Math.min(MAX_SEGMENT_SHIFT, Math.max(MIN_SEGMENT_SHIFT, shift));
}

/**
 * @param segmentShift - log2 of a segment's bytes
 * @throws AllocError `InvalidParam` when no segment has that size
 */
export function geometryOf(segmentShift: number): Geometry {
  if (!(segmentShift >= MIN_SEGMENT_SHIFT && segmentShift <= MAX_SEGMENT_SHIFT)) {
    throw new AllocError(
      'InvalidParam',
      `a segment has 2^${MIN_SEGMENT_SHIFT} to 2^${MAX_SEGMENT_SHIFT} bytes, got 2^${segmentShift}`,
    );
  }
  const sliceShift = Math.min(MAX_SLICE_SHIFT, Math.max(OS_PAGE_SHIFT, segmentShift - 2 - SLICE_BITS));
  return {
    segmentShift: segmentShift - 2,
    sliceShift,
    chunkShift: segmentShift - 2 + CHUNK_SEGMENT_BITS,
    slicesPerSegment: 1 << (segmentShift - 2 - sliceShift),
  };
}
