/**
 * What the header of every region starts with, so that an attaching thread knows what it has before it.
 *
 * ```
 *  word
 *   0  MAGIC      "SHM1"; written last, so a half-made header is never taken for one
 *   1  ALGORITHM  four letters
 *   2  VERSION
 *   3  what the algorithm wants
 * ```
 */

import { AllocError } from './error.ts';
import { checkHandle, type Handle } from './handle.ts';
import { SharedMemory } from './shared-memory.ts';

/** The first word of a header: "SHM1". @public */
export const HEADER_MAGIC = 0x53484d31;

/** Where the words are that every header has. */
const WORDS = { magic: 0, algorithm: 1, version: 2 } as const;

/**
 * What a header of one algorithm looks like.
 * @public
 */
export interface HeaderKind {
  /** The name in handles and messages. */
  readonly algorithm: string;
  /** Four letters of it, as a word. */
  readonly code: number;
  readonly version: number;
  /** Words that a header has at least. */
  readonly words: number;
  /** A header starts at a multiple of this, in bytes. */
  readonly align: number;
}

/**
 * Writes what every header starts with, all but the magic.
 * @param i32 - a view of the whole memory
 * @param header - the header's first word
 * @param kind - the algorithm
 * @public
 */
export function writeIdentity(i32: Int32Array, header: number, kind: HeaderKind): void {
  i32[header + WORDS.algorithm] = kind.code;
  i32[header + WORDS.version] = kind.version;
}

/**
 * Makes a finished header known. Release: pairs with the load in {@link openHeader}; who sees the magic sees all that was written before it.
 * @param i32 - a view of the whole memory
 * @param header - the header's first word
 * @public
 */
export function publishHeader(i32: Int32Array, header: number): void {
  Atomics.store(i32, header + WORDS.magic, HEADER_MAGIC);
}

/**
 * Finds the header that a handle names, and demands that it is one of this algorithm and version.
 * @param handle - what `share()` returned
 * @param kind - the algorithm
 * @returns the memory, and the header's first word
 * @throws TypeError for no handle, AllocError `InvalidParam` for a foreign one
 * @public
 */
export function openHeader(handle: Handle, kind: HeaderKind): { memory: SharedMemory; header: number } {
  const { memory: source, start } = checkHandle(handle, kind.algorithm);
  const memory = SharedMemory.from(source, start);
  if (start % kind.align !== 0 || start + kind.words * 4 > memory.end) {
    throw new AllocError('InvalidParam', `handle names address ${start}, where no header can lie`);
  }
  const header = start >>> 2;
  const expected = { magic: HEADER_MAGIC, algorithm: kind.code, version: kind.version };
  for (const what of ['magic', 'algorithm', 'version'] as const)
    demandWord(kind, header, what, Atomics.load(memory.i32, header + WORDS[what]), expected[what]);
  return { memory, header };
}

/**
 * Demands that a word of a header is what it should be.
 * @param kind - the algorithm
 * @param header - the header's first word
 * @param what - the word's name, for the message
 * @throws AllocError `InvalidParam`, with what was found and what was expected
 * @public
 */
export function demandWord(
  kind: HeaderKind,
  header: number,
  what: string,
  found: number,
  expected: number,
): void {
  if (found === expected) return;
  const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;
  throw new AllocError(
    'InvalidParam',
    `cannot attach ${kind.algorithm} at address ${header * 4}: wrong ${what} ${hex(found)}, expected ${hex(expected)}`,
  );
}
