/**
 * The header that stands at the start of every lock-based allocator's region. It holds all that an attaching
 * thread must know, so that a handle is only "this memory, from here".
 *
 * ```
 *  word
 *   0  MAGIC      "SHM1"; written last, so a half-made header is never taken for one
 *   1  ALGORITHM  four letters, e.g. "TLSF"
 *   2  VERSION    of this header and of the algorithm's own layout
 *   3  STATE      words of the algorithm's own state: its geometry
 *   4  LOCK_KIND  0 none · 1 spin · 2 mutex · 3 outside
 *   5  DEBUG      0 or 1
 *   6  END        first word behind the header and the algorithm's state
 *   7  NULL_WORDS words from address 0 on that have the pattern of NULL; 0 in a region that starts elsewhere
 *      …
 *  16  LOCK       alone on its cache line: a waiter that spins on it does not slow the holder's counting below
 *      …
 *  32  EPOCH      goes up whenever pools change; tells the other threads to look again
 *  33  TOTAL      words in pools                               ┐
 *  34  LISTED     words in free blocks that the algorithm has │ statistics: plain words,
 *  35  TOUCHED    words of pools that were ever handed out     │ written under the lock
 *  36  POOLS      how many pools                               │
 *  37  FAILURES   requests answered with 0                     │
 *  38  ERRORS     wrong frees that were reported               ┘
 *  39  GROWN      words of a SharedArrayBuffer that were given out: by this word threads agree on growth
 *  40  SITES      first word of the table of sites, in debug mode
 *      …
 *  48  the algorithm's own state, STATE words
 * ```
 */

import {
  AllocError,
  alignUp,
  demandWord,
  type Handle,
  type HeaderKind,
  headerWord,
  LOCK_KINDS,
  type LockKind,
  openHeader as openAny,
  type SharedMemory,
  type Word,
  writeIdentity,
} from '@shmalloc/allocator-api';
import { type Lock, Mutex, SpinLock } from '@shmalloc/atomic-cell';

/** Lines of cache and header alike, in bytes. */
const HEADER_ALIGN = 64;

/** Words of the largest zone of NULL. */
const LARGEST_ZONE = 256;

/**
 * What a region must have room for behind the header and the state, in bytes: a pool with a few blocks, of
 * most algorithms.
 */
const SMALLEST_POOL = 64;

/**
 * Offsets of the header's fields, in words.
 * @public
 */
export const Field = {
  magic: 0,
  algorithm: 1,
  version: 2,
  state: 3,
  lockKind: 4,
  debug: 5,
  end: 6,
  nullWords: 7,
  lock: 16,
  epoch: 32,
  total: 33,
  listed: 34,
  touched: 35,
  pools: 36,
  failures: 37,
  errors: 38,
  grown: 39,
  sites: 40,
  own: 48,
} as const;

/**
 * What an algorithm's header says of it.
 * @public
 */
export interface HeapLayout {
  /** The name in handles and statistics. */
  readonly algorithm: string;
  /** Four letters for the header. */
  readonly code: string;
  /** Version of the layout in memory; an attach demands the same. */
  readonly version: number;
  /** Words of state behind the header. */
  readonly stateWords: number;
  /** Bytes of the smallest pool that is of use. Default 64. */
  readonly smallestPool?: number | undefined;
}

/** The four letters as one word. */
function codeWord(code: string): number {
  return [...code].reduce((word, letter) => (word << 8) | letter.charCodeAt(0), 0);
}

/** Bytes from the header to the first pool. */
export function headerBytes(layout: HeapLayout): number {
  return alignUp((Field.own + layout.stateWords) * 4, HEADER_ALIGN);
}

/**
 * Writes a fresh header at the start of the region, all but the magic.
 * @returns its first word
 * @throws AllocError `RegionTooSmall`
 */
export function writeHeader(memory: SharedMemory, layout: HeapLayout, lock: LockKind, debug: boolean): Word {
  const start = headerWord(memory, { align: HEADER_ALIGN }) * 4;
  const end = start + headerBytes(layout);
  // Refused before anything is written: the memory may be in use.
  const needed = end + (layout.smallestPool ?? SMALLEST_POOL) - memory.start;
  if (memory.start + needed > memory.end) {
    throw new AllocError(
      'RegionTooSmall',
      `region [${memory.start}, ${memory.end}) is too small: ${layout.algorithm} needs ${needed} bytes at least`,
    );
  }
  const header = start >>> 2;
  const { i32 } = memory;
  i32.fill(0, header, end / 4);
  writeIdentity(memory, header, kindOf(layout));
  i32[header + Field.state] = layout.stateWords;
  i32[header + Field.lockKind] = LOCK_KINDS.indexOf(lock);
  i32[header + Field.debug] = debug ? 1 : 0;
  i32[header + Field.end] = end / 4;
  return header;
}

/** The lock that a header names, on its word; null for none. */
export function lockOf(memory: SharedMemory, header: Word): Lock | null {
  const kind = LOCK_KINDS[memory.i32[header + Field.lockKind]];
  const address = (header + Field.lock) * 4;
  if (kind === 'none' || kind === 'outside') return null;
  return kind === 'spin' ? new SpinLock(memory, address) : new Mutex(memory, address);
}

/**
 * Finds the header that a handle names and demands that it is of this algorithm, version and geometry.
 * @throws TypeError for no handle, AllocError `InvalidParam` for a foreign one
 */
export function openHeader(handle: Handle, layout: HeapLayout): { memory: SharedMemory; header: Word } {
  const kind = kindOf(layout);
  const opened = openAny(handle, kind);
  const { memory, header } = opened;
  const { i32 } = memory;
  const demand = (what: string, field: Word, expected: number): void =>
    demandWord(kind, header, what, i32[header + field], expected);
  demand('geometry', Field.state, layout.stateWords);
  demand('end of the state', Field.end, header + headerBytes(layout) / 4);
  // The header lies directly behind the zone of NULL, or there is none.
  demand(
    'zone of NULL',
    Field.nullWords,
    isNullZone(i32[header + Field.nullWords], header) ? i32[header + Field.nullWords] : 0,
  );
  demand('lock kind', Field.lockKind, i32[header + Field.lockKind] & 3);
  demand('debug', Field.debug, i32[header + Field.debug] & 1);
  return opened;
}

/** Whether a zone of NULL of so many words can lie in front of this header. */
function isNullZone(words: number, header: Word): boolean {
  return words === header && words > 0 && words <= LARGEST_ZONE;
}

function kindOf({ algorithm, code, version }: HeapLayout): HeaderKind {
  return {
    algorithm,
    code: codeWord(code),
    version,
    words: Field.own,
    align: HEADER_ALIGN,
    nullWords: Field.nullWords,
    grown: Field.grown,
    sites: Field.sites,
  };
}
