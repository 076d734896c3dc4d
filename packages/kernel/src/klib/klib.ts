/**
 * The kernel's C library over one shared memory: `mem…`, `str…`, and here what prints into memory.
 */

import { type Address, checkInteger } from '@shmalloc/allocator-api';
import { format } from './format.ts';
import { StringFunctions } from './string-functions.ts';

const encoder = new TextEncoder();

/**
 * A small C library whose pointers are addresses in shared memory. In a program of a machine its functions
 * are there under their own names; this class is for every other thread, and for other memory.
 *
 * @example
 * ```ts
 * const c = new Klib(heap.memory);
 * const block = heap.malloc(32);
 * c.snprintf(block, 32, '%s is %#x', 'the answer', 42);
 * c.strlen(block); // 18
 * c.sprintf('<%.3s>', block); // '<the>'
 * ```
 * @public
 */
export class Klib extends StringFunctions {
  /**
   * Formats, and returns a JavaScript string. See {@link (sprintf:1)} for what is understood.
   */
  sprintf(template: string, ...values: readonly unknown[]): string;
  /**
   * Formats into memory, with a NUL at the end.
   * @param to - where; there must be room
   * @returns bytes before the NUL
   * @throws AllocError `InvalidParam` when it leaves the memory; nothing has been written then
   */
  sprintf(to: Address, template: string, ...values: readonly unknown[]): number;
  sprintf(first: Address | string, ...rest: readonly unknown[]): number | string {
    if (typeof first !== 'number') return format(first, rest, this.memory);
    const bytes = encoder.encode(format(rest[0], rest.slice(1), this.memory));
    this.write('sprintf', first, bytes, bytes.length);
    return bytes.length;
  }

  /**
   * Formats into memory, with a NUL at the end, and cuts what does not fit.
   * @param to - where
   * @param size - bytes that there is room for, the NUL included; with 0 nothing is written, and `to` may be
   *   anything
   * @returns bytes that it would have written before the NUL, had there been room: more than `size − 1` when
   *   it was cut
   */
  snprintf(to: Address, size: number, template: string, ...values: readonly unknown[]): number {
    checkInteger('snprintf: size', size);
    const bytes = encoder.encode(format(template, values, this.memory));
    if (size > 0) this.write('snprintf', to, bytes, Math.min(bytes.length, size - 1));
    return bytes.length;
  }

  private write(name: string, to: Address, bytes: Uint8Array, length: number): void {
    const u8 = this.reach(name, to, length + 1);
    u8.set(length === bytes.length ? bytes : bytes.subarray(0, length), to);
    u8[to + length] = 0;
  }
}
