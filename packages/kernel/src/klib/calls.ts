/**
 * The C library as a program calls it: over the physical memory of the machine whose CPU the thread is. What
 * each function does stands at {@link Klib}, {@link StringFunctions} and {@link MemoryFunctions}; all but
 * `sprintf` to a string throw a KernelError `NotOnCpu` outside of a program.
 */

import type { Address } from '@shmalloc/allocator-api';
import { klibOfCpu } from '../cpu.ts';
import { KernelError } from '../errors.ts';
import { format } from './format.ts';
import type { Klib } from './klib.ts';
import type { CString } from './string-functions.ts';

function klib(name: string): Klib {
  const mine = klibOfCpu();
  if (mine === undefined)
    throw new KernelError('NotOnCpu', `${name}() works in a program that a machine runs`);
  return mine;
}

/**
 * Formats as C's `sprintf`: `%d %i %u %o %x %X %p %s %c %%` with the flags `- + space # 0`, width, precision,
 * `*`, and the lengths `hh h l ll j z t`.
 *
 * - Numbers may be `number` (fractions are cut off), `bigint` or boolean. A length makes them wrap as in C
 *   (`l` has 64 bits). Without one nothing is cut off, and a negative number under `%u %o %x` is shown as its
 *   two's complement of 32 bits, a negative bigint of 64.
 * - `%s` takes a JavaScript string; in a program also a number, the address of a NUL-terminated string in the
 *   machine's memory (0 reads `(null)`). Every other value is shown as `String` shows it. A precision cuts a
 *   JavaScript string after so many characters, and one in memory after so many bytes.
 * - `%c` takes a code point or a string's first character. Widths count characters.
 * - A conversion that is not known is copied as it stands. A value that is missing reads `%!d(missing)`, one
 *   of the wrong kind `%!d(value)`: it never throws.
 * @param template - with a directive for each value
 * @param values - one for each conversion, and one for each `*`
 * @public
 */
export function sprintf(template: string, ...values: readonly unknown[]): string;
/**
 * Formats into memory, with a NUL at the end.
 * @param to - where; there must be room
 * @param template - with a directive for each value
 * @returns bytes before the NUL
 * @throws KernelError `NotOnCpu` outside of a program; AllocError `InvalidParam` when it leaves the memory
 * @public
 */
export function sprintf(to: Address, template: string, ...values: readonly unknown[]): number;
export function sprintf(first: Address | string, ...rest: readonly unknown[]): number | string {
  if (typeof first === 'number') return klib('sprintf').sprintf(first, rest[0] as string, ...rest.slice(1));
  return format(first, rest, klibOfCpu()?.memory);
}

/**
 * Formats into memory, with a NUL at the end, and cuts what does not fit.
 * @param to - where
 * @param size - bytes that there is room for, the NUL included
 * @returns bytes that it would have written before the NUL, had there been room
 * @public
 */
export function snprintf(to: Address, size: number, template: string, ...values: readonly unknown[]): number {
  return klib('snprintf').snprintf(to, size, template, ...values);
}

/**
 * Fills `length` bytes; returns `address`.
 * @public
 */
export function memset(address: Address, byte: number, length: number): Address {
  return klib('memset').memset(address, byte, length);
}

/**
 * Copies `length` bytes, which may overlap; returns `to`.
 * @public
 */
export function memcpy(to: Address, from: Address, length: number): Address {
  return klib('memcpy').memcpy(to, from, length);
}

/**
 * Copies `length` bytes, which may overlap; returns `to`.
 * @public
 */
export function memmove(to: Address, from: Address, length: number): Address {
  return klib('memmove').memmove(to, from, length);
}

/**
 * Compares `length` bytes: 0, negative or positive.
 * @public
 */
export function memcmp(a: Address, b: Address, length: number): number {
  return klib('memcmp').memcmp(a, b, length);
}

/**
 * The address of the first such byte among `length`, or 0.
 * @public
 */
export function memchr(address: Address, byte: number, length: number): Address {
  return klib('memchr').memchr(address, byte, length);
}

/**
 * The bytes before the NUL.
 * @public
 */
export function strlen(string: CString): number {
  return klib('strlen').strlen(string);
}

/**
 * The bytes before the NUL, `most` at most.
 * @public
 */
export function strnlen(string: CString, most: number): number {
  return klib('strnlen').strnlen(string, most);
}

/**
 * Copies a string with its NUL; returns `to`.
 * @public
 */
export function strcpy(to: Address, from: CString): Address {
  return klib('strcpy').strcpy(to, from);
}

/**
 * Writes `length` bytes: of the string, then zeros; no NUL when it is cut. Returns `to`.
 * @public
 */
export function strncpy(to: Address, from: CString, length: number): Address {
  return klib('strncpy').strncpy(to, from, length);
}

/**
 * Appends a string; returns `to`.
 * @public
 */
export function strcat(to: Address, from: CString): Address {
  return klib('strcat').strcat(to, from);
}

/**
 * Appends at most `most` bytes of a string, and a NUL; returns `to`.
 * @public
 */
export function strncat(to: Address, from: CString, most: number): Address {
  return klib('strncat').strncat(to, from, most);
}

/**
 * Compares strings: 0, negative or positive.
 * @public
 */
export function strcmp(a: CString, b: CString): number {
  return klib('strcmp').strcmp(a, b);
}

/**
 * Compares the first `most` bytes of strings: 0, negative or positive.
 * @public
 */
export function strncmp(a: CString, b: CString, most: number): number {
  return klib('strncmp').strncmp(a, b, most);
}

/**
 * The address of the first such byte, the NUL included, or 0.
 * @public
 */
export function strchr(string: Address, byte: number): Address {
  return klib('strchr').strchr(string, byte);
}

/**
 * The address of the last such byte, the NUL included, or 0.
 * @public
 */
export function strrchr(string: Address, byte: number): Address {
  return klib('strrchr').strrchr(string, byte);
}

/**
 * The address where `part` first occurs, or 0.
 * @public
 */
export function strstr(string: Address, part: CString): Address {
  return klib('strstr').strstr(string, part);
}

/**
 * Bytes at the front that are all in `set`.
 * @public
 */
export function strspn(string: CString, set: CString): number {
  return klib('strspn').strspn(string, set);
}

/**
 * Bytes at the front none of which is in `set`.
 * @public
 */
export function strcspn(string: CString, set: CString): number {
  return klib('strcspn').strcspn(string, set);
}

/**
 * The address of the first byte that is in `set`, or 0.
 * @public
 */
export function strpbrk(string: Address, set: CString): Address {
  return klib('strpbrk').strpbrk(string, set);
}
