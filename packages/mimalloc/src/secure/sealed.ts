/**
 * Level 1: the header. A write where the heap keeps its own state has hit a canary, or changed a word that
 * never changes.
 *
 * ```
 *  ├ header ────────────┼ root ┼ empty page ┼ canaries ┼ thread table ┼ canaries ┼ tables ┼ canaries ┤ slices …
 *  │ … CHECKSUM … C … C │      │ all 0      │ 16 words │              │ 16       │        │ 16       │
 * ```
 *
 * A canary is a hash of its place and of the heap's secret. The checksum covers the words that are laid out
 * once. It is demanded when a thread attaches; from then on the thread has a copy of them, so it can say
 * which word has changed, and put it back.
 */

import { AllocError, HEADER_MAGIC, type Word } from '@shmalloc/allocator-api';
import { NO_TABLE } from '@shmalloc/thread-heap';
import { SEGMENTS_PER_CHUNK } from '../layout/geometry.ts';
import { FIXED_WORDS, Field } from '../layout/header.ts';
import { HEAP_WORDS } from '../layout/heap.ts';
import { notAllocated } from '../layout/lookup.ts';
import { Page } from '../layout/page.ts';
import { PAGE_SHIFT, rootWords, segmentAt, tableWords } from '../layout/page-map.ts';
import { isPresent } from '../region/memory.ts';
import { capacityOf } from '../segment/bounds.ts';
import { Segment } from '../segment/segment.ts';
import type { Guard } from '../thread/guard.ts';
import type { Tld } from '../thread/thread-view.ts';
import { mix } from './random.ts';

/** Words of a row of canaries. */
const FENCE_WORDS = 16;
const CANARY_SALT = 0x0ca9a71e;
const CHECKSUM_SALT = 0x5ea1;

function checksumOf(tld: Tld): number {
  const { i32, header } = tld;
  let sum = CHECKSUM_SALT;
  for (let word = 1; word < FIXED_WORDS; word++) sum = mix(i32[header + word], sum);
  // Never 0, which says that there is none.
  return sum | 1;
}

/** A row of canaries, and what it stands before or behind. */
type Fence = readonly [at: Word, words: number, name: string];

function fencesOf(tld: Tld): readonly Fence[] {
  const { i32, header } = tld;
  const threads = tld.firstSlot + tld.slots * HEAP_WORDS;
  const tables =
    i32[header + Field.homeTables] + i32[header + Field.homeCount] * tableWords(tld.slicesPerSegment);
  return [
    [header + Field.canary, 1, 'inside the header'],
    [header + Field.lastCanary, 1, 'behind the header'],
    [tld.emptyPage + FENCE_WORDS, FENCE_WORDS, 'before the thread table'],
    [threads, FENCE_WORDS, 'behind the thread table'],
    [tables, FENCE_WORDS, 'behind the tables'],
  ];
}

/** The guard of level 1, and what all levels have in common. */
export class SealedGuard implements Guard {
  readonly padding: number = 0;
  /** Of the heap, not of a page. */
  protected readonly secret: number;
  /** What was found where nothing could be reported: in the middle of something. */
  protected readonly pending: AllocError[];
  /** The header's words that never change, as they are. */
  private readonly fixed: Int32Array;

  /**
   * @param tld - attached, or about to make the region, which has no magic then
   * @throws AllocError `InvalidParam` when the header is damaged
   */
  constructor(tld: Tld) {
    const { i32, header } = tld;
    this.secret = i32[header + Field.secret];
    this.pending = [];
    this.fixed = new Int32Array(FIXED_WORDS);
    if (i32[header + Field.magic] === 0) return;
    this.remember(tld);
    if (i32[header + Field.checksum] !== checksumOf(tld)) {
      throw new AllocError(
        'InvalidParam',
        `cannot attach mimalloc at address ${header * 4}: its header was overwritten, the checksum is another`,
      );
    }
    for (const error of this.inspectHeader(tld, false)) throw error;
  }

  seal(tld: Tld): void {
    const { i32, header } = tld;
    i32[header + Field.checksum] = checksumOf(tld);
    for (const [at, words] of fencesOf(tld)) {
      for (let word = at; word < at + words; word++) i32[word] = this.canary(word);
    }
    this.remember(tld);
  }

  private remember(tld: Tld): void {
    for (let word = 0; word < FIXED_WORDS; word++) this.fixed[word] = tld.i32[tld.header + word];
    this.fixed[Field.magic] = HEADER_MAGIC;
  }

  private canary(word: Word): number {
    return mix(word ^ this.secret, CANARY_SALT);
  }

  /** Looks at everything that has a fixed place; `repair` puts back what can be known. */
  private inspectHeader(tld: Tld, repair: boolean): AllocError[] {
    const { i32, header } = tld;
    const errors: AllocError[] = [];
    const demand = (word: Word, expected: number, name: string): void => {
      if (i32[word] === expected) return;
      errors.push(damaged(tld, word, name, expected));
      if (repair) i32[word] = expected;
    };
    for (let word = 0; word < FIXED_WORDS; word++) demand(header + word, this.fixed[word], 'the header');
    // Everything below is found through those words.
    if (errors.length > 0 && !repair) return errors;
    demand(header + Field.checksum, checksumOf(tld), "the header's checksum");
    for (const [at, words, name] of fencesOf(tld)) {
      for (let word = at; word < at + words; word++) demand(word, this.canary(word), `the canary ${name}`);
    }
    for (let word = 0; word < FENCE_WORDS; word++) demand(tld.emptyPage + word, 0, 'the empty page');
    for (let chunk = 0; chunk < rootWords(tld.chunkShift); chunk++) {
      if (!leadsToTable(tld, chunk)) errors.push(damaged(tld, tld.root + chunk, 'the root of the page map'));
    }
    return errors;
  }

  initPage(_tld: Tld, _page: Word): void {}

  linkBlocks(tld: Tld, page: Word, first: Word, count: number): void {
    const { i32 } = tld;
    const size = i32[page + Page.blockWords];
    const last = first + (count - 1) * size;
    for (let block = first; block < last; block += size) i32[block] = block + size;
    i32[last] = 0;
    i32[page + Page.free] = first;
  }

  pop(tld: Tld, page: Word): Word {
    const { i32 } = tld;
    const block = i32[page + Page.free];
    // Pop before `USED++`, as everywhere.
    i32[page + Page.free] = i32[block];
    i32[page + Page.used]++;
    return block;
  }

  nextOf(tld: Tld, _page: Word, block: Word): Word {
    return tld.i32[block];
  }

  nextDelayed(tld: Tld, page: Word, block: Word): Word {
    return this.nextOf(tld, page, block);
  }

  linkOf(tld: Tld, _page: Word, block: Word): Word {
    return tld.i32[block];
  }

  setNext(tld: Tld, _page: Word, block: Word, next: Word): void {
    tld.i32[block] = next;
  }

  joinFree(tld: Tld, page: Word): void {
    const { i32 } = tld;
    const local = i32[page + Page.localFree];
    let tail = local;
    let left = capacityOf(tld, page);
    for (; left > 0 && i32[tail] !== 0; left--) tail = i32[tail];
    if (left === 0) {
      i32[page + Page.localFree] = 0;
      tld.damage(`local_free of the page at ${i32[page + Page.start] * 4} does not end`);
      return;
    }
    i32[tail] = i32[page + Page.free];
    i32[page + Page.free] = local;
    i32[page + Page.localFree] = 0;
  }

  sample(_tld: Tld, _size: number): number {
    return 0;
  }

  handOut(tld: Tld, _page: Word, _block: Word, _size: number): void {
    this.tell(tld);
  }

  handOutInside(_tld: Tld, _page: Word, _block: Word, _address: number, _size: number): void {}

  handOutZoned(_tld: Tld, _page: Word, block: Word, _size: number): Word {
    return block;
  }

  takeBack(_tld: Tld, _page: Word, _block: Word, _address: number, _operation: string): AllocError | null {
    return null;
  }

  resize(tld: Tld, page: Word, block: Word, address: number, size: number): boolean {
    return size <= tld.i32[page + Page.blockWords] * 4 - this.padding - (address - block * 4);
  }

  usable(tld: Tld, page: Word, block: Word, address: number): number {
    return tld.i32[page + Page.blockWords] * 4 - (address - block * 4);
  }

  refuse(_tld: Tld, operation: string, address: number): AllocError {
    return notAllocated(operation, address);
  }

  inspect(tld: Tld, repair: boolean): AllocError[] {
    const before = repair ? this.pending.splice(0) : [];
    return [...before, ...this.inspectHeader(tld, repair)];
  }

  tell(tld: Tld): void {
    // One after the other: the hook may use the heap, and so come here.
    for (let error = this.pending.shift(); error !== undefined; error = this.pending.shift())
      tld.report(error);
  }
}

/** Whether a root entry is one that `makeTable` has made: its table says which segments it describes. */
function leadsToTable(tld: Tld, chunk: number): boolean {
  const { i32, header, root, chunkShift } = tld;
  const entry = i32[root + chunk];
  if (entry === NO_TABLE) return true;
  const table = entry + ((chunk << (chunkShift - tld.sliceShift)) << PAGE_SHIFT);
  if ((table & 15) !== 0 || table <= 0 || table * 4 >= tld.memory.maxByteLength) return false;
  const words = tableWords(tld.slicesPerSegment);
  const index = chunk - i32[header + Field.homeFirst];
  if (index >= 0 && index < i32[header + Field.homeCount])
    return table === i32[header + Field.homeTables] + index * words;
  if (table + words > i32.length) return true; // memory that this thread has not seen yet
  // All others lie in memory that was added, and in no slice of it.
  const isInState = table < i32[header + Field.end] && table + words > header;
  if (isInState || isPresent(tld, table)) return false;
  const first = chunk << chunkShift;
  for (let segment = 0; segment < SEGMENTS_PER_CHUNK; segment++) {
    const base = first + (segment << tld.segmentShift);
    const found = i32[segmentAt(tld, base) + Segment.base];
    // 0 where no memory has come yet.
    if (found !== base && found !== 0) return false;
  }
  return true;
}

function damaged(tld: Tld, word: Word, name: string, expected?: number): AllocError {
  const should = expected === undefined ? '' : ` instead of ${hex(expected)}`;
  return new AllocError(
    'InvalidParam',
    `mimalloc at address ${tld.header * 4}: ${name} was overwritten at ${word * 4}: ${hex(tld.i32[word])}${should}`,
  );
}

function hex(word: number): string {
  return `0x${(word >>> 0).toString(16)}`;
}
