/** What the descriptor of a large block's first page says of it. */

import type { Word } from '@shmalloc/allocator-api';
import { NODE_TO_END, type Payload } from './debug.ts';
import { Page } from './page.ts';
import { startOf } from './page-map.ts';
import type { SlabCore } from './thread-view.ts';

/** Bytes of a large block. */
export function largeBytes(slab: SlabCore, page: Word): number {
  return slab.i32[page + Page.count] * (4 << slab.pageShift);
}

/** A large block in debug mode. */
export function largePayload(slab: SlabCore, page: Word): Payload {
  const block = startOf(slab, page);
  return { block, node: block + (slab.i32[page + Page.count] << slab.pageShift) - NODE_TO_END, keeps: false };
}
