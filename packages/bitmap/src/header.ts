/**
 * The header at the start of a bitmap allocator's region, and where its maps lie behind it. Only this file
 * knows an offset.
 *
 * ```
 *  word
 *   0  MAGIC      "SHM1"; written last, so a half-made header is never taken for one
 *   1  ALGORITHM  "BMPG" pages · "BMID" ids
 *   2  VERSION    of this layout
 *   3  BITS       units that the maps have a bit for
 *   4  BASE       the unit that bit 0 stands for, a multiple of 32
 *   5  UNIT       bytes of a page; 1 for ids
 *   6  END        first word behind the maps
 *   7  NULL_WORDS words from address 0 on that have the pattern of NULL; 0 in a region that starts elsewhere
 *      …
 *  16  RETREATS   how often a run was claimed in part and given back     ┐ a cache line of their own:
 *  17  ATTACHED   how many threads have attached: where each begins      │ all are written rarely
 *  18  GROWN      words of a SharedArrayBuffer that were given out       ┘
 *      …
 *  32  ┌───────────────────────────────┐
 *      │ free    W words               │  1: may be claimed                          ┐ W = BITS / 32, rounded up
 *      ├───────────────────────────────┤                                            │
 *      │ used    W words               │  1: handed out                             │ a unit has at most one 1 in these three
 *      ├───────────────────────────────┤                                            │ maps; none while it changes hands
 *      │ absent  W words               │  1: not managed: a hole, or memory to come ┘
 *      ├───────────────────────────────┤
 *      │ hints   H = W / 32 words      │  bit w: word w of `free` may have a 1
 *      ├───────────────────────────────┤
 *      │ top     T = H / 32 words      │  bit h: word h of `hints` may have a 1
 *  END └───────────────────────────────┘
 * ```
 *
 * 2^20 pages take 397 KiB: 3.1 bits a page.
 */

import {
  AllocError,
  alignUp,
  demandWord,
  type Handle,
  type HeaderKind,
  headerWord,
  MAX_BYTES,
  nullWordsOf,
  openHeader as openAny,
  type SharedMemory,
  type Word,
  writeIdentity,
} from '@shmalloc/allocator-api';

const VERSION = 1;

/** Lines of cache, and where a header may lie, in bytes. */
const LINE = 64;

/** Offsets of the header's fields, in words. */
const BITS_AT = 3;
const BASE_AT = 4;
const UNIT_AT = 5;
const END_AT = 6;
const NULL_WORDS_AT = 7;
export const RETREATS_AT = 16;
export const ATTACHED_AT = 17;
const GROWN_AT = 18;
const MAPS_AT = 32;

/**
 * What a header says of its maps.
 * @public
 */
export interface Geometry {
  /** First word of the header. */
  readonly header: Word;
  /** Words from address 0 on that have the pattern of NULL. */
  readonly nullWords: number;
  /** Units that have a bit. */
  readonly bits: number;
  /** The unit of bit 0, a multiple of 32, so that a bit is as aligned within its word as its unit is. */
  readonly base: number;
  /** Bytes of a unit; 1 for ids. */
  readonly unit: number;
  /** Words of each of the three maps. */
  readonly words: number;
  /** Words of `hints`. */
  readonly hintWords: number;
  /** Words of `top`. */
  readonly topWords: number;
  /** Where the maps lie. */
  readonly free: Word;
  readonly used: Word;
  readonly absent: Word;
  readonly hints: Word;
  readonly top: Word;
  /** First word behind them. */
  readonly end: Word;
}

/**
 * The two kinds of allocator that have such a header.
 * @public
 */
export interface Kind {
  /** The name in handles and statistics. */
  readonly algorithm: string;
  /** Four letters for the header. */
  readonly code: string;
  /** Whether a unit may have so many bytes. */
  readonly isUnit: (bytes: number) => boolean;
}

function codeWord(code: string): number {
  return [...code].reduce((word, letter) => (word << 8) | letter.charCodeAt(0), 0);
}

/** Where everything lies for so many units. */
export function layOut(
  header: Word,
  [base, bits, unit]: readonly [base: number, bits: number, unit: number],
  nullWords: number,
): Geometry {
  const words = Math.ceil(bits / 32);
  const hintWords = Math.ceil(words / 32);
  const topWords = Math.ceil(hintWords / 32);
  const free = header + MAPS_AT;
  const used = free + words;
  const absent = used + words;
  const hints = absent + words;
  const top = hints + hintWords;
  const end = top + topWords;
  return {
    header,
    nullWords,
    bits,
    base,
    unit,
    words,
    hintWords,
    topWords,
    free,
    used,
    absent,
    hints,
    top,
    end,
  };
}

/** Bytes of header and maps for so many units. */
export function stateBytes(bits: number): number {
  return alignUp(layOut(0, [0, bits, 1], 0).end * 4, LINE);
}

/**
 * Writes a header, all but the magic, at the start of a region.
 * @throws AllocError `InvalidParam` when header and maps do not fit, and for pages one page behind them; then
 *   nothing was written
 */
export function writeHeader(
  memory: SharedMemory,
  kind: Kind,
  units: readonly [base: number, bits: number, unit: number],
): Geometry {
  const [base, bits, unit] = units;
  const start = headerWord(memory, { align: LINE }) * 4;
  const end = alignUp(start + stateBytes(bits), unit);
  const needed = end - memory.start + (unit > 1 ? unit : 0);
  if (memory.start + needed > memory.end)
    throw new AllocError(
      'RegionTooSmall',
      `region [${memory.start}, ${memory.end}) is too small: ${kind.algorithm} needs ${needed} bytes at least`,
    );
  const geometry = layOut(start / 4, units, nullWordsOf(memory));
  const { i32 } = memory;
  const { header } = geometry;
  i32.fill(0, header, geometry.end);
  writeIdentity(memory, header, identityOf(kind));
  i32[header + BITS_AT] = bits;
  i32[header + BASE_AT] = base;
  i32[header + UNIT_AT] = unit;
  i32[header + END_AT] = geometry.end;
  return geometry;
}

/**
 * Finds the header that a handle names.
 * @throws TypeError for no handle, AllocError `InvalidParam` for a foreign one
 */
export function openHeader(handle: Handle, kind: Kind): { memory: SharedMemory; geometry: Geometry } {
  const identity = identityOf(kind);
  const { memory, header } = openAny(handle, identity);
  const { i32 } = memory;
  const [base, bits, unit, nullWords] = [BASE_AT, BITS_AT, UNIT_AT, NULL_WORDS_AT].map(
    (field) => i32[header + field] >>> 0,
  );
  const geometry = layOut(header, [base, bits, unit], nullWords);
  // What is left of a header after damage may name maps that lie nowhere.
  demandWord(identity, header, 'geometry', i32[header + END_AT], geometry.end);
  demandWord(identity, header, 'geometry: unit', unit, kind.isUnit(unit) ? unit : 0);
  demandWord(identity, header, 'geometry: base', base, base & ~31);
  demandWord(identity, header, 'geometry: bits', bits, Math.min(bits, MAX_BYTES / unit - base));
  demandWord(identity, header, 'geometry: end', geometry.end, Math.min(geometry.end, memory.end / 4));
  demandWord(identity, header, 'zone of NULL', nullWords, Math.min(nullWords, header));
  return { memory, geometry };
}

function identityOf({ algorithm, code }: Kind): HeaderKind {
  return {
    algorithm,
    code: codeWord(code),
    version: VERSION,
    words: MAPS_AT,
    align: LINE,
    nullWords: NULL_WORDS_AT,
    grown: GROWN_AT,
  };
}
