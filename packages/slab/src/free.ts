/**
 * Freeing off the fast path: wrong addresses, blocks of other CPUs, of full pages, large ones, debug mode.
 *
 * ```
 *   free ──▶ page map ──▶ own page, not full, more blocks in use ──▶ FREE       the fast path, in slab.ts
 *                │ otherwise
 *                ▼
 *   own: FREE, USED−−              another CPU's: one exchange onto the page's REMOTE,
 *     full: back into its list         or onto its owner's DELAYED when the mark says so
 *     empty: kept, or given back   its CPU has gone: REMOTE
 * ```
 */

import { AllocError, checkInteger, type Word } from '@shmalloc/allocator-api';
import { slotOf } from '@shmalloc/thread-heap';
import { freeLocal } from './blocks.ts';
import { Counter, Cpu, recordOf } from './cpu.ts';
import { takeBack } from './debug.ts';
import { SIZE_CLASSES } from './geometry.ts';
import { largePayload } from './large-page.ts';
import { blockOf, livePage, nodeOf, payloadOf } from './lookup.ts';
import { IN_FULL, LARGE, ORPHAN, Page } from './page.ts';
import { named } from './page-list.ts';
import { pageAt } from './page-map.ts';
import { putRun } from './page-run.ts';
import { classIn } from './queue.ts';
import type { SlabCore } from './thread-view.ts';

/**
 * What `free` does with a block of a page of this CPU that was full, or is empty now. Apart from `free`, so
 * that the engine's compiler inlines that one.
 *
 * The page that its class keeps stays where it is when it is empty: one that has few blocks in use goes to
 * and fro between one and none.
 */
export function freeOwn(slab: SlabCore, page: Word, node: Word): void {
  const { i32 } = slab;
  if (
    i32[page + Page.used] === 1 &&
    i32[page + Page.owner] === slab.threadId &&
    i32[slab.cpu + Cpu.kept + classIn(slab, page)] === page
  ) {
    i32[node] = i32[page + Page.free];
    i32[page + Page.free] = node;
    i32[page + Page.used] = 0;
    return;
  }
  freeLocal(slab, page, node);
  if (slab.noted !== null) slab.tell();
}

/** What `free` does with a block of a page that is not this CPU's. */
export function freeOther(slab: SlabCore, page: Word, node: Word): void {
  freeForeign(slab, page, node);
  if (slab.noted !== null) slab.tell();
}

/**
 * Frees a block of a page that is not this CPU's. Lock-free, one exchange but for a page's first block after
 * it was full.
 */
function freeForeign(slab: SlabCore, page: Word, node: Word): void {
  if (!isBlockIn(slab, page, node)) {
    slab.noteDamage(`the block at word ${node} lies in no page`);
    return;
  }
  slab.count(Counter.remoteFrees);
  do {
    // Release: pairs with the loads in `gatherRemoteFrees`.
    if (slab.crossings.pushUnlessMarked(page + Page.remote, node)) return;
    // This call has taken the mark away: no thread looks at the page, and its owner has to hear of it.
  } while (!sendNews(slab, page, node));
}

/**
 * Whether a word lies in a page: one look at the descriptor's second line, which a push is about to change.
 * The root, or the descriptor, may have been written over, and what is pushed is written to.
 */
function isBlockIn(slab: SlabCore, page: Word, node: Word): boolean {
  if (slab.i32[page + Page.index] !== node >>> slab.pageShift) return false;
  // A page of another CPU can lie in memory that these views do not reach.
  if (node >= slab.i32.length) slab.refresh();
  return node > 0 && node < slab.i32.length && page + Page.remote < slab.i32.length;
}

/**
 * Brings a block to its page's owner. One that detaches meanwhile leaves the record behind, and any thread
 * that finds the block there passes it on: what is pushed is the block, and whose the record is does not
 * matter.
 * @returns false when the page has no owner
 */
function sendNews(slab: SlabCore, page: Word, node: Word): boolean {
  const owner = slab.i32[page + Page.owner];
  if (owner <= ORPHAN) return false;
  const slot = slotOf(owner);
  if (slot < 0 || slot >= slab.plan.slots) {
    slab.noteDamage(`${named(slab, page)} has the owner ${owner}`);
    return true;
  }
  // Release: pairs with the take in `drainDelayed`.
  slab.crossings.push(recordOf(slab, slot) + Cpu.delayed, node);
  return true;
}

/**
 * Frees a block that was found in a DELAYED list, wherever its page belongs now. An owner that is another CPU
 * may have been waiting for just this news: so it goes on to that one, and not to the page.
 */
function passOn(slab: SlabCore, page: Word, node: Word): void {
  if ((slab.i32[page + Page.owner] & ~IN_FULL) === slab.threadId) freeLocal(slab, page, node);
  else if (!sendNews(slab, page, node)) freeForeign(slab, page, node);
}

/**
 * Frees the blocks of a record's DELAYED list, wherever their pages belong now.
 * @param cpu - any CPU's record: a thread that comes too late, and takes what is another's already, passes it
 *   on to that one
 */
export function drainDelayed(slab: SlabCore, cpu: Word): void {
  // Acquire: pairs with the exchange of every push.
  drain(slab, slab.crossings.takeAll(cpu + Cpu.delayed), slab.cpu + Cpu.pending);
}

/** The same for what a thread had taken from a DELAYED list when it died. Its record is the caller's. */
export function drainPending(slab: SlabCore, cpu: Word): void {
  drain(slab, slab.i32[cpu + Cpu.pending], cpu + Cpu.pending);
}

/**
 * @param place - PENDING of a record that is the caller's. It knows how far this has got: a thread that ends
 *   in here loses one block, and not the list
 */
function drain(slab: SlabCore, first: Word, place: Word): void {
  if (first === 0) return;
  // The blocks were pushed by others, in memory that this thread may not have seen yet.
  slab.heed();
  let left = soundLength(slab, first);
  slab.i32[place] = first;
  for (let node = first; left > 0; left--) {
    const next = slab.i32[node];
    slab.i32[place] = left === 1 ? 0 : next;
    slab.count(Counter.delayed);
    passOn(slab, pageAt(slab, node), node);
    node = next;
  }
  slab.i32[place] = 0;
}

/**
 * Blocks of a list that was taken, up to the first that is none; one that does not end has none. O(blocks),
 * no garbage.
 */
function soundLength(slab: SlabCore, first: Word): number {
  const { i32, pageShift } = slab;
  let length = 0;
  // Brent's: `mark` is a block further back, and is moved up at every power of two.
  let mark = 0;
  for (let node = first, power = 1; node !== 0; node = i32[node]) {
    const page = node > 0 && node < i32.length ? pageAt(slab, node) : 0;
    const isBlock =
      page !== 0 && i32[page + Page.owner] >= ORPHAN && i32[page + Page.index] === node >>> pageShift;
    if (!isBlock || node === mark) {
      slab.noteDamage(`what was freed into full pages ${isBlock ? 'comes back' : 'leads'} to word ${node}`);
      return isBlock ? 0 : length;
    }
    if (++length === power) {
      mark = node;
      power *= 2;
    }
  }
  return length;
}

/** The error for an address that no block was handed out by. */
export function notAllocated(operation: string, address: number): AllocError {
  return new AllocError('NotAllocated', `${operation}(${address}): no such block is handed out`);
}

/** The error for a block that is free already. */
function freedTwice(operation: string, address: number): AllocError {
  return new AllocError('DoubleFree', `${operation}(${address}): the block is free already`);
}

/**
 * Frees whatever an address turns out to be, or says why not.
 * @throws TypeError or RangeError when it is no address
 */
export function freeSlow(slab: SlabCore, address: number): AllocError | null {
  if (checkInteger('address', address) === 0) return null;
  const error = freeChecked(slab, address, 'free');
  slab.tell();
  return error;
}

/**
 * Frees a block, or says why not. In debug mode a block that was written past its end is freed, and reported.
 * @returns null when it was freed
 */
export function freeChecked(slab: SlabCore, address: number, operation: string): AllocError | null {
  const page = livePage(slab, address);
  if (page === 0) return notAllocated(operation, address);
  const { i32 } = slab;
  if (i32[page + Page.owner] === LARGE) return freeLarge(slab, page, address, operation);
  const index = i32[page + Page.class];
  if (index >= SIZE_CLASSES) {
    return new AllocError(
      'NotAllocated',
      `${operation}(${address}): an object of cache ${index - SIZE_CLASSES} goes back by cacheFree`,
    );
  }
  return freeSmall(slab, page, address, operation);
}

/** Frees a block that shares its page, whatever its class. */
export function freeSmall(slab: SlabCore, page: Word, address: number, operation: string): AllocError | null {
  const block = blockOf(slab, page, address);
  if (block === 0) return notAllocated(operation, address);
  const node = nodeOf(slab, page, block);
  let error: AllocError | null = null;
  if (slab.debug) {
    const back = takeBack(slab, payloadOf(slab, page, node), address, operation);
    if (!back.taken) return back.error;
    error = back.error;
  } else if (slab.i32[page + Page.free] === node) return freedTwice(operation, address);
  if ((slab.i32[page + Page.owner] & ~IN_FULL) === slab.threadId) freeLocal(slab, page, node);
  else freeForeign(slab, page, node);
  if (error !== null) slab.note(error);
  return null;
}

function freeLarge(slab: SlabCore, page: Word, address: number, operation: string): AllocError | null {
  const { block } = largePayload(slab, page);
  if (address !== (block << 2) >>> 0) return notAllocated(operation, address);
  let error: AllocError | null = null;
  if (slab.debug) {
    const back = takeBack(slab, largePayload(slab, page), address, operation);
    if (!back.taken) return back.error;
    error = back.error;
  }
  if (!putRun(slab, page)) return notAllocated(operation, address);
  if (error !== null) slab.note(error);
  return null;
}
