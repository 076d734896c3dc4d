/**
 * Blocks that other threads have freed into full pages. A full page is in no queue that is searched, so its
 * first foreign block goes to the heap's own list, where the heap finds it at its next generic allocation,
 * and brings the page back.
 */

import type { Word } from '@shmalloc/allocator-api';
import { isHuge } from '../huge/huge-block.ts';
import { Counter, count } from '../layout/counters.ts';
import { Heap } from '../layout/heap.ts';
import { blockAt, headPage } from '../layout/lookup.ts';
import { ownerOf, Page } from '../layout/page.ts';
import { sliceAt } from '../layout/page-map.ts';
import { linkOf, nextDelayed } from '../page/blocks.ts';
import { hasOtherSlot } from '../region/thread-table.ts';
import { forEachRecord } from '../region/walk.ts';
import { isPage } from '../segment/bounds.ts';
import type { Tld } from '../thread/thread-view.ts';
import { freeForeign, freeLocal } from './foreign.ts';

/**
 * Takes the whole list and frees its blocks, wherever their pages belong now: a thread that read XHEAP of a
 * page before the page's heap ended, and pushed after, left its block with a record that is no thread's, or
 * another thread's by now. The thread that finds it there frees it again.
 *
 * TAKEN says what was taken and is not freed yet, for the thread that inherits the record from a thread that
 * ends in here. It is set before the exchange, and moved on before each free: a thread that ends in between
 * loses that one block. Only the record's owner takes.
 */
export function collectDelayed(tld: Tld, heap: Word): void {
  const { i32, crossings } = tld;
  if (i32[heap + Heap.taken] !== 0) resumeTaken(tld, heap);
  if (i32[heap + Heap.delayedFree] === 0) return;
  for (;;) {
    // Acquire: pairs with the exchange of every push.
    const first = crossings.load(heap + Heap.delayedFree);
    i32[heap + Heap.taken] = first;
    if (crossings.claim(heap + Heap.delayedFree, first, 0)) break;
  }
  freeTaken(tld, heap);
}

/** The page of a block that waits on a list of delayed frees; 0 when the word is no block that is in use. */
function waitingPage(tld: Tld, block: Word): Word {
  if (!(block > 0)) return 0;
  // It may lie in memory that has come since this thread looked last.
  if (block >= tld.i32.length) tld.refresh();
  if (block >= tld.i32.length) return 0;
  const page = headPage(tld, sliceAt(tld, block));
  // Huge blocks never wait.
  if (!isPage(tld, page) || isHuge(tld, page)) return 0;
  return tld.i32[page + Page.used] > 0 && blockAt(tld, page, block) !== 0 ? page : 0;
}

/**
 * Walks over a list that leads from page to page. A block that comes twice is found without a mark on it: the
 * walk remembers one block, and moves on to another each time it has gone as far again (Brent's algorithm),
 * so a circle is noticed in its second round.
 */
class Trail {
  private remembered: Word = 0;
  private steps: number = 0;
  private limit: number = 1;

  /** Whether the walk has come to this block before. */
  hasMet(block: Word): boolean {
    if (block === this.remembered) return true;
    if (++this.steps < this.limit) return false;
    this.remembered = block;
    this.limit *= 2;
    this.steps = 0;
    return false;
  }
}

function freeTaken(tld: Tld, heap: Word): void {
  // As `Trail` does, without an object: every list that others have freed into full pages comes through here.
  let remembered = 0;
  let steps = 0;
  let limit = 1;
  for (let block = tld.i32[heap + Heap.taken]; block !== 0; block = tld.i32[heap + Heap.taken]) {
    const page = waitingPage(tld, block);
    if (page === 0 || block === remembered) {
      // Freed twice, or written to after its free. What stood behind it is lost, and nothing else.
      tld.i32[heap + Heap.taken] = 0;
      tld.damage(
        `thread_delayed_free of the heap at ${heap * 4} leads to ${block * 4}, which is no block in use`,
      );
      return;
    }
    if (++steps === limit) {
      remembered = block;
      limit *= 2;
      steps = 0;
    }
    tld.i32[heap + Heap.taken] = nextDelayed(tld, page, block);
    if (ownerOf(tld, page) === tld.threadId) freeLocal(tld, page, block);
    else freeForeign(tld, page, block);
    count(tld, tld.heap, Counter.delayed);
  }
}

/**
 * What another owner of this record was about to free when it ended. If the list still leads there, it had
 * not been taken yet.
 */
function resumeTaken(tld: Tld, heap: Word): void {
  const { crossings } = tld;
  const taken = tld.i32[heap + Heap.taken];
  const trail = new Trail();
  for (let block = crossings.load(heap + Heap.delayedFree); block !== 0; ) {
    if (block === taken) {
      tld.i32[heap + Heap.taken] = 0;
      return;
    }
    const page = waitingPage(tld, block);
    // What is wrong with the list is told when it is taken.
    if (page === 0 || trail.hasMet(block)) break;
    block = linkOf(tld, page, block);
  }
  freeTaken(tld, heap);
}

/**
 * The same for every list that may hold blocks of this thread: those of its heaps, and those in records that
 * are no thread's, which are this thread's for that long. What came late to a record that another thread has
 * claimed meanwhile is found by that thread.
 */
export function collectAllDelayed(tld: Tld): void {
  const { i32, crossings } = tld;
  forEachRecord(tld, (heap) => {
    if (i32[heap + Heap.delayedFree] === 0) return;
    const owner = i32[heap + Heap.threadId];
    if (owner === tld.threadId) collectDelayed(tld, heap);
    // A slot that is the last free one is left for a thread that comes, and finds the blocks itself.
    // Acquire: pairs with the store of the thread that let go of the record.
    else if (
      owner === 0 &&
      hasOtherSlot(tld, heap) &&
      crossings.claim(heap + Heap.threadId, 0, tld.threadId)
    ) {
      collectDelayed(tld, heap);
      crossings.store(heap + Heap.threadId, 0);
    }
  });
}
