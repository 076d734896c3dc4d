/**
 * Visiting the blocks that are in use: what is on none of its page's lists (`free-map.ts`), of this thread's
 * heaps, of one of them, or of threads that have gone.
 */

import { type Address, type BlockVisitor, checkInteger, type Word } from '@shmalloc/allocator-api';
import { letGo, takeOver } from '../exit/take-over.ts';
import { collectAllDelayed } from '../foreign/delayed.ts';
import { forEachHuge, forEachHugeOf, hugeBlock, isHuge, threadOf } from '../huge/huge-block.ts';
import { Heap } from '../layout/heap.ts';
import { blockAt, livePage, pageOf } from '../layout/lookup.ts';
import { ownerOf, Page } from '../layout/page.ts';
import { Chunk } from '../layout/page-map.ts';
import { freeMap } from '../page/free-map.ts';
import { isGuest } from '../page/guests.ts';
import { forEachPage } from '../page/queue.ts';
import { usableAt } from '../page/usable.ts';
import { namesOf } from '../region/thread-table.ts';
import { forEachHeap, forEachPageIn } from '../region/walk.ts';
import { findSegment } from '../segment/arena.ts';
import { ABANDONED_SEGMENT } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import { visitOthers } from './visit-others.ts';

/** The live blocks of a page of this thread, or of a huge block's page. */
function liveBlocks(tld: Tld, page: Word): Word[] {
  const { i32 } = tld;
  // Nothing tells of a free but the name of the segment.
  if (isHuge(tld, page)) return [hugeBlock(tld, page)].filter((block) => block !== 0);
  const start = i32[page + Page.start];
  const size = i32[page + Page.blockWords];
  const blocks: Word[] = [];
  freeMap(tld, page).forEach((free, index) => {
    if (free === 0) blocks.push(start + index * size);
  });
  return blocks;
}

/**
 * The address that the program got for a live block: where the block starts, unless it was handed out by an
 * address inside it, which secure mode knows.
 */
function handedOut(tld: Tld, block: Word, bytes: number): Address {
  const start = block * 4;
  if (tld.guard === null) return start;
  // No block leaves the memory, whatever BLOCK_WORDS says.
  const end = Math.min(bytes, tld.i32.length * 4 - start);
  for (let offset = 0; offset < end; offset += 8)
    if (usableAt(tld, start + offset) >= 0) return start + offset;
  return start;
}

/** The pages of a heap, or of all heaps of this thread. */
function pagesOf(tld: Tld, heap: Word | null): Word[] {
  const pages: Word[] = [];
  const collect = (each: Word): void => {
    forEachPage(tld, each, (page) => pages.push(page));
    forEachHugeOf(tld, each, (page) => pages.push(page));
  };
  if (heap === null) forEachHeap(tld, collect);
  else collect(heap);
  return pages;
}

/**
 * Calls back for each live block of this thread's heaps, or of one. Each page is looked at before the first
 * of its blocks is told, so the visitor may allocate and free.
 * @param heap - null for all
 * @returns false when the visitor has had enough
 */
export function visitLive(tld: Tld, heap: Word | null, visitor: BlockVisitor): boolean {
  // What others have freed into full pages is on no list of a page.
  collectAllDelayed(tld);
  for (const page of pagesOf(tld, heap)) {
    // The visitor may have made the memory grow.
    const { i32 } = tld;
    // The visitor may have freed its last block.
    if (i32[page + Page.blockWords] === 0 || threadOf(tld, page) !== tld.threadId) continue;
    const bytes = i32[page + Page.blockWords] * 4;
    const tag = i32[i32[page + Page.xheap] + Heap.tag];
    for (const block of liveBlocks(tld, page)) {
      const guest = isGuest(tld, page, block);
      if (guest && heap !== null) continue;
      const address = handedOut(tld, block, bytes);
      if (visitor(address, usableAt(tld, address), guest ? 0 : tag, tld.threadId) === false) return false;
    }
  }
  return true;
}

/**
 * Calls back for each live block that no thread has: of threads that have detached, or were reaped. Segment
 * by segment, each taken over for that long, so that no thread adopts it meanwhile; then the huge blocks,
 * which any thread may free meanwhile. What the visitor frees is gone afterwards.
 * @returns false when the visitor has had enough
 */
export function visitLeft(tld: Tld, visitor: BlockVisitor): boolean {
  collectAllDelayed(tld);
  return visitAdoptable(tld, visitor) && visitHugeOf(tld, 0, visitor);
}

/** The huge blocks of one thread, 0 for those of threads that have gone. */
function visitHugeOf(tld: Tld, name: number, visitor: BlockVisitor): boolean {
  const pages: Word[] = [];
  forEachHuge(tld, (page) => {
    if (threadOf(tld, page) === name) pages.push(page);
  });
  return pages.every((page) => {
    // Freed since, and perhaps another's.
    if (tld.i32[page + Page.blockWords] === 0 || threadOf(tld, page) !== name) return true;
    const bytes = tld.i32[page + Page.blockWords] * 4;
    const tag = name === 0 ? 0 : (tld.i32[tld.i32[page + Page.xheap] + Heap.tag] ?? 0);
    return liveBlocks(tld, page).every((block) => {
      const address = handedOut(tld, block, bytes);
      return visitor(address, usableAt(tld, address), tag, name) !== false;
    });
  });
}

/**
 * Calls back for each live block of all threads, or of one: this thread's, then those that no thread has,
 * then those of others.
 * @param name - of the thread; 0 for blocks of no thread, undefined for all
 * @returns false when the visitor has had enough
 */
export function visitAll(tld: Tld, name: number | undefined, visitor: BlockVisitor): boolean {
  const wants = (other: number): boolean => name === undefined || name === other;
  if (wants(tld.threadId) && !visitLive(tld, null, visitor)) return false;
  if (wants(0) && !visitLeft(tld, visitor)) return false;
  if (name === 0 || name === tld.threadId) return true;
  const show = (block: Word, bytes: number, tag: number, owner: number): boolean => {
    const address = handedOut(tld, block, bytes);
    return visitor(address, usableAt(tld, address), tag, owner) !== false;
  };
  if (!visitOthers(tld, name ?? 0, show)) return false;
  return namesOf(tld).every(
    (other) => other === tld.threadId || !wants(other) || visitHugeOf(tld, other, visitor),
  );
}

function visitAdoptable(tld: Tld, visitor: BlockVisitor): boolean {
  return (
    findSegment(tld, Chunk.abandoned, (segment) => {
      if (!takeOver(tld, segment, ABANDONED_SEGMENT)) return false;
      const pages: Word[] = [];
      forEachPageIn(tld, segment, (page) => pages.push(page));
      try {
        return pages.some((page) => {
          const bytes = tld.i32[page + Page.blockWords] * 4;
          return liveBlocks(tld, page).some((block) => {
            const address = handedOut(tld, block, bytes);
            return visitor(address, usableAt(tld, address), 0, 0) === false;
          });
        });
      } finally {
        letGo(tld, segment);
      }
    }) === 0
  );
}

/** Whether `free` would free something at this address. */
export function isLive(tld: Tld, address: Address): boolean {
  checkInteger('address', address);
  let page = livePage(tld, address);
  if (page === 0) return false;
  if (usableAt(tld, address) < 0) return false;
  if (isHuge(tld, page)) return hugeBlock(tld, page) !== 0;
  if (ownerOf(tld, page) === tld.threadId) {
    // What others have freed into a full page is on no list of it; gathering it may be the end of the page.
    collectAllDelayed(tld);
    page = livePage(tld, address);
    if (page === 0) return false;
  }
  const { i32 } = tld;
  const block = blockAt(tld, page, address >>> 2);
  return freeMap(tld, page)[(block - i32[page + Page.start]) / i32[page + Page.blockWords]] === 0;
}

/** Whether an address lies in a page of this thread. */
export function isOwned(tld: Tld, address: Address): boolean {
  if (checkInteger('address', address) >>> 0 !== address) return false;
  tld.refresh();
  const page = pageOf(tld, address >>> 2);
  return page !== 0 && threadOf(tld, page) === tld.threadId;
}
