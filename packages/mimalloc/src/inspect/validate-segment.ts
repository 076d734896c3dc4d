/**
 * The invariants of a segment, and the looks that a finding has to stand. See `validate.ts`.
 */

import { countBits, type Word } from '@shmalloc/allocator-api';
import { isHuge } from '../huge/huge-block.ts';
import { SEGMENTS_PER_CHUNK } from '../layout/geometry.ts';
import { Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import { ownerOf, Page, slicesOf } from '../layout/page.ts';
import { Chunk, chunkAt, segmentAt, sliceAt } from '../layout/page-map.ts';
import { slotAt } from '../region/thread-table.ts';
import { forEachPageIn } from '../region/walk.ts';
import {
  ABANDONED_SEGMENT,
  FREE_SEGMENT,
  HUGE_SEGMENT,
  KIND_HUGE,
  KIND_HUGE_TAIL,
  KIND_PAGES,
  Segment,
} from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import { demand } from './demand.ts';
import { validateLists, validateShape, validateSum } from './validate-page.ts';

/**
 * Looks in a row that must find the same. One is not enough even where nothing changes in between that can be
 * seen: a word may have come back.
 */
const LOOKS = 16;
/** Looks at something that changes all the time. */
const MOST_LOOKS = 64;

/** How a segment can be looked at. */
export interface Sight {
  /** Whether no thread but this thread changes it. */
  readonly exact: boolean;
  /** The segments in the lists of those threads that are looked at exactly. */
  readonly listed: ReadonlySet<Word>;
}

/** Runs a check. @returns what it has found, or null */
function finding(check: () => void): Error | null {
  try {
    check();
    return null;
  } catch (error) {
    return error as Error;
  }
}

/**
 * Runs a check of what others may be changing.
 * @param words - all that the finding depends on, in one text
 * @throws what it finds, if it finds the same again and again while the words stay as they are
 */
function steadily(tld: Tld, words: () => string, check: () => void): void {
  let found = finding(check);
  let seen = '';
  let same = 0;
  for (let look = 0; found !== null && same < LOOKS; look++) {
    if (look === MOST_LOOKS) return;
    // What was found may lie in memory that has come since.
    tld.refresh();
    const before = words();
    const again = finding(check);
    if (again === null) return;
    const steady = words() === before && before === seen && again.message === found.message;
    same = steady ? same + 1 : 0;
    seen = before;
    found = again;
  }
  if (found !== null) throw found;
}

/** Runs a check, at once where no other thread changes what it looks at. */
function look(tld: Tld, exact: boolean, words: () => string, check: () => void): void {
  if (exact) check();
  else steadily(tld, words, check);
}

function textOf(tld: Tld, from: Word, words: number): string {
  return tld.i32.subarray(from, from + words).join();
}

/** What a segment says, but for its clocks and links, and what its pages are. */
function segmentText(tld: Tld, segment: Word): string {
  const { i32 } = tld;
  const base = i32[segment + Segment.base];
  const chunk = chunkAt(tld, base >>> tld.chunkShift);
  let text = `${textOf(tld, segment, Segment.purgeLow)},${i32[segment + Segment.used]},${textOf(tld, chunk, Chunk.present)}`;
  for (let slice = 0; slice < tld.slicesPerSegment; slice++) {
    const page = sliceAt(tld, base + (slice << tld.sliceShift));
    text += `,${i32[page + Page.blockWords]}:${slicesOf(tld, page)}`;
  }
  return text;
}

/** What the first page of a huge block's segment says. */
function hugeText(tld: Tld, segment: Word): string {
  let text = '';
  forEachPageIn(tld, segment, (page) => {
    text += textOf(tld, page, Page.key1 + 1);
  });
  return text;
}

function isSubset(part: number, whole: number): boolean {
  return (part & ~whole) === 0;
}

/** What follows the first segment of a huge block. */
function validateTails(tld: Tld, segment: Word, what: string): void {
  const { i32 } = tld;
  const count = i32[segment + Segment.count];
  demand(count >= 1, `${what} starts a huge block of ${count} segments`);
  for (let index = 1; index < count; index++) {
    const base = i32[segment + Segment.base] + (index << tld.segmentShift);
    demand(
      chunkAt(tld, base >>> tld.chunkShift) > 0 &&
        i32[segmentAt(tld, base) + Segment.kind] === KIND_HUGE_TAIL,
      `${what} starts a huge block of ${count} segments, of which number ${index} is none`,
    );
  }
}

/**
 * A huge block in use: its page and its segments. What is being made or freed is another thread's business.
 */
function validateHuge(tld: Tld, segment: Word, what: string): void {
  const { i32 } = tld;
  if (i32[segment + Segment.kind] !== KIND_HUGE || i32[segment + Segment.threadId] !== HUGE_SEGMENT) return;
  let pages = 0;
  forEachPageIn(tld, segment, (page) => {
    pages++;
    demand(isHuge(tld, page), `${what} starts a huge block and has a page of ${slicesOf(tld, page)} slices`);
    demand(ownerOf(tld, page) === 0, `the huge block of ${what} belongs to thread ${ownerOf(tld, page)}`);
    validateShape(tld, page, true);
    validateLists(tld, page, true);
    validateSum(tld, page);
    demand(i32[page + Page.used] === 1, `the huge block of ${what} is not in use`);
  });
  demand(pages === 1, `${what} starts a huge block and has ${pages} pages`);
  validateTails(tld, segment, what);
}

/** The segment by itself, with what the chunk says of it. */
function validateDescriptor(tld: Tld, segment: Word, { exact }: Sight, what: string): void {
  const { i32 } = tld;
  const base = i32[segment + Segment.base];
  const owner = i32[segment + Segment.threadId];
  const freeLow = i32[segment + Segment.freeLow];
  const freeHigh = i32[segment + Segment.freeHigh];
  if (exact && owner !== FREE_SEGMENT && owner !== ABANDONED_SEGMENT) {
    demand(
      isSubset(i32[segment + Segment.purgeLow], freeLow) &&
        isSubset(i32[segment + Segment.purgeHigh], freeHigh),
      `${what} is to purge slices that are not free`,
    );
  }
  demand(
    isSubset(freeLow, i32[segment + Segment.presentLow]) &&
      isSubset(freeHigh, i32[segment + Segment.presentHigh]),
    `${what} has free slices that it does not have`,
  );
  const chunk = chunkAt(tld, base >>> tld.chunkShift);
  const bit = 1 << ((base >>> tld.segmentShift) & (SEGMENTS_PER_CHUNK - 1));
  // Hints: a bit is set before its segment is let go, so those of other threads' segments may be set too
  // early. Memory that is just being added to a segment of which there was none has no bit yet, and has never
  // been free.
  const isNew = !exact && (freeLow | freeHigh) === 0;
  demand(
    owner === FREE_SEGMENT
      ? isNew || (i32[chunk + Chunk.free] & bit) !== 0
      : !exact || (i32[chunk + Chunk.free] & bit) === 0,
    `${what} and the bitmap of free segments say different things`,
  );
  demand(
    owner === ABANDONED_SEGMENT
      ? (i32[chunk + Chunk.abandoned] & bit) !== 0
      : !exact || (i32[chunk + Chunk.abandoned] & bit) === 0,
    `${what} and the bitmap of abandoned segments say different things`,
  );
}

/** What a segment counts of its slices and pages. */
function validateCounts(tld: Tld, segment: Word, { exact }: Sight, what: string): void {
  const { i32 } = tld;
  // It may have become a huge block's since, which counts no pages.
  if (i32[segment + Segment.kind] !== KIND_PAGES) return;
  let pages = 0;
  let slices = 0;
  forEachPageIn(tld, segment, (page) => {
    pages++;
    slices += slicesOf(tld, page);
  });
  const owner = i32[segment + Segment.threadId];
  const used = i32[segment + Segment.used];
  const count = (low: number, high: number): number =>
    countBits(i32[segment + low]) + countBits(i32[segment + high]);
  const present = count(Segment.presentLow, Segment.presentHigh);
  const free = count(Segment.freeLow, Segment.freeHigh);
  const isFree = owner === FREE_SEGMENT;
  // Memory that has come to a segment is counted as free when its owner looks, or the next one claims it: it
  // may have come while the last one let it go. Slices leave the free ones before they are a page, and the
  // other way round.
  const isOwn = owner === tld.threadId;
  const late = !isOwn || i32[tld.header + Field.epoch] !== tld.epoch;
  demand(
    free + slices === present || (late && free + slices < present),
    `${what}: ${free} free slices + ${slices} in pages ≠ ${present}`,
  );
  if (isFree) demand(pages === 0, `${what} has no owner and ${pages} pages`);
  else {
    demand(
      pages === used || (!exact && owner !== ABANDONED_SEGMENT && pages < used),
      `${what} counts ${used} pages and has ${pages}`,
    );
  }
}

/** Whether a name is in the thread table: an owner's, or that of a dead thread which is being reaped. */
function isNamed(tld: Tld, name: number): boolean {
  for (let slot = 0; slot < tld.slots; slot++)
    if (tld.i32[slotAt(tld, slot) + Heap.threadId] === name) return true;
  return false;
}

/**
 * Whose a page is. One that is being made, adopted or given up is no thread's for a while; those of a dead
 * thread keep its name until they are mended.
 */
function validateOwner(tld: Tld, segment: Word, page: Word, exact: boolean, what: string): void {
  const owner = tld.i32[segment + Segment.threadId];
  const name = ownerOf(tld, page);
  const isRight = name === (owner === ABANDONED_SEGMENT ? 0 : owner);
  const isBetween =
    !exact && owner !== ABANDONED_SEGMENT && name !== tld.threadId && (name === 0 || isNamed(tld, name));
  demand(isRight || isBetween, `a page of ${what} has another owner`);
}

/** A page of a segment. */
function validatePageIn(tld: Tld, segment: Word, page: Word, sight: Sight, what: string): void {
  const { exact } = sight;
  const { i32 } = tld;
  const stillThere = (check: () => void) => (): void => {
    if (exact || i32[page + Page.blockWords] !== 0) check();
  };
  const owners = (): string => `${i32[segment + Segment.threadId]},${i32[page + Page.xthreadId]}`;
  const all = (): string => `${owners()},${textOf(tld, page, Page.key1 + 1)}`;
  look(
    tld,
    exact,
    owners,
    stillThere(() => validateOwner(tld, segment, page, exact, what)),
  );
  // SHAPE without its clock.
  const shape = (): string =>
    `${owners()},${i32[page + Page.shape] & ~0xf80},${textOf(tld, page + Page.blockWords, 4)}`;
  look(
    tld,
    exact,
    shape,
    stillThere(() => validateShape(tld, page, exact)),
  );
  look(
    tld,
    exact,
    all,
    stillThere(() => {
      validateLists(tld, page, exact);
      if (exact || i32[segment + Segment.threadId] === ABANDONED_SEGMENT) validateSum(tld, page);
    }),
  );
}

/** A segment with its pages. */
export function validateSegment(tld: Tld, segment: Word, sight: Sight): void {
  const { i32 } = tld;
  const { exact, listed } = sight;
  const what = `the segment at ${i32[segment + Segment.base] * 4}`;
  const words = (): string => segmentText(tld, segment);
  look(tld, exact, words, () => validateDescriptor(tld, segment, sight, what));
  const block = (): string => `${words()},${hugeText(tld, segment)}`;
  look(tld, exact, block, () => validateHuge(tld, segment, what));
  if (i32[segment + Segment.kind] !== KIND_PAGES) return;
  const owner = i32[segment + Segment.threadId];
  if (exact && owner !== FREE_SEGMENT && owner !== ABANDONED_SEGMENT) {
    const hasFree = (i32[segment + Segment.freeLow] | i32[segment + Segment.freeHigh]) !== 0;
    demand(
      listed.has(segment) === hasFree,
      `${what} has ${hasFree ? 'free slices and is not' : 'no free slice and is'} in the list of those that have`,
    );
  }
  forEachPageIn(tld, segment, (page) => validatePageIn(tld, segment, page, sight, what));
  look(tld, exact, words, () => validateCounts(tld, segment, sight, what));
}
