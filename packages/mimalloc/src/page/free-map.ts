/**
 * Which blocks are live: what lies below CAPACITY and is on none of the page's lists.
 *
 * ```
 *   START                                         CAPACITY        RESERVED
 *   ├ live ┼ free ┼ live ┼ local ┼ live ┼ thread ┼ …  │ never linked │
 *             │               │              └ XTHREAD_FREE: freed by others, not gathered yet
 *             └ FREE          └ LOCAL_FREE
 * ```
 *
 * Of a page of this thread all of that is exact, but for a block that another thread is freeing at the
 * moment. Of other threads' pages it is what was seen while they went on; every walk ends after CAPACITY
 * steps, and at the first link that leaves the page.
 */

import type { Word } from '@shmalloc/allocator-api';
import { DELAYED, Page } from '../layout/page.ts';
import { capacityOf } from '../segment/bounds.ts';
import type { Tld } from '../thread/thread-view.ts';

/** The lists of a page that have free blocks. */
const LISTS = [Page.free, Page.localFree, Page.xthreadFree] as const;

/**
 * Calls back for the blocks on one list of a page.
 * @returns how many there were
 */
export function forEachFree(tld: Tld, page: Word, list: number, visit: (index: number) => void): number {
  const { i32, guard } = tld;
  const start = i32[page + Page.start];
  const size = i32[page + Page.blockWords];
  const capacity = capacityOf(tld, page);
  let length = 0;
  for (let block = i32[page + list] & ~DELAYED; block !== 0 && length < capacity; length++) {
    const index = (block - start) / size;
    if (!Number.isInteger(index) || index < 0 || index >= capacity) break;
    visit(index);
    block = guard === null ? i32[block] : guard.linkOf(tld, page, block);
  }
  return length;
}

/** A byte for each block below CAPACITY: 1 when it is free. */
export function freeMap(tld: Tld, page: Word): Uint8Array {
  const map = new Uint8Array(capacityOf(tld, page));
  for (const list of LISTS) {
    forEachFree(tld, page, list, (index) => {
      map[index] = 1;
    });
  }
  return map;
}
