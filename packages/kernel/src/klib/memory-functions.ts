/**
 * The `mem…` functions of C, over shared memory. Addresses in the place of pointers, and what is undefined in
 * C is defined: it is an error that names the call and the address, and nothing has been written.
 *
 * Bytes are read and written plainly, as in C: the thread that shares a block with another CPU sees to it
 * that they do not use it at once.
 */

import { type Address, AllocError, checkInteger, NULL, type SharedMemory } from '@shmalloc/allocator-api';

/**
 * `memset`, `memcpy`, `memmove`, `memcmp` and `memchr`. Cost: that of the engine's own byte loops, O(length).
 *
 * All of them throw a TypeError or RangeError for an address or length that is no non-negative integer, and
 * an AllocError `InvalidParam` for NULL and for bytes that are not in the memory. A length of 0 is allowed
 * anywhere.
 * @public
 */
export class MemoryFunctions {
  /** What the addresses point into. */
  readonly memory: SharedMemory;

  constructor(memory: SharedMemory) {
    this.memory = memory;
  }

  /**
   * Fills bytes.
   * @param address - the first
   * @param byte - only its low 8 bits count
   * @param length - bytes
   * @returns `address`
   */
  memset(address: Address, byte: number, length: number): Address {
    this.reach('memset', address, length).fill(byte, address, address + length);
    return address;
  }

  /**
   * Copies bytes. They may overlap: it is the same as {@link MemoryFunctions.memmove}.
   * @param to - the first byte to write
   * @param from - the first byte to read
   * @param length - bytes
   * @returns `to`
   */
  memcpy(to: Address, from: Address, length: number): Address {
    this.reach('memcpy', from, length);
    this.reach('memcpy', to, length).copyWithin(to, from, from + length);
    return to;
  }

  /**
   * Copies bytes as if through a third place: they may overlap.
   * @param to - the first byte to write
   * @param from - the first byte to read
   * @param length - bytes
   * @returns `to`
   */
  memmove(to: Address, from: Address, length: number): Address {
    this.reach('memmove', from, length);
    this.reach('memmove', to, length).copyWithin(to, from, from + length);
    return to;
  }

  /**
   * Compares bytes, unsigned.
   * @returns 0 when they are equal; else negative or positive, as the first that differs is less or greater
   *   in `a`
   */
  memcmp(a: Address, b: Address, length: number): number {
    this.reach('memcmp', a, length);
    const u8 = this.reach('memcmp', b, length);
    for (let i = 0; i < length; i++) {
      const difference = u8[a + i] - u8[b + i];
      if (difference !== 0) return difference;
    }
    return 0;
  }

  /**
   * Looks for a byte. As in C, `length` may reach beyond the memory if the byte is found before.
   * @param address - where to begin
   * @param byte - only its low 8 bits count
   * @param length - bytes
   * @returns the address of the first such byte, or 0
   */
  memchr(address: Address, byte: number, length: number): Address {
    checkInteger('memchr: length', length);
    const u8 = this.reach('memchr', address, Math.min(length, 1));
    const end = Math.min(address + length, u8.length);
    for (let at = address; at < end; at++) if (u8[at] === (byte & 255)) return at;
    this.reach('memchr', address, length);
    return NULL;
  }

  /**
   * The bytes of the memory, after a look whether `[address, address + length)` is in it.
   * @internal
   */
  protected reach(name: string, address: Address, length: number): Uint8Array<SharedArrayBuffer> {
    const { memory } = this;
    const end = checkInteger(`${name}: address`, address) + checkInteger(`${name}: length`, length);
    if (address === NULL && length > 0)
      throw new AllocError('InvalidParam', `${name} of ${length} bytes at NULL`);
    // Another CPU may have let the memory grow.
    if (end > memory.byteLength) memory.refresh();
    if (end > memory.byteLength) {
      throw new AllocError(
        'InvalidParam',
        `${name} of [${address}, ${end}), which leaves the memory of ${memory.byteLength} bytes`,
      );
    }
    return memory.u8;
  }
}
