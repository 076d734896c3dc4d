/**
 * Blocks that are zero: beyond what was asked for, too, so that a block which grows in place grows into
 * zeros.
 *
 * ```
 *   zalloc(20)          ├──── 20 ────┼ 12 ┤       all 32 bytes of the block are zero
 *   … written …         ├xxxxxxxxxxxx┼0000┤
 *   rezalloc(·, 30)     ├xxxxxxxxxxxx00000┤       in place: the tail is zero already
 *   rezalloc(·, 90)     ├xxxxxxxxxxxx00000┼0000000000000000000000┤
 *   rezalloc(·, 50)     ├xxxxxxxxxxxx00000┼00000┼0000000000000000┤   what is cut off is zeroed at once
 * ```
 */

import type { Address, Word } from '@shmalloc/allocator-api';
import type { Tld } from '../thread/thread-view.ts';
import { blockBytesFor, usableAt } from './usable.ts';

/** Up to this many words a loop is quicker than a call into the engine. */
const FEW_WORDS = 64;

/** Zeroes a block that was just allocated for a request of `size` bytes without further wishes. */
export function zeroBlock(tld: Tld, address: Address, size: number): Address {
  if (address === 0) return 0;
  // In secure mode something stands behind the last byte.
  if (tld.guard !== null) return zeroFrom(tld, address, 0);
  zeroWords(tld.i32, address >>> 2, blockBytesFor(tld, size) >>> 2);
  return address;
}

/** Zeroes a block from its byte `from` to the last that may be used. */
export function zeroFrom(tld: Tld, address: Address, from: number): Address {
  if (address !== 0) tld.u8.fill(0, address + from, address + usableAt(tld, address));
  return address;
}

function zeroWords(i32: Int32Array, first: Word, words: number): void {
  if (words > FEW_WORDS) i32.fill(0, first, first + words);
  else for (let word = first; word < first + words; word++) i32[word] = 0;
}
