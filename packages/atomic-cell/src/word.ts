/**
 * Where a cell's words lie, and how an address stands in one.
 *
 * A cell is one or two neighbouring words of 4 bytes, anywhere in the buffer of a `SharedMemory`. Zeroed
 * memory is a fresh cell. A cell keeps the `Int32Array` of the moment it was made: memory only ever grows at
 * its end, in place, so an old view stays right for every byte that it covers, and a wait on an old view is
 * woken by a notify on a new one.
 */

import { type Address, AllocError, checkInteger, isAligned, SharedMemory } from '@shmalloc/allocator-api';

/** Bytes in a word, the unit that `Atomics.wait` can wait on. */
export const WORD_BYTES = 4;

/**
 * What a word holds for an address: the same 32 bits, as an `Int32Array` gives them.
 * @param name - what the caller calls the argument
 * @param address - bytes, 0 … 2^32 − 1
 * @throws TypeError or RangeError for a wrong kind of argument, AllocError `InvalidParam` from 2^32 on
 */
export function toWord(name: string, address: Address): number {
  // The type is asked first: `>>>` on a bigint throws an error that names no value.
  if (typeof address !== 'number' || address >>> 0 !== address) refuse(name, address);
  return address | 0;
}

function refuse(name: string, address: Address): never {
  checkInteger(name, address);
  throw new AllocError('InvalidParam', `${name} must be an address below 2^32, got ${address}`);
}

/**
 * Demands a region.
 * @throws TypeError for anything else
 */
export function checkMemory(memory: unknown): void {
  if (!(memory instanceof SharedMemory)) {
    throw new TypeError(`memory must be a SharedMemory, got ${Object.prototype.toString.call(memory)}`);
  }
}

/**
 * Checks a cell's place.
 * @param memory - the memory that holds it; refreshed when the words lie behind what this thread has seen of
 *   it
 * @param address - bytes, a multiple of 4
 * @param words - how many words the cell has
 * @returns the index of the first word in `memory.i32`
 * @throws TypeError or RangeError for a wrong kind of argument, AllocError `InvalidParam` for a place that
 *   cannot be
 */
export function wordIndex(memory: SharedMemory, address: Address, words = 1): number {
  checkMemory(memory);
  checkInteger('address', address);
  if (!isAligned(address, WORD_BYTES)) {
    throw new AllocError('InvalidParam', `address must be a multiple of ${WORD_BYTES}, got ${address}`);
  }
  const end = address + words * WORD_BYTES;
  if (end > memory.byteLength) memory.refresh();
  if (end > memory.byteLength) {
    throw new AllocError(
      'InvalidParam',
      `address ${address}: a cell of ${words * WORD_BYTES} bytes leaves the memory of ${memory.byteLength} bytes`,
    );
  }
  return address / WORD_BYTES;
}
