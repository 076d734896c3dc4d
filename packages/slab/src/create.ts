/**
 * Making a region: its header and empty tables. Where everything lies is `plan.ts`'s.
 *
 * Memory that was made for this region is zero and only reserved, so tables are not cleared: only what is
 * used costs memory.
 */

import {
  AllocError,
  checkChoice,
  checkFlag,
  checkInteger,
  checkOptions,
  type HeapOptions,
  headerWord,
  LOCK_KINDS,
  openRegion,
  type SharedMemory,
  writeIdentity,
} from '@shmalloc/allocator-api';
import { MAX_SLOTS } from '@shmalloc/thread-heap';

import { CHUNK_BITS, pageShiftFor, SIZE_CLASSES, shiftOfPage } from './geometry.ts';
import { Field, KIND } from './header.ts';
import { type Plan, planFields, planOf } from './plan.ts';

/**
 * Where the region comes from, and how it is run.
 * @public
 */
export interface SlabOptions extends HeapOptions {
  /**
   * What stands around the page list; blocks need none. `'none'` is for one thread, and `share` refuses then;
   * `'outside'` says that something else guards this heap. Default `'spin'`.
   */
  lock?: HeapOptions['lock'];
  /**
   * Detect every wrong free, every write past a block's end and into a freed block, for 24 bytes a block and
   * some of the speed. Default false.
   */
  debug?: boolean | undefined;
  /** CPUs (threads) that can be attached at one time, 1 … 1000. Default 8 to 64, by the region. */
  threads?: number | undefined;
  /** Bytes of a page: 8, 16, 32 or 64 KiB. Default 64 KiB; less in a region below 8 MiB, a 128th of it. */
  pageBytes?: number | undefined;
}

/** CPUs by the region's size. */
function slotsFor(bytes: number): number {
  if (bytes < 1 << 20) return 8;
  return bytes < 1 << 24 ? 16 : 64;
}

function checkSlots(value: number): number {
  if (checkInteger('threads', value) >= 1 && value <= MAX_SLOTS) return value;
  throw new AllocError('InvalidParam', `threads must lie between 1 and ${MAX_SLOTS}, got ${value}`);
}

/** A region that is laid out, but for its magic and its pages. */
export interface LaidOut {
  readonly memory: SharedMemory;
  readonly plan: Plan;
}

/**
 * Writes the header, the root and an empty CPU table; the magic is for later.
 * @throws TypeError, RangeError or AllocError, naming the option; `RegionTooSmall`
 */
export function layOut(options: SlabOptions): LaidOut {
  checkOptions(options, ['pageBytes']);
  const lock = LOCK_KINDS.indexOf(checkChoice('lock', options.lock ?? 'spin', LOCK_KINDS));
  const debug = checkFlag('debug', options.debug ?? false);
  const wanted =
    options.pageBytes === undefined ? 0 : shiftOfPage(checkInteger('pageBytes', options.pageBytes));
  const threads = options.threads === undefined ? 0 : checkSlots(options.threads);
  const memory = openRegion(options);
  const bytes = memory.end - memory.start;
  const pageBits = wanted === 0 ? pageShiftFor(bytes) : wanted;
  const slots = threads === 0 ? slotsFor(bytes) : threads;
  const chunkShift = pageBits - 2 + CHUNK_BITS;
  const header = headerWord(memory, KIND);
  const firstChunk = header >>> chunkShift;
  const chunks = (Math.floor(Math.max(memory.end - 1, 0) / 4) >>> chunkShift) - firstChunk + 1;
  const plan = planOf({ header, pageBits, slots, firstChunk, chunks });
  const { cpus, end } = plan;
  const page = 2 ** pageBits;
  // Refused before anything is written: the memory may be in use.
  const least = (Math.ceil((end * 4) / page) + 1) * page;
  if (memory.end < least) {
    throw new AllocError(
      'RegionTooSmall',
      `region [${memory.start}, ${memory.end}) is too small: slab needs ${least - memory.start} bytes at least`,
    );
  }
  const { i32 } = memory;
  i32.fill(0, header, cpus);
  if (options.memory !== undefined) i32.fill(0, cpus, end);
  writeIdentity(memory, header, KIND);
  for (const [, field, value] of planFields(plan)) i32[header + field] = value;
  i32[header + Field.lockKind] = lock;
  i32[header + Field.debug] = debug ? 1 : 0;
  i32[header + Field.epoch] = 1;
  i32[header + Field.touched] = (cpus - header) >>> 4;
  i32.fill(header + Field.empty, header + Field.noPages, header + Field.noPages + SIZE_CLASSES);
  return { memory, plan };
}
