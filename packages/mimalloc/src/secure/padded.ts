/**
 * Level 3: every free is looked at. The end of each block says whether it is in use and how many bytes were
 * asked for (see `ending.ts`), so
 *
 * - a block that is freed twice, was never handed out, or is meant by an address inside it, is refused:
 *   nothing changes;
 * - one that was written past its end, by as little as a byte, is reported, and freed all the same: where it
 *   ends is known;
 * - one of which both words are gone could be either. Its owner looks for it in the lists, where it is if it
 *   is free, and frees it if it is in none. Another thread cannot look there, and leaves it: it is lost.
 *
 * What no mark can tell: a block that was freed, and handed out again since, is a block in use for a late
 * free. And a block with a page of its own is gone when it is freed: a second free finds no page there, or
 * another thread's block.
 *
 * **Several threads.** A block's marks belong to the thread that has the block: they are plain words, written
 * before the block is given away (the push onto a list publishes them), and read after it has come. Only when
 * two threads free the same block at the same moment do they meet, and STATE is exchanged, so one of them is
 * told that it was freed twice. What a program writes into a block while another thread frees it may be
 * reported as damage, or not.
 */

import { AllocError, type Word } from '@shmalloc/allocator-api';
import { hugeBlock, isHuge } from '../huge/huge-block.ts';
import { Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import { freedTwice, notAllocated } from '../layout/lookup.ts';
import { DELAYED, HAS_ALIGNED, hasFlag, IN_FULL, ownerOf, Page } from '../layout/page.ts';
import { capacityOf, isRecord, mostPages } from '../segment/bounds.ts';
import type { Tld } from '../thread/thread-view.ts';
import { EncodedGuard, hugePageAt, isBlockOf, pageAt } from './encoded.ts';
import {
  damageOf,
  ENDING_BYTES,
  Ending,
  exchangeFreed,
  FREED,
  FRESH,
  LIVE,
  offsetByFront,
  stateAt,
  stateIn,
  UNKNOWN,
  writeFree,
  writeLive,
} from './ending.ts';

/** The guard of level 3. */
export class PaddedGuard extends EncodedGuard {
  override readonly padding: number = ENDING_BYTES;
  private readonly ending: Ending = new Ending();

  // ── Handing out ──

  override linkBlocks(tld: Tld, page: Word, first: Word, count: number): void {
    super.linkBlocks(tld, page, first, count);
    const size = tld.i32[page + Page.blockWords];
    for (let index = 0; index < count; index++) writeFree(tld, page, first + index * size, FRESH);
  }

  override pop(tld: Tld, page: Word): Word {
    const block = tld.i32[page + Page.free];
    if (!isBlockOf(tld, page, block)) return super.pop(tld, page);
    if (stateIn(tld, page, block) < LIVE) {
      const error = this.checkFree(tld, page, block);
      if (error !== null) this.pending.push(error);
      return super.pop(tld, page);
    }
    // A link that was overwritten with one that leads to a block: that one is in use.
    this.pending.push(
      new AllocError('InvalidParam', `a free list is broken: it leads to the block in use at ${block * 4}`),
    );
    tld.i32[page + Page.free] = 0;
    this.countLost(tld, page);
    return 0;
  }

  override handOut(tld: Tld, page: Word, block: Word, size: number): void {
    writeLive(tld, page, block, block * 4, size, false);
    this.tell(tld);
  }

  override handOutInside(tld: Tld, page: Word, block: Word, address: number, size: number): void {
    writeLive(tld, page, block, address, size, false);
  }

  // ── Taking back ──

  override takeBack(
    tld: Tld,
    page: Word,
    block: Word,
    address: number,
    operation: string,
  ): AllocError | null {
    const { ending } = this;
    const owner = ownerNow(tld, page);
    ending.read(tld, page, block);
    if (
      ending.intact &&
      ending.state >= LIVE &&
      ending.offset === address - block * 4 &&
      damageOf(tld, page, block, ending) === 0
    )
      return this.bury(tld, page, block) ? null : freedTwice(operation, address);
    if (owner === 0 || ownerNow(tld, page) !== owner) return notAllocated(operation, address);
    return this.judge(tld, page, block, address, operation);
  }

  /** Marks the block that was read last as freed; false when another thread was quicker. */
  protected bury(tld: Tld, page: Word, block: Word): boolean {
    const shared = tld.i32[tld.header + Field.shared] !== 0;
    return exchangeFreed(tld, page, block, this.ending.word, shared);
  }

  /** The same as `takeBack` for a block that is not as it should be. */
  private judge(tld: Tld, page: Word, block: Word, address: number, operation: string): AllocError | null {
    const { ending } = this;
    const { state } = ending;
    if (state === FREED) return freedTwice(operation, address);
    if (state === FRESH) return neverHandedOut(operation, address);
    if (state === UNKNOWN) ending.offset = offsetByFront(tld, page, block);
    // The word in front of an address inside the block is gone: only the check byte knows it.
    if (ending.offset < 0) ending.resolve(tld, page, block, address - block * 4);
    if (ending.offset !== address - block * 4) return insideOf(operation, address, block, ending);
    if (state === UNKNOWN && !this.isNowhere(tld, page, block)) {
      return new AllocError(
        'NotAllocated',
        `${operation}(${address}): the end of the block was overwritten; nothing tells whether it is in use, so it is left as it is`,
      );
    }
    const error = new AllocError(
      'InvalidParam',
      `${operation}(${address}): ${damage(tld, page, block, ending)}`,
    );
    if (!this.bury(tld, page, block)) return freedTwice(operation, address);
    this.pending.push(error);
    return null;
  }

  /**
   * Whether a block is in none of its page's lists, and so in use: only the owner can tell, and only if no
   * list was cut; or anybody of a huge block.
   */
  private isNowhere(tld: Tld, page: Word, block: Word): boolean {
    const { i32 } = tld;
    if (isHuge(tld, page)) return hugeBlock(tld, page) !== 0;
    if (ownerOf(tld, page) !== tld.threadId || i32[page + Page.lost] !== 0) return false;
    // A list that others push on is stable behind its first block: only the owner takes.
    const pushed = Atomics.load(i32, page + Page.xthreadFree) & ~DELAYED;
    const heap = i32[page + Page.xheap];
    if (!isRecord(tld, heap)) return false;
    const delayed = Atomics.load(i32, heap + Heap.delayedFree);
    return (
      this.isMissing(tld, page, block, i32[page + Page.free]) &&
      this.isMissing(tld, page, block, i32[page + Page.localFree]) &&
      this.isMissing(tld, page, block, pushed) &&
      this.isMissingDelayed(tld, block, delayed)
    );
  }

  private isMissing(tld: Tld, page: Word, block: Word, first: Word): boolean {
    let left = capacityOf(tld, page);
    for (let at = first; at !== 0; at = this.linkOf(tld, page, at)) {
      if (at === block || left-- === 0 || !isBlockOf(tld, page, at)) return false;
    }
    return true;
  }

  private isMissingDelayed(tld: Tld, block: Word, first: Word): boolean {
    // Each page is marked once until its owner looks, which takes the whole list then; the rest are frees
    // that came late.
    let left = 4 * mostPages(tld);
    for (let at = first; at !== 0; ) {
      const page = pageAt(tld, at);
      if (at === block || left-- === 0 || page === 0 || !isBlockOf(tld, page, at)) return false;
      at = this.linkOf(tld, page, at);
    }
    return true;
  }

  // ── Looking ──

  override resize(tld: Tld, page: Word, block: Word, address: number, size: number): boolean {
    const { ending } = this;
    ending.read(tld, page, block);
    // What is damaged moves: the free of the old block tells.
    if (!ending.intact || ending.state < LIVE || ending.zoned || damageOf(tld, page, block, ending) !== 0)
      return false;
    if (!super.resize(tld, page, block, address, size)) return false;
    writeLive(tld, page, block, address, size, false);
    return true;
  }

  override usable(tld: Tld, page: Word, block: Word, address: number): number {
    const { ending } = this;
    ending.read(tld, page, block);
    const offset = address - block * 4;
    if (ending.state === FREED || ending.state === FRESH) return -1;
    if (ending.offset >= 0 && ending.state !== UNKNOWN && ending.offset !== offset) return -1;
    if (ending.size >= 0) return ending.size;
    // Overwritten: the thread that frees the block is told. Until then it is as large as it can be.
    return Math.max(-1, tld.i32[page + Page.blockWords] * 4 - ENDING_BYTES - offset);
  }

  override refuse(tld: Tld, operation: string, address: number): AllocError {
    const word = address >>> 0 === address ? address >>> 2 : -1;
    const page = pageAt(tld, word) || hugePageAt(tld, word);
    // Whatever a table leads to that was written over: a page lies in the memory.
    if (!(page > 0 && page + Page.key1 < tld.i32.length)) return notAllocated(operation, address);
    const owner = ownerNow(tld, page);
    const error = this.refuseIn(tld, page, word, operation, address);
    return owner !== 0 && ownerNow(tld, page) === owner ? error : notAllocated(operation, address);
  }

  private refuseIn(tld: Tld, page: Word, word: Word, operation: string, address: number): AllocError {
    const { i32 } = tld;
    const size = i32[page + Page.blockWords];
    const start = i32[page + Page.start];
    const index = Math.floor((word - start) / size);
    if (!(index >= 0 && index < i32[page + Page.capacity])) return neverHandedOut(operation, address);
    const block = start + index * size;
    const { ending } = this;
    ending.read(tld, page, block);
    if (ending.state === FRESH) return neverHandedOut(operation, address);
    if (ending.state >= LIVE) return insideOf(operation, address, block, ending);
    if (address === block * 4 || hasFlag(tld, page, HAS_ALIGNED)) return freedTwice(operation, address);
    return new AllocError('NotAllocated', `${operation}(${address}): inside the free block at ${block * 4}`);
  }

  /** What is wrong with a block that should not be in use. */
  protected checkFree(tld: Tld, page: Word, block: Word): AllocError | null {
    const { ending } = this;
    ending.read(tld, page, block);
    if (ending.intact && ending.state < LIVE) return null;
    const at = stateAt(tld, page, block) + (ending.word === ending.expected ? 1 : 0);
    return writtenAfterFree(block, at * 4, ending.state);
  }

  protected override inspectFree(
    tld: Tld,
    page: Word,
    block: Word,
    repair: boolean,
    errors: AllocError[],
  ): void {
    const error = this.checkFree(tld, page, block);
    if (error === null) return;
    errors.push(error);
    if (repair) this.mend(tld, page, block);
  }

  /** Makes a free block what it should be. */
  protected mend(tld: Tld, page: Word, block: Word): void {
    writeFree(tld, page, block, FREED);
  }
}

/**
 * The owner of a page at this moment, with the flags that stay while it is one; 0 when it is none any more. A
 * page is cleared by this word first, so when it is the same before and after, what was read of the page and
 * its blocks in between was one page's.
 */
function ownerNow(tld: Tld, page: Word): number {
  return Atomics.load(tld.i32, page + Page.xthreadId) & ~IN_FULL;
}

/** A sentence about a live block that was written outside of what was asked for. */
export function damage(tld: Tld, page: Word, block: Word, ending: Ending): string {
  if (ending.offset < 0) return 'the block was written far in front of its start';
  const address = block * 4 + ending.offset;
  const end = (block + tld.i32[page + Page.blockWords]) * 4;
  if (ending.size < 0) {
    const last = end - ENDING_BYTES - address;
    return ending.state === UNKNOWN
      ? `the block was written past its end at byte ${last} or before`
      : `the last bytes of the block were overwritten: probably by a write in front of what starts at ${end}`;
  }
  const at = damageOf(tld, page, block, ending);
  const what = `the block of ${ending.size} bytes was written`;
  if (at === 0) return `${what} in front of its start, at byte -${ending.offset}`;
  if (at < address) return `${what} in front of its start, at byte ${at - address}`;
  return `${what} past its end at byte ${at - address}`;
}

export function writtenAfterFree(block: Word, at: number, state: number): AllocError {
  const when = state === FRESH ? 'before it was handed out' : 'after it was freed';
  return new AllocError(
    'InvalidParam',
    `malloc: the free block at ${block * 4} was written to ${when}, at ${at}`,
  );
}

function neverHandedOut(operation: string, address: number): AllocError {
  return new AllocError('NotAllocated', `${operation}(${address}): never handed out`);
}

function insideOf(operation: string, address: number, block: Word, { offset, size }: Ending): AllocError {
  const start = block * 4 + Math.max(offset, 0);
  const bytes = size < 0 ? '' : ` of ${size} bytes`;
  const where = address < start ? 'in front of' : 'inside';
  return new AllocError('NotAllocated', `${operation}(${address}): ${where} the block at ${start}${bytes}`);
}
