/**
 * Guards for the edge of an interface. Each looks at one argument, and its message names the argument and the
 * value. Behind them the loops are bare.
 */

import { type Address, isPowerOfTwo } from './address.ts';
import { AllocError } from './error.ts';
import type { SharedMemory } from './shared-memory.ts';

/**
 * How a value reads in a message: strings quoted, objects and functions by their kind, everything else as
 * JavaScript prints it.
 */
function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  const composed = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return composed ? Object.prototype.toString.call(value) : String(value);
}

/**
 * Demands a non-negative integer, however large: whether anything has so many bytes is the caller's question.
 * @param name - what the caller calls the argument
 * @param value - the argument
 * @returns `value`
 * @throws TypeError when it is no number, RangeError when it is negative, fractional, infinite or NaN
 * @public
 */
export function checkInteger(name: string, value: unknown): number {
  if (typeof value !== 'number')
    throw new TypeError(`${name} must be a number, got ${show(value)} (${typeof value})`);
  if (!Number.isInteger(value) || value < 0) {
    throw new RangeError(`${name} must be a non-negative integer, got ${value}`);
  }
  return value;
}

/**
 * Demands a power of two, 1 … 2^31.
 * @param name - what the caller calls the argument
 * @param value - the argument, in bytes
 * @returns `value`
 * @throws TypeError or RangeError as {@link checkInteger}; AllocError `InvalidParam` when it is no power of
 *   two
 * @public
 */
export function checkAlign(name: string, value: unknown): number {
  const align = checkInteger(name, value);
  if (!isPowerOfTwo(align)) {
    throw new AllocError('InvalidParam', `${name} must be a power of two from 1 to 2^31, got ${align}`);
  }
  return align;
}

/**
 * Demands one of a few names.
 * @param name - what the caller calls the argument
 * @param value - the argument
 * @param choices - the accepted values, which the message lists
 * @returns `value`
 * @throws TypeError when it is no string, AllocError `InvalidParam` when it is none of them
 * @public
 */
export function checkChoice<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  if (typeof value !== 'string')
    throw new TypeError(`${name} must be a string, got ${show(value)} (${typeof value})`);
  if (!(choices as readonly string[]).includes(value)) {
    throw new AllocError('InvalidParam', `${name} must be one of ${choices.join(', ')}; got ${show(value)}`);
  }
  return value as T;
}

/**
 * Demands `true` or `false`.
 * @param name - what the caller calls the argument
 * @param value - the argument
 * @returns `value`
 * @throws TypeError when it is something else
 * @public
 */
export function checkFlag(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false, got ${show(value)}`);
  return value;
}

/**
 * Demands a function.
 * @param name - what the caller calls the argument
 * @param value - the argument
 * @returns `value`
 * @throws TypeError when it is something else
 * @public
 */
export function checkHook<T>(name: string, value: T): T {
  if (typeof value !== 'function') throw new TypeError(`${name} must be a function, got ${show(value)}`);
  return value;
}

/**
 * Options that every algorithm takes, whether it has a use for them or not, so that one set of options serves
 * all.
 */
const COMMON_OPTIONS = [
  'bytes',
  'maxBytes',
  'backing',
  'memory',
  'start',
  'end',
  'grow',
  'threads',
  'lock',
  'debug',
  'onError',
];

/**
 * Demands that every option is a known one, so that a misspelt one is not taken for "not given".
 * @param options - what the caller was given
 * @param own - names of the options that it has besides the common ones
 * @param common - default: {@link HeapOptions}
 * @throws TypeError when the options are no object, AllocError `InvalidParam` for an unknown name, listing
 *   those that are known
 * @public
 */
export function checkOptions(
  options: unknown,
  own: readonly string[],
  common: readonly string[] = COMMON_OPTIONS,
): void {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`options must be an object, got ${show(options)}`);
  const known = [...common, ...own.filter((name) => !common.includes(name))];
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new AllocError('InvalidParam', `unknown option ${name}; known are ${known.join(', ')}`);
  }
}

/**
 * Demands a range that memory has, as it is now.
 * @param memory - whose views are renewed when it has grown
 * @param start - bytes into the memory
 * @param size - bytes
 * @returns the range's end
 * @throws TypeError or RangeError as {@link checkInteger}; AllocError `InvalidParam` when it does not fit,
 *   `MemoryOverlap` when it has a part of the table of sites
 * @public
 */
export function checkRange(memory: SharedMemory, start: Address, size: number): Address {
  const end = checkInteger('start', start) + checkInteger('size', size);
  memory.refresh();
  if (end > memory.byteLength) {
    throw new AllocError(
      'InvalidParam',
      `[${start}, ${end}) does not fit into memory of ${memory.byteLength} bytes`,
    );
  }
  const { table, words } = memory.sites ?? { table: 0, words: 0 };
  if (size > 0 && start < (table + words) * 4 && end > table * 4) {
    throw new AllocError(
      'MemoryOverlap',
      `[${start}, ${end}) overlaps the table of sites [${table * 4}, ${(table + words) * 4})`,
    );
  }
  return end;
}

/**
 * The error of a `dealloc` whose layout cannot be the block's.
 * @param address - what was to be freed
 * @param usable - bytes that its block has
 * @param size - bytes, as the caller says
 * @param align - bytes, as the caller says
 * @public
 */
export function wrongLayout(address: Address, usable: number, size: number, align: number): AllocError {
  return new AllocError(
    'InvalidParam',
    `dealloc(${address}): the block of ${usable} usable bytes was not allocated with size ${size}, align ${align}`,
  );
}
