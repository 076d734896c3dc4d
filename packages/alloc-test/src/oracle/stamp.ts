/**
 * Stamps: what is written into a block, so that a later look tells whether someone else wrote there.
 *
 * ```
 *   0            256                                                    size − 256       size
 *   ├ every byte ──┼ a word at 4096, at 8192, … ────────────────────────┼ every byte ──────┤    above 1024 bytes
 *   ├ every byte ──────────────┤                                                                 up to 1024 bytes
 * ```
 *
 * The pattern is a function of the block's address and size: nothing is kept for a block, and any thread can
 * verify it. Neighbouring words differ, and so do the stamps of neighbouring blocks.
 */

import type { Address, SharedMemory } from '@shmalloc/allocator-api';

/** Up to this many bytes a block is stamped all over. */
const WHOLE_LIMIT = 1024;
/** Bytes at each end of a larger block. */
const EDGE = 256;
/** Bytes between the words in its middle. */
const STRIDE = 4096;

/** The odd integer nearest to 2^32 divided by the golden ratio. */
const GOLDEN = 0x9e3779b1 | 0;

/**
 * Up to this many bytes a zeroed block is looked at all over; above, its edges and one word in a cache line.
 */
const ZERO_LIMIT = 65536;
const ZERO_EDGE = 4096;
const ZERO_STRIDE = 64;

/** No byte is wrong. */
export const INTACT = -1;

function seedOf(address: Address, size: number): number {
  return Math.imul(address ^ Math.imul(size, 0x85ebca6b), 0xc2b2ae35) | 1;
}

function wordAt(seed: number, offset: number): number {
  return (seed + Math.imul(offset >>> 2, GOLDEN)) | 0;
}

/** The byte that the stamp of a block has at this offset. */
export function stampByte(address: Address, size: number, offset: number): number {
  return (wordAt(seedOf(address, size), offset) >>> ((offset & 3) * 8)) & 255;
}

/** Where the stamped end of a large block begins. */
function tailOf(size: number): number {
  return size - EDGE - ((size - EDGE) & 3);
}

/** Writes the stamp of the block `[address, address + size)`; the address is a multiple of 8. */
export function stamp(memory: SharedMemory, address: Address, size: number): void {
  const seed = seedOf(address, size);
  if (size <= WHOLE_LIMIT) {
    write(memory, address, seed, 0, size);
    return;
  }
  write(memory, address, seed, 0, EDGE);
  const tail = tailOf(size);
  for (let at = STRIDE; at < tail; at += STRIDE) memory.i32[(address + at) >>> 2] = wordAt(seed, at);
  write(memory, address, seed, tail, size);
}

/**
 * Compares the first `length` bytes at `address` with the stamp that a block of `stampSize` bytes got at
 * `stampAddress`.
 * @returns the offset of the first wrong byte, or {@link INTACT}
 */
export function firstDamage(
  memory: SharedMemory,
  address: Address,
  length: number,
  stampAddress: Address,
  stampSize: number,
): number {
  const seed = seedOf(stampAddress, stampSize);
  if (stampSize <= WHOLE_LIMIT) return compare(memory, address, seed, 0, length);
  const head = compare(memory, address, seed, 0, Math.min(EDGE, length));
  if (head !== INTACT) return head;
  const tail = tailOf(stampSize);
  const middle = Math.min(tail, length - 3);
  for (let at = STRIDE; at < middle; at += STRIDE) {
    if (memory.i32[(address + at) >>> 2] !== wordAt(seed, at)) {
      return compare(memory, address, seed, at, at + 4);
    }
  }
  return compare(memory, address, seed, tail, length);
}

/**
 * Looks for a byte of a fresh `calloc` block that is not zero.
 * @returns its offset, or {@link INTACT}
 */
export function firstNonZero(memory: SharedMemory, address: Address, size: number): number {
  if (size <= ZERO_LIMIT) return nonZero(memory, address, 0, size, 4);
  const tail = size - ZERO_EDGE - ((size - ZERO_EDGE) & 3);
  for (const [from, to, stride] of [
    [0, ZERO_EDGE, 4],
    [ZERO_EDGE, tail, ZERO_STRIDE],
    [tail, size, 4],
  ]) {
    const found = nonZero(memory, address, from, to, stride);
    if (found !== INTACT) return found;
  }
  return INTACT;
}

function nonZero(memory: SharedMemory, address: Address, from: number, to: number, stride: number): number {
  const { i32, u8 } = memory;
  let at = from;
  for (; at + 4 <= to; at += stride) {
    if (i32[(address + at) >>> 2] !== 0) {
      while (u8[address + at] === 0) at++;
      return at;
    }
  }
  for (; at < to; at++) if (u8[address + at] !== 0) return at;
  return INTACT;
}

function write(memory: SharedMemory, address: Address, seed: number, from: number, to: number): void {
  const { i32, u8 } = memory;
  let word = wordAt(seed, from);
  let at = from;
  for (let index = (address + from) >>> 2; at + 4 <= to; at += 4) {
    i32[index++] = word;
    word = (word + GOLDEN) | 0;
  }
  for (; at < to; at++) u8[address + at] = word >>> ((at & 3) * 8);
}

function compare(memory: SharedMemory, address: Address, seed: number, from: number, to: number): number {
  const { i32, u8 } = memory;
  let word = wordAt(seed, from);
  let at = from;
  for (let index = (address + from) >>> 2; at + 4 <= to; at += 4) {
    if (i32[index++] !== word) break;
    word = (word + GOLDEN) | 0;
  }
  for (; at < to; at++) {
    if (u8[address + at] !== ((wordAt(seed, at) >>> ((at & 3) * 8)) & 255)) return at;
  }
  return INTACT;
}
