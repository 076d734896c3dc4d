/**
 * The invariants of a page. See `validate.ts`.
 */

import type { Word } from '@shmalloc/allocator-api';
import { BIN_HUGE, BIN_LARGEST, BIN_WORDS } from '../layout/bins.ts';
import { headPage } from '../layout/lookup.ts';
import { binOfPage, DELAYED, Page, slicesOf } from '../layout/page.ts';
import { PAGE_SHIFT, sliceAt } from '../layout/page-map.ts';
import { linkOf } from '../page/blocks.ts';
import type { Tld } from '../thread/thread-view.ts';
import { demand } from './demand.ts';

/** How long a free list is; throws when it leaves the page or does not end. */
function listLength(tld: Tld, page: Word, field: number, name: string, most: number): number {
  const { i32 } = tld;
  const start = i32[page + Page.start];
  const size = i32[page + Page.blockWords];
  let length = 0;
  const head = i32[page + field] & ~(field === Page.xthreadFree ? DELAYED : 0);
  for (let block = head; block !== 0; block = linkOf(tld, page, block)) {
    const index = (block - start) / size;
    demand(
      Number.isInteger(index) && index >= 0 && index < most,
      `${name} of the page at ${start * 4} leads to ${block * 4}, which is no block of it`,
    );
    demand(++length <= most, `${name} of the page at ${start * 4} does not end`);
  }
  return length;
}

/** What a page is, from when it is made until it is given back. */
export function validateShape(tld: Tld, page: Word, exact: boolean): void {
  const { i32 } = tld;
  const start = i32[page + Page.start];
  const what = `the page at ${start * 4}`;
  const bin = binOfPage(tld, page);
  const capacity = i32[page + Page.capacity];
  const reserved = i32[page + Page.reserved];
  demand(bin >= 1 && bin <= BIN_HUGE, `${what} has bin ${bin}`);
  demand(capacity >= 0 && capacity <= reserved, `${what}: capacity ${capacity} > reserved ${reserved}`);
  if (bin <= BIN_LARGEST) {
    demand(i32[page + Page.blockWords] === BIN_WORDS[bin], `${what} has blocks of another size than its bin`);
    const words = slicesOf(tld, page) << tld.sliceShift;
    demand(reserved === Math.floor(words / BIN_WORDS[bin]), `${what} has room for another number of blocks`);
  } else {
    // Another thread counts its block last.
    const isWhole = reserved === 1 && (capacity === 1 || !exact);
    demand(isWhole, `${what} is to hold one block and holds ${capacity}`);
  }
  demand(sliceAt(tld, start) === page, `${what} has a descriptor that is not its first slice's`);
  const slices = Math.min(slicesOf(tld, page), tld.slicesPerSegment);
  for (let slice = 1; slice < slices; slice++) {
    demand(
      headPage(tld, page + (slice << PAGE_SHIFT)) === page,
      `slice ${slice} of ${what} does not lead to it`,
    );
  }
}

/**
 * What holds between any two stores of the page's owner: new blocks are on a list before CAPACITY counts
 * them, so RESERVED is the limit then.
 */
export function validateLists(tld: Tld, page: Word, exact: boolean): void {
  const { i32 } = tld;
  const most = i32[page + (exact ? Page.capacity : Page.reserved)];
  for (const [field, name] of [
    [Page.free, 'free'],
    [Page.localFree, 'local_free'],
    [Page.xthreadFree, 'thread_free'],
  ] as const)
    listLength(tld, page, field, name, most);
  const used = i32[page + Page.used];
  const what = `the page at ${i32[page + Page.start] * 4}`;
  if (!exact) demand(used >= 0 && used <= most, `${what}: used ${used} of ${most}`);
}

/** What holds when the page's owner is outside of a call. */
export function validateSum(tld: Tld, page: Word): void {
  const { i32 } = tld;
  const what = `the page at ${i32[page + Page.start] * 4}`;
  const used = i32[page + Page.used];
  const capacity = i32[page + Page.capacity];
  const lost = i32[page + Page.lost];
  const free = listLength(tld, page, Page.free, 'free', capacity);
  const local = listLength(tld, page, Page.localFree, 'local_free', capacity);
  const threads = listLength(tld, page, Page.xthreadFree, 'thread_free', capacity);
  demand(
    used + free + local + lost === capacity,
    `${what}: used ${used} + |free| ${free} + |local_free| ${local} + lost ${lost} ≠ capacity ${capacity}`,
  );
  demand(threads <= used, `${what}: |thread_free| ${threads} > used ${used}`);
}

/** A page by itself, of a thread that is outside of a call. */
export function validatePage(tld: Tld, page: Word): void {
  validateShape(tld, page, true);
  validateLists(tld, page, true);
  validateSum(tld, page);
}
