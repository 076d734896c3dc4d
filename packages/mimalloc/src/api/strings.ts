/**
 * Text in blocks: UTF-8 with a terminating zero byte, as C has it.
 */

import { type Address, checkInteger } from '@shmalloc/allocator-api';
import { notAllocated } from '../layout/lookup.ts';
import { usableAt } from '../page/usable.ts';
import type { Tld } from '../thread/thread-view.ts';
import type { MallocFamily } from './malloc-family.ts';

/** Where the character that byte `end` belongs to starts: bytes inside a character are 10xxxxxx. */
function characterStart(bytes: Uint8Array, end: number): number {
  let start = end;
  while ((bytes[start] & 0xc0) === 0x80) start--;
  return start;
}

/**
 * A new block with a text.
 * @param most - bytes of the text that are kept at most; a character is kept whole or not at all
 * @returns 0 when there is no memory
 */
export function duplicate(tld: Tld, family: MallocFamily, text: string, most: number): Address {
  if (typeof text !== 'string') throw new TypeError(`text must be a string, got ${typeof text}`);
  // Encoded apart and copied: the engines' encoders refuse to write into shared memory.
  const bytes = new TextEncoder().encode(text);
  const length = most < bytes.length ? characterStart(bytes, most) : bytes.length;
  const address = family.malloc(length + 1);
  if (address === 0) return 0;
  const { u8 } = tld;
  u8.set(bytes.subarray(0, length), address);
  u8[address + length] = 0;
  return address;
}

/** The text of a block up to its first zero byte, or to the block's end. */
export function textAt(tld: Tld, address: Address): string {
  const usable = usableAt(tld, checkInteger('address', address));
  if (usable < 0) throw notAllocated('readString', address);
  const { u8 } = tld;
  let end = address;
  while (end < address + usable && u8[end] !== 0) end++;
  // `slice` copies out of the shared memory, which decoders refuse to read.
  return new TextDecoder().decode(u8.slice(address, end));
}
