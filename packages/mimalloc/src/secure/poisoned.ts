/**
 * Level 4: writes into freed memory, and writes all around a few blocks.
 *
 * **Poison.** A free block of a shared page holds a pattern from its link to its end. The next thread to get
 * the block finds out whether it was written to meanwhile; so does a collection. A block with a page of its
 * own is not poisoned: its memory goes back with the free.
 *
 * **Zones.** One allocation in SAMPLE_RATE gets a block of whole OS pages:
 *
 * ```
 *  OS page                                                                 OS page
 *  ├ FRONT ┬ DE DE … ┬──────── what was asked for ────────┬ DE DE DE … DE ┬ ending ┤
 *          256 bytes └ the address that is handed out
 * ```
 *
 * They are looked at when the block is freed, by the thread that frees it, and on every `collect`, by the
 * thread that has the page. Which blocks have zones stands in the blocks alone, so that a free by another
 * thread has nothing to tell anybody: a collection walks over the pages in which there may be some. Another
 * thread may free a block while it is looked at: it first marks it, and then fills it with poison. What looks
 * like damage is therefore read again, and then the mark, before anything is reported.
 */

import { AllocError, type Word } from '@shmalloc/allocator-api';
import { BIN_HUGE } from '../layout/bins.ts';
import { OS_PAGE_BYTES, OS_PAGE_WORDS } from '../layout/geometry.ts';
import { Field } from '../layout/header.ts';
import { binOfPage, HAS_ALIGNED, hasFlag, Page, setFlag } from '../layout/page.ts';
import type { Tld } from '../thread/thread-view.ts';
import { damageOf, ENDING_BYTES, Ending, FREED, INSIDE, stateAt, writeLive } from './ending.ts';
import { damage, PaddedGuard, writtenAfterFree } from './padded.ts';

const POISON_BYTE = 0xdf;
const POISON_WORD: number = 0xdfdfdfdf | 0;
/** Bytes of the zone in front: what is handed out is aligned to that, too. */
const FRONT_BYTES = 256;

/** The guard of level 4. */
export class PoisonedGuard extends PaddedGuard {
  private readonly zone: Ending = new Ending();
  /** Blocks with damaged zones that were told about. */
  private readonly told: Set<number> = new Set();
  /** Allocations until the next one that is sampled; −1 before the first. */
  private countdown: number = -1;

  // ── Poison ──

  override linkBlocks(tld: Tld, page: Word, first: Word, count: number): void {
    super.linkBlocks(tld, page, first, count);
    const size = tld.i32[page + Page.blockWords];
    for (let index = 0; index < count; index++) poison(tld, page, first + index * size);
  }

  protected override bury(tld: Tld, page: Word, block: Word): boolean {
    if (!super.bury(tld, page, block)) return false;
    poison(tld, page, block);
    return true;
  }

  protected override checkFree(tld: Tld, page: Word, block: Word): AllocError | null {
    const at = poisonedUntil(tld, page, block);
    return at === 0 ? super.checkFree(tld, page, block) : writtenAfterFree(block, at, FREED);
  }

  protected override mend(tld: Tld, page: Word, block: Word): void {
    super.mend(tld, page, block);
    poison(tld, page, block);
  }

  // ── Zones ──

  override sample(tld: Tld, size: number): number {
    if (this.countdown > 1) {
      this.countdown--;
      return 0;
    }
    const rate = tld.i32[tld.header + Field.sampleRate];
    if (rate === 0) return 0;
    const isFirst = this.countdown < 0;
    // Once in `rate` allocations in the mean, at distances that no program's own rhythm can evade.
    this.countdown = 1 + this.words(tld).below(2 * rate - 1);
    if (isFirst && this.countdown > 1) {
      this.countdown--;
      return 0;
    }
    const bytes = Math.ceil((FRONT_BYTES + size + ENDING_BYTES) / OS_PAGE_BYTES) * OS_PAGE_BYTES;
    return bytes <= tld.mediumMax ? bytes : 0;
  }

  override handOutZoned(tld: Tld, page: Word, block: Word, size: number): Word {
    const address = block * 4 + FRONT_BYTES;
    setFlag(tld, page, HAS_ALIGNED);
    writeLive(tld, page, block, address, size, true);
    this.told.delete(block);
    this.tell(tld);
    return address >>> 2;
  }

  protected override inspectPage(tld: Tld, page: Word, repair: boolean, errors: AllocError[]): void {
    const { i32 } = tld;
    const size = i32[page + Page.blockWords];
    if (!hasFlag(tld, page, HAS_ALIGNED) || size % OS_PAGE_WORDS !== 0) return;
    const end = i32[page + Page.start] + i32[page + Page.capacity] * size;
    for (let block = i32[page + Page.start]; block < end; block += size) {
      const error = this.inspectZones(tld, page, block);
      if (error === null) continue;
      if (repair && this.told.has(block)) continue;
      if (repair) this.told.add(block);
      errors.push(error);
    }
  }

  private inspectZones(tld: Tld, page: Word, block: Word): AllocError | null {
    const { i32 } = tld;
    const { zone } = this;
    zone.read(tld, page, block);
    if (zone.state !== INSIDE || (!zone.zoned && zone.offset >= 0)) return null;
    let at = block * 4;
    if (zone.offset >= 0)
      at = zone.size < 0 ? stateAt(tld, page, block) * 4 + 4 : damageOf(tld, page, block, zone);
    if (at === 0) return null;
    // A thread that frees it marks it first.
    Atomics.load(i32, at >>> 2);
    if (Atomics.load(i32, stateAt(tld, page, block)) !== zone.word) return null;
    return new AllocError(
      'InvalidParam',
      `collect: ${damage(tld, page, block, zone)}, at ${at}; it is in the OS pages from ${block * 4} on`,
    );
  }
}

/** One past the last word of a block that is poisoned. */
function poisonEnd(tld: Tld, page: Word, block: Word): Word {
  return binOfPage(tld, page) === BIN_HUGE ? 0 : stateAt(tld, page, block);
}

function poison(tld: Tld, page: Word, block: Word): void {
  const end = poisonEnd(tld, page, block);
  if (block + 1 < end) tld.i32.fill(POISON_WORD, block + 1, end);
}

/** The first byte of a free block that is not poison; 0 when there is none. */
function poisonedUntil(tld: Tld, page: Word, block: Word): number {
  const { i32, u8 } = tld;
  const end = poisonEnd(tld, page, block);
  let word = block + 1;
  while (word < end && i32[word] === POISON_WORD) word++;
  if (word >= end) return 0;
  let at = word * 4;
  while (u8[at] === POISON_BYTE) at++;
  return at;
}
