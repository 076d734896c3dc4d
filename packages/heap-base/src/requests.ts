/**
 * What a size or an address has to be for the paths that ask no more.
 */

import { type Address, checkInteger } from '@shmalloc/allocator-api';

/** Requests above this cannot be met by any region; it also keeps rounding up within 32 bits. */
export const MAX_REQUEST: number = 2 ** 32 - 128;

/**
 * Whether a value is an unsigned 32-bit integer. The type is asked first, because `>>>` on a bigint throws an
 * error that names no value.
 */
export function isWord(value: number): boolean {
  return typeof value === 'number' && value >>> 0 === value;
}

export function isRequest(size: number): boolean {
  return isWord(size) && size <= MAX_REQUEST;
}

/** What is no address is an error; an address that no block can have is word 0. */
export function noBlock(address: Address): 0 {
  checkInteger('address', address);
  return 0;
}
