/**
 * Freeing off the fast path: wrong addresses, full pages, interior pointers, blocks of other threads, secure
 * mode.
 *
 * ```
 *   free ──▶ page map ──▶ own page, no flags ──▶ local_free               the fast path, in core-thread.ts
 *                │
 *                ▼
 *   freeGeneric: what is no address · no page there · un-align · secure mode
 *        │ own                         │ another thread's                        │ huge
 *        ▼                             ▼                                         ▼
 *   freeLocal: local_free, USED−−      freeForeign: one exchange onto            freeHuge: its segments
 *     full: back into its queue          XTHREAD_FREE, or onto the heap's          are free at once, see
 *     empty: retire                      list when DELAYED says so                 huge-block.ts
 * ```
 */

import { type AllocError, checkInteger, type Word } from '@shmalloc/allocator-api';
import { reclaim } from '../exit/reclaim.ts';
import { collectHeap } from '../foreign/collect.ts';
import { freeForeign, freeLocal } from '../foreign/foreign.ts';
import { freeHuge, isHuge } from '../huge/huge-block.ts';
import { Field } from '../layout/header.ts';
import { Heap } from '../layout/heap.ts';
import { blockAt, freedTwice, livePage } from '../layout/lookup.ts';
import { ownerOf, Page } from '../layout/page.ts';
import { segmentAt } from '../layout/page-map.ts';
import { refusal } from '../region/secure-mode.ts';
import { forEachHeap } from '../region/walk.ts';
import { isSegment } from '../segment/bounds.ts';
import type { Guard } from '../thread/guard.ts';
import type { Tld } from '../thread/thread-view.ts';

/**
 * Frees whatever an address turns out to be, or says why not.
 * @param address - what the program gave: an address, or a view of the block
 * @param operation - the public name of what it asked, for the message
 * @returns null when there is nothing to report
 * @throws TypeError or RangeError when it is no address
 */
export function freeGeneric(
  tld: Tld,
  address: number | ArrayBufferView,
  operation: string,
): AllocError | null {
  const at = typeof address === 'object' ? tld.addressOf(address) : checkInteger('address', address);
  return at === 0 ? null : freeChecked(tld, at, operation);
}

/**
 * Frees a block, or says why not. What can be told without secure mode: whether the address lies in a page,
 * where blocks of that page start, whether the page has a live block at all, and whether this one was the
 * last to be freed.
 * @returns null when it was freed
 */
export function freeChecked(tld: Tld, address: number, operation: string): AllocError | null {
  const page = livePage(tld, address);
  if (page === 0) return refusal(tld, operation, address);
  const block = blockAt(tld, page, address >>> 2);
  // The page has gone since: another thread has freed this block at the same moment, the last one of it.
  if (block === 0) return refusal(tld, operation, address);
  if (tld.guard !== null) return freeGuarded(tld, tld.guard, page, block, address, operation);
  return freeIn(tld, page, block) ? null : freedTwice(operation, address);
}

/** Frees a block of a page, whichever thread has it; false when it was the last one to be freed there. */
function freeIn(tld: Tld, page: Word, block: Word): boolean {
  if (isHuge(tld, page)) return freeHuge(tld, page, block);
  if (!isOwn(tld, page, block)) freeForeign(tld, page, block);
  else if (tld.i32[page + Page.localFree] === block) return false;
  else freeLocal(tld, page, block);
  return true;
}

/** Segments that a thread may adopt by freeing until it gathers: a fourth of what it has. */
const GATHER_SHIFT = 2;

/**
 * Gathers what other threads have freed into this thread's pages, once in a while. A thread that only frees
 * comes to no generic allocation, where that is done otherwise: it would keep all that it has ever adopted.
 * Once for each fourth of its segments, so what a gathering costs is paid by the adoptions.
 */
function gatherAdopted(tld: Tld): void {
  if (++tld.adopted << GATHER_SHIFT < tld.i32[tld.heap + Heap.segmentCount]) return;
  tld.adopted = 0;
  forEachHeap(tld, (heap) => collectHeap(tld, heap, false));
}

/**
 * Whether a page is this thread's, or has become so: one that no thread has can be adopted by a thread that
 * frees into it.
 */
function isOwn(tld: Tld, page: Word, block: Word): boolean {
  const owner = ownerOf(tld, page);
  if (owner === tld.threadId) return true;
  if (owner !== 0 || tld.i32[tld.header + Field.reclaimOnFree] === 0) return false;
  // The block's segment, for the page was found by it.
  const segment = segmentAt(tld, block);
  if (!isSegment(tld, segment) || !reclaim(tld, segment)) return false;
  // The page stays: its block counts as live until it is freed.
  gatherAdopted(tld);
  return ownerOf(tld, page) === tld.threadId;
}

/**
 * The same in secure mode. What is wrong with a block that is freed all the same is told when that is done.
 */
function freeGuarded(
  tld: Tld,
  guard: Guard,
  page: Word,
  block: Word,
  address: number,
  operation: string,
): AllocError | null {
  const error = guard.takeBack(tld, page, block, address, operation);
  if (error !== null) return error;
  if (!freeIn(tld, page, block)) return freedTwice(operation, address);
  guard.tell(tld);
  return null;
}
