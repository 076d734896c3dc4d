/** From an address to its block: whether one can have been handed out by it. */

import { cacheKeeps } from './cache-record.ts';
import type { SlabCore } from './core.ts';
import { isLive, liveSize, NODE_TO_END, type Payload } from './debug.ts';
import { SIZE_CLASSES, type Word } from './geometry.ts';
import { largeBytes, largePayload } from './large.ts';
import { LARGE, ORPHAN, Page } from './page.ts';
import { pageAt, startOf } from './page-map.ts';

/** The page that an address lies in if it has blocks; else 0. Looks for memory that has been added. */
export function livePage(slab: SlabCore, address: number): Word {
  // The engine takes long to say whether memory has grown, so it is not asked for every block.
  if (address >>> 2 >= slab.i32.length) slab.refresh();
  if (address >>> 0 !== address) return 0;
  const page = pageAt(slab, address >>> 2);
  if (page === 0) return 0;
  let owner = slab.i32[page + Page.owner] | 0;
  if (owner !== LARGE && owner < ORPHAN) {
    // The descriptor may lie in memory that these views do not reach.
    slab.refresh();
    owner = slab.i32[page + Page.owner] | 0;
  }
  return owner === LARGE || owner >= ORPHAN ? page : 0;
}

/** The word of the block that starts at an address of a page; 0 when none does that was ever linked. */
export function blockOf(slab: SlabCore, page: Word, address: number): Word {
  const { i32 } = slab;
  const word = address >>> 2;
  const offset = word - startOf(slab, page);
  const stride = i32[page + Page.stride];
  if ((address & 3) !== 0 || offset % stride !== 0) return 0;
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
