/** From an address to its block: whether one can have been handed out by it. */

import type { Word } from '@shmalloc/allocator-api';
import { cacheKeeps } from './cache-record.ts';
import { isLive, liveSize, NODE_TO_END, type Payload } from './debug.ts';
import { SIZE_CLASSES } from './geometry.ts';
import { largeBytes, largePayload } from './large-page.ts';
import { LARGE, ORPHAN, Page } from './page.ts';
import { pageAt, startOf } from './page-map.ts';
import { isSound } from './shape.ts';
import type { SlabCore } from './thread-view.ts';

/**
 * The page that an address lies in if it has blocks, all of them within this thread's views; else 0. Looks
 * for memory that has been added.
 */
export function livePage(slab: SlabCore, address: number): Word {
  if (address >>> 0 !== address) return 0;
  // To the end of its page, and not only of its first word. The engine takes long to say whether memory has
  // grown, so it is not asked for every block.
  if (((address >>> 2) | ((1 << slab.pageShift) - 1)) >= slab.i32.length) slab.refresh();
  let page = blockPage(slab, address);
  if (page === 0) {
    // The descriptor, or the end of a large block, may lie in memory that these views do not reach.
    slab.refresh();
    page = blockPage(slab, address);
  }
  return page;
}

/**
 * The same with the views as they are. A descriptor that is another page's was written over, or the root was.
 */
function blockPage(slab: SlabCore, address: number): Word {
  const { i32, pageShift } = slab;
  const page = pageAt(slab, address >>> 2);
  if (page === 0) return 0;
  const owner = i32[page + Page.owner];
  const index = i32[page + Page.index];
  if (index !== address >>> (pageShift + 2)) return 0;
  if (owner !== LARGE) return owner >= ORPHAN ? page : 0;
  const count = i32[page + Page.count];
  return count > 0 && (index + count) * 2 ** pageShift <= i32.length ? page : 0;
}

/**
 * The word of the block that starts at an address of a page; 0 when none does that was ever linked. In debug
 * mode what stands around a block is looked for by what the descriptor says, so that is looked at, too.
 */
export function blockOf(slab: SlabCore, page: Word, address: number): Word {
  const { i32 } = slab;
  const word = address >>> 2;
  const offset = word - startOf(slab, page);
  const stride = i32[page + Page.stride];
  if ((address & 3) !== 0 || offset % stride !== 0) return 0;
  if (slab.debug && !isSound(slab, page)) return 0;
  return offset / stride < i32[page + Page.capacity] ? word : 0;
}

/** The link word of a block. */
export function nodeOf(slab: SlabCore, page: Word, block: Word): Word {
  return block + slab.i32[page + Page.first] - startOf(slab, page);
}

/** The block of a link word, for debug mode. */
export function payloadOf(slab: SlabCore, page: Word, node: Word): Payload {
  const { i32 } = slab;
  const index = i32[page + Page.class];
  return {
    block: node + NODE_TO_END - i32[page + Page.stride],
    node,
    keeps: index >= SIZE_CLASSES && cacheKeeps(slab, index - SIZE_CLASSES),
  };
}

/** Bytes that may be used at an address; −1 when no block is handed out by it. */
export function usableAt(slab: SlabCore, address: number): number {
  const page = livePage(slab, address);
  if (page === 0) return -1;
  const { i32 } = slab;
  if (i32[page + Page.owner] === LARGE) {
    const payload = largePayload(slab, page);
    if (address !== (payload.block << 2) >>> 0) return -1;
    if (!slab.debug) return largeBytes(slab, page);
    return isLive(slab, payload.node) ? liveSize(slab, payload.node) : -1;
  }
  const block = blockOf(slab, page, address);
  if (block === 0 || i32[page + Page.class] >= SIZE_CLASSES) return -1;
  if (!slab.debug) return i32[page + Page.free] === block ? -1 : i32[page + Page.stride] * 4;
  const node = nodeOf(slab, page, block);
  return isLive(slab, node) ? liveSize(slab, node) : -1;
}
