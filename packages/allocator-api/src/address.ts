/**
 * Addresses and their arithmetic.
 *
 * An address is an unsigned byte offset into one shared region, 0 … 2^32 − 1. JavaScript's bit operators work
 * on signed 32-bit numbers, so an address from the upper half of a 4 GiB region turns negative under `&` and
 * `|`; every function here ends in `>>> 0` or in plain arithmetic, and that is the reason to use them instead
 * of writing the operators out.
 */

/**
 * An unsigned byte offset into the region. 0 is {@link NULL} and is never handed out.
 * @public
 */
export type Address = number;

/**
 * The address that no block has: what `malloc` returns when it cannot, and what `free` ignores.
 * @public
 */
export const NULL: Address = 0;

/**
 * The largest region, in bytes: 4 GiB, what 32-bit addresses reach.
 * @public
 */
export const MAX_BYTES: number = 2 ** 32;

/**
 * Whether `value` is a power of two between 1 and 2^31.
 * @param value - any number
 * @returns false for zero, fractions, negatives and everything beyond 2^31
 * @public
 */
export function isPowerOfTwo(value: number): boolean {
  return value >>> 0 === value && value !== 0 && (value & (value - 1)) === 0;
}

/**
 * The smallest multiple of `align` that is not below `address`.
 * @param address - bytes, 0 … 2^32
 * @param align - bytes, a power of two (the caller has checked it)
 * @returns bytes; 2^32 when the next multiple lies at the very end of the address space
 * @public
 */
export function alignUp(address: Address, align: number): Address {
  return alignDown(address + (align - 1), align);
}

/**
 * The largest multiple of `align` that is not above `address`.
 * @param address - bytes, 0 … 2^32
 * @param align - bytes, a power of two (the caller has checked it)
 * @returns bytes
 * @public
 */
export function alignDown(address: Address, align: number): Address {
  // The mask has at most 31 bits, so the remainder is right for addresses of 32 bits and above.
  return address - (address & (align - 1));
}

/**
 * Whether `address` is a multiple of `align`.
 * @param address - bytes, 0 … 2^32
 * @param align - bytes, a power of two (the caller has checked it)
 * @public
 */
export function isAligned(address: Address, align: number): boolean {
  return (address & (align - 1)) === 0;
}

/**
 * The smallest power of two that is not below `value`.
 * @param value - 0 … 2^31
 * @returns at least 1
 * @public
 */
export function nextPowerOfTwo(value: number): number {
  return value <= 1 ? 1 : 2 ** (32 - Math.clz32(value - 1));
}
