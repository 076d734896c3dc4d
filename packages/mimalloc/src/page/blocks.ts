/**
 * The blocks of a page: linking new ones, and gathering freed ones.
 *
 * ```
 *            extendPage                collectPage                 collectThreadFree
 *   room ──────────────▶ FREE ◀──────────────────── LOCAL_FREE ◀──────────────────── XTHREAD_FREE
 *   beyond CAPACITY        │ malloc                    ▲ free, by the owner             ▲ free, by others
 *                          └──────▶ live blocks ───────┴───────────────────────────────┘
 * ```
 *
 * Three lists instead of one ("free-list sharding"): `malloc` never meets a block that was freed a moment
 * ago, so it comes to the generic path at least once a page's worth of allocations, whatever the program
 * does; and only one of the lists needs atomic operations.
 */

import type { Word } from '@shmalloc/allocator-api';
import { gatherRemoteFrees } from '@shmalloc/thread-heap';
import { OS_PAGE_WORDS } from '../layout/geometry.ts';
import { DELAYED, Page } from '../layout/page.ts';
import { capacityOf } from '../segment/bounds.ts';
import { commit } from '../segment/segment.ts';
import type { Tld } from '../thread/thread-view.ts';
import { dropGuests } from './guests.ts';

/** The block behind a free block. */
export function nextOf(tld: Tld, page: Word, block: Word): Word {
  return tld.guard === null ? tld.i32[block] : tld.guard.nextOf(tld, page, block);
}

/** The same on a list over many pages, which is that of a heap's delayed frees. */
export function nextDelayed(tld: Tld, page: Word, block: Word): Word {
  return tld.guard === null ? tld.i32[block] : tld.guard.nextDelayed(tld, page, block);
}

/** The link of a free block as it is, for a look from outside. */
export function linkOf(tld: Tld, page: Word, block: Word): Word {
  return tld.guard === null ? tld.i32[block] : tld.guard.linkOf(tld, page, block);
}

export function setNext(tld: Tld, page: Word, block: Word, next: Word): void {
  if (tld.guard === null) tld.i32[block] = next;
  else tld.guard.setNext(tld, page, block, next);
}

/**
 * Links more blocks, 4 KiB of them or one. The free list must be empty.
 * @returns false when there is no memory behind them
 */
export function extendPage(tld: Tld, page: Word): boolean {
  const { i32 } = tld;
  const size = i32[page + Page.blockWords];
  const capacity = i32[page + Page.capacity];
  const room = i32[page + Page.reserved] - capacity;
  const step = size >= OS_PAGE_WORDS ? 1 : (OS_PAGE_WORDS / size) | 0;
  const count = Math.min(step, room);
  const first = i32[page + Page.start] + capacity * size;
  // A damaged descriptor: a block has two words at least, and new ones lie where there is room.
  if (!(count > 0 && size > 1 && first > 0 && first + count * size <= i32.length)) {
    tld.damage(
      `the page at ${i32[page + Page.start] * 4} is to link ${count} blocks of ${size * 4} bytes at ${first * 4}`,
    );
    return false;
  }
  if (!commit(tld, first, first + count * size)) return false;
  if (tld.guard !== null) tld.guard.linkBlocks(tld, page, first, count);
  else {
    const last = first + (count - 1) * size;
    for (let block = first; block < last; block += size) i32[block] = block + size;
    i32[last] = 0;
    i32[page + Page.free] = first;
  }
  // After FREE: a thread that ends in between leaves a list of blocks beyond the capacity, which its heir
  // sees and drops. The other order would lose the whole extension.
  i32[page + Page.capacity] = capacity + count;
  return true;
}

/**
 * Makes what was freed available: takes what other threads have freed, and the owner's own list.
 * @param force - whether to join the owner's list to a free list that is not empty
 */
export function collectPage(tld: Tld, page: Word, force: boolean): void {
  const { i32 } = tld;
  // A plain look first. It may be late by a push; then the blocks wait for the next collection.
  if ((i32[page + Page.xthreadFree] & ~DELAYED) !== 0) collectThreadFree(tld, page);
  const local = i32[page + Page.localFree];
  if (local === 0) return;
  if (i32[page + Page.free] === 0) {
    // FREE first: a thread that ends in between leaves the same list twice, which its heir sees; it would
    // lose the list the other way.
    i32[page + Page.free] = local;
    i32[page + Page.localFree] = 0;
    if (tld.guests !== null) dropGuests(tld, page, local);
  } else if (force) joinFree(tld, page, local);
}

/** Puts what the owner has freed in front of a free list that is not empty. */
function joinFree(tld: Tld, page: Word, local: Word): void {
  if (tld.guard !== null) {
    tld.guard.joinFree(tld, page);
    return;
  }
  const { i32 } = tld;
  let left = capacityOf(tld, page);
  let tail = local;
  for (let next = i32[tail]; next !== 0 && left > 0; next = i32[tail], left--) tail = next;
  if (left === 0) {
    // In a circle, or out of the page: a block was freed twice, or written to after its free. The list is
    // lost, and nothing else.
    i32[page + Page.localFree] = 0;
    tld.damage(`local_free of the page at ${i32[page + Page.start] * 4} does not end`);
    return;
  }
  if (tld.guests !== null) dropGuests(tld, page, local);
  i32[tail] = i32[page + Page.free];
  i32[page + Page.free] = local;
  i32[page + Page.localFree] = 0;
}

/** Moves the blocks that other threads have freed to the owner's list. */
function collectThreadFree(tld: Tld, page: Word): void {
  const remote = page + Page.xthreadFree;
  const own = page + Page.localFree;
  const count = gatherRemoteFrees(tld, page, remote, own, capacityOf(tld, page), nextOf, setNext);
  if (count < 0) dropThreadFree(tld, page);
  else tld.i32[page + Page.used] -= count;
}

/** A list in a circle: the program freed a block twice. Its blocks are lost, and nothing else. */
function dropThreadFree(tld: Tld, page: Word): void {
  tld.crossings.takeAllMarked(page + Page.xthreadFree);
  tld.noteLostList(tld.i32[page + Page.start] * 4);
}
