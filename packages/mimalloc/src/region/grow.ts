/**
 * A thread that needs memory makes the region longer, by what the free end of it lacks.
 *
 * ```
 *             used ┆ free tail ┆   grown                        a huge block: the tail counts
 *   ──┼─────────┼──▓▓▓─────────┤╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┤
 *                  ├──────── huge block ──────────┤
 * ```
 *
 * Growth is lock-free, and every range belongs to the thread that has grown it. Another thread may grow at
 * the same moment: then this one's range begins later than was thought, and it grows again. What grew too
 * much is used by the next request.
 */

import type { Word } from '@shmalloc/allocator-api';
import { NO_TABLE } from '@shmalloc/thread-heap';
import { Field } from '../layout/header.ts';
import { chunkAt, segmentAt, tableWords } from '../layout/page-map.ts';
import { lowChunk } from '../segment/bounds.ts';
import { reach } from '../segment/reach.ts';
import { FREE_SEGMENT, type HugeRequest, Segment, type SliceRequest } from '../segment/segment.ts';
import { highBits, lowBits } from '../segment/slices.ts';
import { AccountingOs } from '../thread/os.ts';
import type { Tld } from '../thread/thread-view.ts';
import { addRange, announceMemory, presentBytes } from './memory.ts';

/** Words in 4 GiB. */
const ALL_WORDS = 2 ** 30;

/** Growths for one request: more than one is needed when other threads grow at the same moment. */
export const MAX_GROWTHS = 8;

/**
 * Words that no request can exceed: the whole memory, grown as far as it can be. O(1).
 */
export function mostWords(tld: Tld): number {
  const { i32, header } = tld;
  const grows = i32[header + Field.grow] === 1 || !(tld.os instanceof AccountingOs);
  // A program may have added memory beyond what the heap was made to reach.
  return Math.max(i32.length, grows ? i32[header + Field.maxWords] || ALL_WORDS : 0);
}

/**
 * Whether a request is so large that there is no need to look for it. Another thread may have made the memory
 * longer, so a second look is taken.
 */
export function isBeyond(tld: Tld, bytes: number): boolean {
  if (bytes <= mostWords(tld) * 4) return false;
  tld.refresh();
  return bytes > mostWords(tld) * 4;
}

/** Makes room for a page in a segment. @returns false when the memory cannot grow so far */
export function growForPage(tld: Tld, { count, align }: SliceRequest): boolean {
  const { segmentShift, sliceShift } = tld;
  const wanted = (count + align - 1) << sliceShift;
  if (!isAtEnd(tld)) return growRegion(tld, Math.max(wanted, 1 << segmentShift), 0);
  const end = memoryEnd(tld);
  const tables = missingTables(tld, end);
  const whole = wholeSegments(tld, end + tables);
  const from = tables === 0 && end + wanted <= whole && canUse(tld, end) ? end : whole;
  return growRegion(tld, from + wanted - end - tables, tables);
}

/**
 * Whether slices that come behind `end` are of use to this thread: they go to a segment that it has, or that
 * no thread has.
 */
function canUse(tld: Tld, end: Word): boolean {
  if (chunkAt(tld, (end - 1) >>> tld.chunkShift) === 0) return false;
  const segment = segmentAt(tld, end - 1);
  const owner = tld.i32[segment + Segment.threadId];
  return tld.i32[segment + Segment.arena] === 0 && (owner === tld.threadId || owner === FREE_SEGMENT);
}

/** Makes room for a huge block. @returns false when the memory cannot grow so far */
export function growForHuge(tld: Tld, { words, align, offset }: HugeRequest): boolean {
  const segment = 1 << tld.segmentShift;
  if (!isAtEnd(tld)) {
    // Wherever it comes: whole segments that hold the block for sure, behind the tables of their chunks.
    const least = words + segment + Math.max(align, segment);
    return growRegion(tld, least + tableWords(tld.slicesPerSegment) * (2 + (least >>> tld.chunkShift)), 0);
  }
  const end = memoryEnd(tld);
  const tables = missingTables(tld, end);
  // With tables in front of it, what comes does not touch the tail.
  const from = tables > 0 ? wholeSegments(tld, end + tables) : freeTail(tld, end);
  const start = Math.ceil((from + offset) / align) * align - offset;
  return growRegion(tld, start + words - end - tables, tables);
}

/** Whether what comes will touch the end of the memory: an owner of one's own may give it anywhere. */
function isAtEnd(tld: Tld): boolean {
  return tld.os instanceof AccountingOs;
}

/** The next start of a segment. */
function wholeSegments(tld: Tld, end: Word): Word {
  return (((end - 1) >>> tld.segmentShift) + 1) * (1 << tld.segmentShift);
}

/** Words of the whole memory, in whole slices. */
function memoryEnd(tld: Tld): Word {
  tld.refresh();
  return (tld.i32.length >>> tld.sliceShift) << tld.sliceShift;
}

/**
 * Where the free segments begin that reach to the end of the memory; the start of the next one when there are
 * none.
 */
function freeTail(tld: Tld, end: Word): Word {
  const { i32, segmentShift } = tld;
  const first = lowChunk(tld) * (1 << tld.chunkShift);
  let tail = wholeSegments(tld, end);
  for (let base = tail - (1 << segmentShift); base >= first; base -= 1 << segmentShift) {
    if (chunkAt(tld, base >>> tld.chunkShift) === 0) break;
    const segment = segmentAt(tld, base);
    const slices = (Math.min(end, base + (1 << segmentShift)) - base) >>> tld.sliceShift;
    if (
      i32[segment + Segment.threadId] !== FREE_SEGMENT ||
      i32[segment + Segment.arena] !== 0 ||
      i32[segment + Segment.presentLow] !== lowBits(0, slices) ||
      i32[segment + Segment.presentHigh] !== highBits(0, slices)
    )
      break;
    tail = base;
  }
  return tail;
}

/**
 * Words, in whole slices, of the tables that chunks lack which the memory can reach from `end` on. They are
 * made with the first piece that comes.
 */
function missingTables(tld: Tld, end: Word): number {
  const { i32, root, header, chunkShift, sliceShift } = tld;
  const most = i32[header + Field.maxWords];
  let missing = 0;
  for (let chunk = (end - 1) >>> chunkShift; chunk < most / (1 << chunkShift); chunk++)
    if (i32[root + chunk] === NO_TABLE) missing++;
  return Math.ceil((missing * tableWords(tld.slicesPerSegment)) / (1 << sliceShift)) * (1 << sliceShift);
}

/**
 * Asks the owner of the memory for more.
 * @param words - at least so many, for blocks
 * @param tables - words for tables, besides
 */
function growRegion(tld: Tld, words: number, tables: number): boolean {
  const least = words + tables;
  // At least an eighth of what there is, so that a growing program does not grow it in small steps.
  const wanted = Math.max(least, (presentBytes(tld) >>> 5) + tables);
  const range = tld.os.reserve(wanted * 4) ?? (wanted === least ? null : tld.os.reserve(least * 4));
  if (range === null) return false;
  const mask = (1 << tld.sliceShift) - 1;
  const from = ((Math.ceil(range.start / 4) + mask) >>> tld.sliceShift) << tld.sliceShift;
  const to = (Math.floor((range.start + range.size) / 4) >>> tld.sliceShift) << tld.sliceShift;
  if (from >= to || !reach(tld, to)) return false;
  addRange(tld, from, to, 0, isAtEnd(tld) ? tables : -1);
  announceMemory(tld);
  return true;
}
