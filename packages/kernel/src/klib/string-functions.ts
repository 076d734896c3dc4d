/**
 * The `str…` functions of C, over shared memory. A string is the address of bytes that end with a NUL.
 *
 * There are no literals in shared memory, so a string that is only read may also be a JavaScript string; it
 * stands for its UTF-8 bytes.
 */

import { type Address, AllocError, checkInteger, NULL } from '@shmalloc/allocator-api';
import { MemoryFunctions } from './memory-functions.ts';

const encoder = new TextEncoder();

/**
 * A string that is read: an address in shared memory, or a JavaScript string.
 * @public
 */
export type CString = Address | string;

/**
 * `strlen`, `strnlen`, `strcpy`, `strncpy`, `strcat`, `strncat`, `strcmp`, `strncmp`, `strchr`, `strrchr`,
 * `strstr`, `strspn`, `strcspn`, `strpbrk`.
 *
 * They throw what {@link MemoryFunctions} throws; also an AllocError `InvalidParam` when there is no NUL up
 * to the end of the memory, and when a copy would leave it. Then nothing has been written.
 * @public
 */
export class StringFunctions extends MemoryFunctions {
  /**
   * The bytes before the NUL.
   */
  strlen(string: CString): number {
    const bytes = this.bytesOf('strlen', string);
    const at = startOf(string);
    return this.endOf('strlen', bytes, at) - at;
  }

  /**
   * The bytes before the NUL, or `most` when it is not among the first `most`.
   * @param most - bytes that are looked at
   */
  strnlen(string: CString, most: number): number {
    const bytes = this.bytesOf('strnlen', string, checkInteger('strnlen: length', most));
    const at = startOf(string);
    return this.endOf('strnlen', bytes, at, most) - at;
  }

  /**
   * Copies a string with its NUL. The places may overlap.
   * @returns `to`
   */
  strcpy(to: Address, from: CString): Address {
    this.copy('strcpy', to, from, Number.POSITIVE_INFINITY);
    return to;
  }

  /**
   * Writes exactly `length` bytes: those of the string, then zeros. A string that is not shorter is cut, and
   * then there is **no NUL**.
   * @returns `to`
   */
  strncpy(to: Address, from: CString, length: number): Address {
    const bytes = this.bytesOf('strncpy', from, checkInteger('strncpy: length', length));
    const at = startOf(from);
    const end = this.endOf('strncpy', bytes, at, length);
    const u8 = this.reach('strncpy', to, length);
    place(u8, to, bytes, at, end);
    u8.fill(0, to + (end - at), to + length);
    return to;
  }

  /**
   * Appends a string to the one at `to`.
   * @returns `to`
   */
  strcat(to: Address, from: CString): Address {
    this.copy('strcat', to + this.strlen(to), from, Number.POSITIVE_INFINITY);
    return to;
  }

  /**
   * Appends at most `most` bytes of a string to the one at `to`, and a NUL.
   * @returns `to`
   */
  strncat(to: Address, from: CString, most: number): Address {
    this.copy('strncat', to + this.strlen(to), from, checkInteger('strncat: length', most));
    return to;
  }

  /**
   * Compares two strings byte by byte, unsigned.
   * @returns 0 when they are equal; else negative or positive, as the first byte that differs is less or
   *   greater in `a`
   */
  strcmp(a: CString, b: CString): number {
    return this.compare('strcmp', a, b, Number.POSITIVE_INFINITY);
  }

  /**
   * The same for their first `most` bytes.
   */
  strncmp(a: CString, b: CString, most: number): number {
    return this.compare('strncmp', a, b, checkInteger('strncmp: length', most));
  }

  /**
   * Looks for a byte from the front. The NUL is part of the string.
   * @param byte - only its low 8 bits count
   * @returns its address, or 0
   */
  strchr(string: Address, byte: number): Address {
    const u8 = this.bytesOf('strchr', string);
    const end = this.endOf('strchr', u8, string);
    for (let at = string; at <= end; at++) if (u8[at] === (byte & 255)) return at;
    return NULL;
  }

  /**
   * Looks for a byte from the end. The NUL is part of the string.
   * @param byte - only its low 8 bits count
   * @returns its address, or 0
   */
  strrchr(string: Address, byte: number): Address {
    const u8 = this.bytesOf('strrchr', string);
    for (let at = this.endOf('strrchr', u8, string); at >= string; at--)
      if (u8[at] === (byte & 255)) return at;
    return NULL;
  }

  /**
   * Looks for a string in another one.
   * @returns the address of its first occurrence, or 0; an empty string occurs at once
   */
  strstr(string: Address, part: CString): Address {
    const u8 = this.bytesOf('strstr', string);
    const bytes = this.bytesOf('strstr', part);
    const at = startOf(part);
    const length = this.endOf('strstr', bytes, at) - at;
    const last = this.endOf('strstr', u8, string) - length;
    for (let start = string; start <= last; start++) {
      let same = 0;
      while (same < length && u8[start + same] === bytes[at + same]) same++;
      if (same === length) return start;
    }
    return NULL;
  }

  /**
   * Bytes at the front of a string that all occur in `set`.
   */
  strspn(string: CString, set: CString): number {
    return this.span('strspn', string, set, true);
  }

  /**
   * Bytes at the front of a string none of which occurs in `set`.
   */
  strcspn(string: CString, set: CString): number {
    return this.span('strcspn', string, set, false);
  }

  /**
   * Looks for any byte of `set`.
   * @returns the address of the first, or 0
   */
  strpbrk(string: Address, set: CString): Address {
    const at = string + this.span('strpbrk', string, set, false);
    return this.memory.u8[at] === 0 ? NULL : at;
  }

  /** Copies at most `most` bytes of a string, and a NUL. */
  private copy(name: string, to: Address, from: CString, most: number): void {
    const bytes = this.bytesOf(name, from, most);
    const at = startOf(from);
    const end = this.endOf(name, bytes, at, most);
    const u8 = this.reach(name, to, end - at + 1);
    place(u8, to, bytes, at, end);
    u8[to + (end - at)] = 0;
  }

  private compare(name: string, a: CString, b: CString, most: number): number {
    const left = this.bytesOf(name, a, most);
    const right = this.bytesOf(name, b, most);
    const leftAt = startOf(a);
    const rightAt = startOf(b);
    for (let i = 0; i < most; i++) {
      if (leftAt + i >= left.length) throw this.endless(name, leftAt);
      if (rightAt + i >= right.length) throw this.endless(name, rightAt);
      const difference = left[leftAt + i] - right[rightAt + i];
      if (difference !== 0) return difference;
      if (left[leftAt + i] === 0) return 0;
    }
    return 0;
  }

  private span(name: string, string: CString, set: CString, member: boolean): number {
    const bytes = this.bytesOf(name, string);
    const first = startOf(string);
    const end = this.endOf(name, bytes, first);
    const among = this.bytesOf(name, set);
    const members = among.subarray(startOf(set), this.endOf(name, among, startOf(set)));
    let at = first;
    while (at < end && members.includes(bytes[at]) === member) at++;
    return at - first;
  }

  /** What holds the string's bytes: the memory, or those of the JavaScript string with a NUL behind them. */
  private bytesOf(name: string, string: CString, most?: number): Uint8Array {
    if (typeof string === 'string') return encoder.encode(`${string}\0`);
    // Whether one byte can be read; where none is to be, any address will do.
    return this.reach(name, string, most === 0 ? 0 : 1);
  }

  /** Where the string's NUL is, or the end of its first `most` bytes. */
  private endOf(
    name: string,
    bytes: Uint8Array,
    at: number,
    most: number = Number.POSITIVE_INFINITY,
  ): number {
    const limit = Math.min(at + most, bytes.length);
    // The engine's search has no end to give, and the strings that have a limit are short.
    let end = at;
    if (most === Number.POSITIVE_INFINITY) end = bytes.indexOf(0, at);
    else while (end < limit && bytes[end] !== 0) end++;
    if (end === -1 || (end === bytes.length && end < at + most)) throw this.endless(name, at);
    return end;
  }

  private endless(name: string, at: number): AllocError {
    return new AllocError('InvalidParam', `${name}: no NUL from ${at} to the end of the memory`);
  }
}

/** Where the string starts in what `bytesOf` gives. */
function startOf(string: CString): number {
  return typeof string === 'string' ? 0 : string;
}

/** Copies `bytes[from, end)` to `to`, also within one array. */
function place(u8: Uint8Array, to: number, bytes: Uint8Array, from: number, end: number): void {
  if (bytes === u8) u8.copyWithin(to, from, end);
  else u8.set(bytes.subarray(from, end), to);
}
