/**
 * Level 2: free lists that cannot be read, in an order that cannot be guessed.
 *
 * ```
 *   link of a free block = rotl(next ⊕ KEY0, KEY1 mod 32) + KEY1          two keys of the page
 * ```
 *
 * A program that writes into a free block leaves something that leads to no block of the page, but for an
 * accident: a page has a few hundred blocks among 2^32 words. The list is then cut off: the block itself is
 * good, and what stood behind it is lost until the page is empty (LOST counts it), or without end if it was
 * on its way from another thread (USED counts it). New blocks are linked in random order, so that no program
 * knows which block follows its own.
 *
 * **What may cut.** Only the owner follows a page's lists, and cuts them. Nothing is reported then and there:
 * lists are followed in the middle of something, and the error hook may use the heap. What was found waits
 * until the allocation, or the collection, is done.
 */

import { AllocError, type Word } from '@shmalloc/allocator-api';
import { BIN_HUGE } from '../layout/bins.ts';
import { OS_PAGE_WORDS } from '../layout/geometry.ts';
import { pageOf } from '../layout/lookup.ts';
import { binOfPage, Page } from '../layout/page.ts';
import { chunkAt, segmentAt } from '../layout/page-map.ts';
import { forEachPage } from '../page/queue.ts';
import { forEachHeap, forEachPageIn } from '../region/walk.ts';
import { capacityOf } from '../segment/bounds.ts';
import { KIND_HUGE, KIND_HUGE_TAIL, Segment } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import { RandomWords } from './random.ts';
import { SealedGuard } from './sealed.ts';

/** What follows a free block when its link is broken: no word of a block is negative. */
const BROKEN = -1;

/** The smallest block has two words, so this many fit into an extension. */
const MOST_BLOCKS: number = OS_PAGE_WORDS / 2;

/** Whether a word is where a block of this page starts. */
export function isBlockOf(tld: Tld, page: Word, word: Word): boolean {
  const { i32 } = tld;
  const offset = word - i32[page + Page.start];
  if (offset < 0 || binOfPage(tld, page) === BIN_HUGE) return offset === 0;
  const size = i32[page + Page.blockWords];
  return offset % size === 0 && offset / size < i32[page + Page.capacity];
}

/** The page that any word at all lies in; 0 when it lies in none. */
export function pageAt(tld: Tld, word: Word): Word {
  if (word < 0 || word >= tld.i32.length) return 0;
  const page = pageOf(tld, word);
  return page + Page.key1 < tld.i32.length ? page : 0;
}

/**
 * The page of the huge block that a word lies in, wherever in it; 0 when it lies in none. The page map knows
 * only where such blocks start.
 */
export function hugePageAt(tld: Tld, word: Word): Word {
  const { i32 } = tld;
  if (word < 0 || word >= i32.length) return 0;
  for (let at = word; at >= 0 && chunkAt(tld, at >>> tld.chunkShift) !== 0; at -= 1 << tld.segmentShift) {
    const segment = segmentAt(tld, at);
    const kind = i32[segment + Segment.kind];
    if (kind === KIND_HUGE_TAIL) continue;
    let found = 0;
    if (kind === KIND_HUGE) forEachPageIn(tld, segment, (page) => (found = page));
    const start = found === 0 ? 0 : i32[found + Page.start];
    return word >= start && word < start + i32[found + Page.blockWords] ? found : 0;
  }
  return 0;
}

/** The guard of level 2. */
export class EncodedGuard extends SealedGuard {
  private random: RandomWords | null = null;
  private readonly order: Int32Array = new Int32Array(MOST_BLOCKS);

  /** This thread's random words: with the same seed, threads that attach in the same order have the same. */
  protected words(tld: Tld): RandomWords {
    this.random ??= new RandomWords(this.secret ^ Math.imul(tld.threadId, 0x9e3779b1));
    return this.random;
  }

  override initPage(tld: Tld, page: Word): void {
    const { i32 } = tld;
    const words = this.words(tld);
    i32[page + Page.key0] = words.next();
    i32[page + Page.key1] = words.next();
    i32[page + Page.lost] = 0;
  }

  override linkBlocks(tld: Tld, page: Word, first: Word, count: number): void {
    const { i32 } = tld;
    const { order } = this;
    const words = this.words(tld);
    const size = i32[page + Page.blockWords];
    for (let index = 0; index < count; index++) {
      const place = words.below(index + 1);
      order[index] = order[place];
      order[place] = first + index * size;
    }
    let next = 0;
    for (let index = 0; index < count; index++) {
      this.setNext(tld, page, order[index], next);
      next = order[index];
    }
    i32[page + Page.free] = next;
  }

  override setNext(tld: Tld, page: Word, block: Word, next: Word): void {
    const { i32 } = tld;
    const key = i32[page + Page.key1];
    const mixed = next ^ i32[page + Page.key0];
    i32[block] = ((mixed << (key & 31)) | (mixed >>> (-key & 31))) + key;
  }

  override linkOf(tld: Tld, page: Word, block: Word): Word {
    const { i32 } = tld;
    const key = i32[page + Page.key1];
    const mixed = i32[block] - key;
    return ((mixed >>> (key & 31)) | (mixed << (-key & 31))) ^ i32[page + Page.key0];
  }

  /** The block behind a free one, or BROKEN. */
  private follow(tld: Tld, page: Word, block: Word): Word {
    const next = this.linkOf(tld, page, block);
    return next === 0 || isBlockOf(tld, page, next) ? next : BROKEN;
  }

  override nextOf(tld: Tld, page: Word, block: Word): Word {
    const next = this.follow(tld, page, block);
    if (next !== BROKEN) return next;
    this.pending.push(this.cut(tld, page, block));
    return 0;
  }

  override nextDelayed(tld: Tld, page: Word, block: Word): Word {
    const next = this.linkOf(tld, page, block);
    if (next === 0) return 0;
    const other = pageAt(tld, next);
    if (other !== 0 && isBlockOf(tld, other, next)) return next;
    this.pending.push(this.cut(tld, page, block));
    return 0;
  }

  /** Lets a list end with this block, whose link is broken. */
  private cut(tld: Tld, page: Word, block: Word): AllocError {
    const error = brokenList(tld, page, block, this.linkOf(tld, page, block));
    this.setNext(tld, page, block, 0);
    return error;
  }

  override pop(tld: Tld, page: Word): Word {
    const { i32 } = tld;
    const block = i32[page + Page.free];
    if (!isBlockOf(tld, page, block)) {
      i32[page + Page.free] = 0;
      this.countLost(tld, page);
      this.pending.push(brokenHead(tld, page, block));
      return 0;
    }
    const next = this.follow(tld, page, block);
    i32[page + Page.free] = next === BROKEN ? 0 : next;
    i32[page + Page.used]++;
    if (next === BROKEN) {
      this.pending.push(this.cut(tld, page, block));
      this.countLost(tld, page);
    }
    return block;
  }

  /** What is neither in use nor in a list any more. */
  protected countLost(tld: Tld, page: Word): void {
    const { i32 } = tld;
    const found = this.lengthOf(tld, page, Page.free) + this.lengthOf(tld, page, Page.localFree);
    const lost = i32[page + Page.capacity] - i32[page + Page.used] - found;
    i32[page + Page.lost] = Math.max(0, lost);
  }

  private lengthOf(tld: Tld, page: Word, field: number): number {
    const capacity = capacityOf(tld, page);
    let length = 0;
    let block = tld.i32[page + field];
    for (; block > 0 && length < capacity; block = this.follow(tld, page, block)) length++;
    return length;
  }

  override joinFree(tld: Tld, page: Word): void {
    const { i32 } = tld;
    const local = i32[page + Page.localFree];
    const capacity = capacityOf(tld, page);
    if (!isBlockOf(tld, page, local)) {
      i32[page + Page.localFree] = 0;
      tld.damage(
        `local_free of the page at ${startOf(tld, page)} leads to ${local * 4}, which is no block of it`,
      );
      this.countLost(tld, page);
      return;
    }
    let tail = local;
    let count = 1;
    let next = this.follow(tld, page, tail);
    for (; next > 0 && count <= capacity; next = this.follow(tld, page, tail)) {
      tail = next;
      count++;
    }
    // In a circle, after a block was freed twice, which is not found at this level: what hangs on to it is
    // lost.
    if (count > capacity) {
      this.pending.push(
        new AllocError('DoubleFree', `free: a block of the page at ${startOf(tld, page)} was freed twice`),
      );
    } else {
      if (next === BROKEN) this.pending.push(this.cut(tld, page, tail));
      this.setNext(tld, page, tail, i32[page + Page.free]);
      i32[page + Page.free] = local;
    }
    i32[page + Page.localFree] = 0;
    if (next !== 0) this.countLost(tld, page);
  }

  override inspect(tld: Tld, repair: boolean): AllocError[] {
    const errors = super.inspect(tld, repair);
    forEachHeap(tld, (heap) => {
      forEachPage(tld, heap, (page) => {
        this.inspectList(tld, page, Page.free, repair, errors);
        this.inspectList(tld, page, Page.localFree, repair, errors);
        this.inspectPage(tld, page, repair, errors);
      });
    });
    return errors;
  }

  private inspectList(tld: Tld, page: Word, field: number, repair: boolean, errors: AllocError[]): void {
    let left = capacityOf(tld, page);
    for (let block = tld.i32[page + field]; block !== 0 && left > 0; left--) {
      if (!isBlockOf(tld, page, block)) {
        errors.push(brokenHead(tld, page, block));
        if (!repair) return;
        tld.i32[page + field] = 0;
        this.countLost(tld, page);
        return;
      }
      const next = this.follow(tld, page, block);
      this.inspectFree(tld, page, block, repair, errors);
      if (next !== BROKEN) {
        block = next;
        continue;
      }
      if (!repair) errors.push(brokenList(tld, page, block, this.linkOf(tld, page, block)));
      else {
        errors.push(this.cut(tld, page, block));
        this.countLost(tld, page);
      }
      return;
    }
  }

  /** Looks at a free block. */
  protected inspectFree(
    _tld: Tld,
    _page: Word,
    _block: Word,
    _repair: boolean,
    _errors: AllocError[],
  ): void {}

  /** Looks at the blocks of a page that are in use. */
  protected inspectPage(_tld: Tld, _page: Word, _repair: boolean, _errors: AllocError[]): void {}
}

function startOf(tld: Tld, page: Word): number {
  return tld.i32[page + Page.start] * 4;
}

function brokenHead(tld: Tld, page: Word, block: Word): AllocError {
  return new AllocError(
    'Corrupted',
    `a free list is broken: it starts with ${block * 4}, which is no block of the page at ${startOf(tld, page)}; what it had is lost`,
  );
}

function brokenList(tld: Tld, page: Word, block: Word, link: Word): AllocError {
  const where = link >= 0 ? `${link * 4}` : 'nowhere';
  return new AllocError(
    'InvalidParam',
    `a free list is broken: the link in the free block at ${block * 4} was overwritten and leads to ${where}, ` +
      `which is no block of the page at ${startOf(tld, page)}; what stood behind it is lost`,
  );
}
