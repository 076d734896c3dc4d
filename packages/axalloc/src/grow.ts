/**
 * What happens when a heap runs dry.
 *
 * ```
 *   look at GROWTH ─▶ ask the heap again ─▶ another is growing it? wait ─▶ claim GROWTH ─▶ take pages
 *        ▲                    │ a block                                                       │
 *        │                    ▼                                 map ─▶ addMemory ─▶ GROWTH + 1
 *        └──────────────────────────────────────────────────────────────────────┘
 *   pages: of the usual size, else of the request's, rounded, else of just the request's
 * ```
 *
 * Two CPUs that run dry at once: one claims, the other waits until it has grown and asks again. It looks at
 * GROWTH before it asks, so growth that comes after is never missed: the claim fails. Waiting has an end: a
 * CPU that has died in its claim costs the others a fifth of a second each time, until it is reaped, and then
 * the heap grows without a claim.
 */

import { type Address, AllocError } from '@shmalloc/allocator-api';
import { closeAll } from './generations.ts';
import * as at from './header.ts';
import { markRun, takeRun, unmarkRun } from './page-map.ts';
import { growthPages, powerOfTwoPages } from './policy.ts';
import { awaitChange } from './presence.ts';
import type { View } from './thread-view.ts';

/**
 * Bytes that a heap may need around a block: pool ends, headers, tables. A guess; where it is not enough, it
 * is doubled.
 */
const AROUND = 256;

/**
 * How often a heap that has grown and still has no room for the request is grown again, each time for twice
 * as much.
 */
const GROWTHS_FOR_ONE = 4;

/** GROWTH: the CPU that is at it in the low byte, a count above. */
const CLAIMANT = 255;
const COUNTED = 0x3fffffff;

/** What came of an attempt to grow. */
const GROWN = 0;
const NO_PAGES = 1;
/** The heap could make nothing of the pages: they are back. */
const REFUSED = 2;

/**
 * Gets a block from a heap that has just said no.
 * @param align - bytes; 0 for the usual
 * @returns the block, or 0 when there are no pages
 */
export function growFor(view: View, size: number, align: number): Address {
  const { i32 } = view;
  const limit = view.mapPages * view.pages.pageSize;
  let need = size + align + AROUND;
  let growths = 0;
  let patient = true;
  while (need <= 4 * limit && growths < GROWTHS_FOR_ONE) {
    const word = view.entry(view.slot) + at.GROWTH;
    const ticket = Atomics.load(i32, word);
    const block = ask(view, size, align);
    if (block !== 0) return block;
    if ((ticket & CLAIMANT) !== 0 && patient) {
      patient = awaitChange(view, word, ticket);
      continue;
    }
    const claim = ticket | view.cpu;
    const claimed = (ticket & CLAIMANT) === 0;
    if (claimed && Atomics.compareExchange(i32, word, ticket, claim) !== ticket) continue;
    let outcome = NO_PAGES;
    try {
      outcome = grow(view, Math.min(need, limit));
    } finally {
      // Release: a thread that waited sees the heap grown. A reaper may have taken the claim, as if this
      // thread were dead: then it is the reaper's.
      if (claimed) Atomics.compareExchange(i32, word, claim, ((ticket & ~CLAIMANT) + CLAIMANT + 1) & COUNTED);
    }
    if (outcome === NO_PAGES) {
      // Memory of old generations may be waiting for a look.
      if (!closeAll(view)) break;
      continue;
    }
    need *= 2;
    if (outcome === GROWN) growths++;
  }
  const block = need <= 4 * limit ? ask(view, size, align) : 0;
  if (block === 0) view.count(at.FAILURES);
  return block;
}

function ask({ heap }: View, size: number, align: number): Address {
  return align === 0 ? heap.malloc(size) : heap.alignedAlloc(align, size);
}

/** Gives this thread's heap more pages. */
function grow(view: View, need: number): number {
  const { heap, policy, pages, slot } = view;
  const { pageSize } = pages;
  let tried = Number.POSITIVE_INFINITY;
  for (const count of [
    growthPages(policy, heap.totalBytes(), need, pageSize),
    powerOfTwoPages(need, pageSize),
    Math.ceil(need / pageSize),
  ]) {
    if (count >= tried) continue;
    tried = count;
    const start = takeRun(view, count);
    if (start === 0) continue;
    // Before the heap hears of it: the next moment another thread may free a block that lies there.
    markRun(view, start, count, slot);
    try {
      heap.addMemory(start, count * pageSize);
    } catch (error) {
      unmarkRun(view, start, count);
      pages.deallocPages(start, count);
      if (error instanceof AllocError && error.code === 'RegionTooSmall') return REFUSED;
      throw error;
    }
    view.count(at.GROWTHS);
    return GROWN;
  }
  return NO_PAGES;
}

/** Takes back the claim of a CPU whose thread has died, and wakes no thread: one that waits looks. */
export function dropClaim(view: View, slot: number, cpu: number): void {
  const word = view.entry(slot) + at.GROWTH;
  const ticket = Atomics.load(view.i32, word);
  if ((ticket & CLAIMANT) === cpu)
    Atomics.compareExchange(view.i32, word, ticket, ((ticket & ~CLAIMANT) + CLAIMANT + 1) & COUNTED);
}
