/**
 * Visiting the blocks in use: what is linked in a page and on none of the lists that free blocks are in.
 *
 * Of pages that other CPUs are working in this is what was seen while they went on. Every walk is bounded by
 * what a page has room for, so a list that is taken meanwhile ends it early.
 */

import { type BlockVisitor, checkInteger, type VisitOptions, type Word } from '@shmalloc/allocator-api';
import { FIRST_NAME } from '@shmalloc/thread-heap';
import { Cpu, recordOf } from './cpu.ts';
import { isLive, liveSize } from './debug.ts';
import { SIZE_CLASSES } from './geometry.ts';
import { largeBytes, largePayload } from './large-page.ts';
import { payloadOf } from './lookup.ts';
import { IN_FULL, LARGE, MARK, ORPHAN, Page } from './page.ts';
import { forEachPage, mostPages } from './page-map.ts';
import { isNode, isSound } from './shape.ts';
import type { SlabCore } from './thread-view.ts';

/** The link words of blocks that wait in DELAYED and PENDING lists of CPUs. */
function waitingNodes(slab: SlabCore): ReadonlySet<Word> {
  const { i32 } = slab;
  const waiting = new Set<Word>();
  for (let slot = 0; slot < slab.plan.slots; slot++) {
    const record = recordOf(slab, slot);
    for (const list of [Cpu.delayed, Cpu.pending]) {
      let left = mostPages(slab);
      for (let node = i32[record + list]; node > 0 && node < i32.length && left > 0; node = i32[node], left--)
        waiting.add(node);
    }
  }
  return waiting;
}

/** Takes the nodes of a list out of those that are live. */
function strike(slab: SlabCore, page: Word, first: Word, capacity: number, live: Uint8Array): void {
  const { i32 } = slab;
  let left = capacity;
  for (let node = first; node !== 0 && left > 0; node = i32[node], left--) {
    if (!isNode(slab, page, node, capacity)) return;
    live[(node - i32[page + Page.first]) / i32[page + Page.stride]] = 0;
  }
}

/** The link words of a page's blocks in use. */
function liveNodes(slab: SlabCore, page: Word, waiting: ReadonlySet<Word>): Word[] {
  const { i32 } = slab;
  if (!isSound(slab, page)) return [];
  const capacity = i32[page + Page.capacity];
  const live = new Uint8Array(capacity).fill(1);
  strike(slab, page, i32[page + Page.free], capacity, live);
  strike(slab, page, i32[page + Page.remote] & ~MARK, capacity, live);
  const nodes: Word[] = [];
  for (let index = 0; index < capacity; index++) {
    const node = i32[page + Page.first] + index * i32[page + Page.stride];
    // In debug mode a block itself says whether it is in use.
    if (slab.debug ? isLive(slab, node) : live[index] === 1 && !waiting.has(node)) nodes.push(node);
  }
  return nodes;
}

/**
 * Calls back for each live block, objects of caches included: their tag is the cache's number plus 1. A large
 * block is no CPU's.
 * @returns false when the visitor has had enough
 */
export function visitLive(slab: SlabCore, visitor: BlockVisitor, { threadId }: VisitOptions): boolean {
  if (threadId !== undefined) checkInteger('threadId', threadId);
  slab.refresh();
  const waiting = waitingNodes(slab);
  let more = true;
  forEachPage(slab, (page) => {
    if (!more) return;
    const { i32 } = slab;
    const name = i32[page + Page.owner] & ~IN_FULL;
    const owner = name >= FIRST_NAME ? name : 0;
    if (threadId !== undefined && owner !== threadId) return;
    if (name === LARGE) {
      const { block, node } = largePayload(slab, page);
      const size = slab.debug ? liveSize(slab, node) : largeBytes(slab, page);
      if (!slab.debug || isLive(slab, node)) more = visitor((block << 2) >>> 0, size, 0, 0) !== false;
    } else if (name >= ORPHAN) {
      const index = i32[page + Page.class];
      const tag = Math.max(0, index - SIZE_CLASSES + 1);
      for (const node of liveNodes(slab, page, waiting)) {
        const { block } = payloadOf(slab, page, node);
        const start = index < SIZE_CLASSES && !slab.debug ? node : block;
        const size = slab.debug ? liveSize(slab, node) : i32[page + Page.stride] * 4;
        more = visitor((start << 2) >>> 0, size, tag, owner) !== false;
        if (!more) return;
      }
    }
  });
  return more;
}
