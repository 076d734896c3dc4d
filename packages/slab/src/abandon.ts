/**
 * CPUs that go, and what becomes of their pages; and what a CPU can do when memory runs out.
 *
 * ```
 *   owner's name ──detach, reap──▶ ORPHAN ──takePage: a CPU needs one of its class──▶ the new owner's name
 *                                    │  ▲
 *                                    │  └ frees of others go on: onto the page's REMOTE
 *                                    └ collect, or lack of memory: given back whole when nothing of it is in use
 * ```
 */

import { AllocError, checkInteger } from '@shmalloc/allocator-api';
import { collectRemote, dropPage, recount, settlePage } from './blocks.ts';
import type { SlabCore } from './core.ts';
import { Cpu, recordOf, releaseCpu, resetCpu, slotOf } from './cpu.ts';
import { drainDelayed, drainPending } from './free.ts';
import { CLASSES, type Word } from './geometry.ts';
import { Field } from './header.ts';
import { IN_FULL, MARK, Page } from './page.ts';
import { orphanPage, putPage, repairList, takeOrphans } from './page-list.ts';
import { forEachPage } from './page-map.ts';

/** Lets go of a page of this CPU, which leaves its list by the record's being reset. */
function letGo(slab: SlabCore, page: Word): void {
  // From here on nobody waits for news of this page: frees go onto its own list.
  slab.crossings.clearBits(page + Page.remote, MARK);
  collectRemote(slab, page);
  if (slab.i32[page + Page.used] === 0) putPage(slab, page);
  else orphanPage(slab, page);
}

/** Lets go of everything that this CPU has, and of its name. */
export function abandonAll(slab: SlabCore): void {
  const { cpu, threadId } = slab;
  slab.refresh();
  drainDelayed(slab, cpu);
  forEachPage(slab, (page) => {
    if ((slab.i32[page + Page.owner] & ~IN_FULL) === threadId) letGo(slab, page);
  });
  resetCpu(slab.i32, slab.header, cpu);
  // Marks that were taken away just before. What comes later than this is found by `drainStrays`.
  drainDelayed(slab, cpu);
  releaseCpu(slab.i32, cpu, threadId);
}

/** Frees the blocks that came to records when their CPUs had gone. */
function drainStrays(slab: SlabCore): void {
  const { i32, header } = slab;
  for (let slot = 0; slot < i32[header + Field.slots]; slot++) {
    const cpu = recordOf(i32, header, slot);
    if (i32[cpu + Cpu.name] === 0 && i32[cpu + Cpu.delayed] !== 0) drainDelayed(slab, cpu);
  }
}

/** Gives the orphans of a class back of which nothing is in use any more. */
export function sweepClass(slab: SlabCore, index: number): void {
  for (let page = takeOrphans(slab, index); page !== 0; ) {
    const next = slab.i32[page + Page.next];
    letGo(slab, page);
    page = next;
  }
}

/**
 * Gathers what others have freed into this CPU's pages.
 * @param force - gives back all pages that are empty, the orphans among them, instead of keeping one for each class
 */
export function collectAll(slab: SlabCore, force: boolean): void {
  slab.lookAround();
  drainDelayed(slab, slab.cpu);
  if (force) drainStrays(slab);
  forEachPage(slab, (page) => {
    const { i32 } = slab;
    if ((i32[page + Page.owner] & ~IN_FULL) !== slab.threadId) return;
    // Full pages, too: a thread that was to bring news of one may have died.
    collectRemote(slab, page);
    settlePage(slab, page);
    if (force && i32[page + Page.owner] === slab.threadId && i32[page + Page.used] === 0)
      dropPage(slab, page);
  });
  for (let index = 0; force && index < CLASSES; index++) sweepClass(slab, index);
}

/** Gives back whatever can be: memory is short. */
export function makeRoom(slab: SlabCore): void {
  collectAll(slab, true);
}

/**
 * Gives back what a thread has that has died.
 * @throws AllocError `InvalidParam` when no such thread is attached, or it is the caller
 */
export function reapCpu(slab: SlabCore, threadId: number): void {
  slab.refresh();
  const slot = slotOf(checkInteger('threadId', threadId));
  const { i32, header } = slab;
  const cpu = recordOf(i32, header, slot);
  if (slot < 0 || slot >= i32[header + Field.slots] || i32[cpu + Cpu.name] !== threadId) {
    throw new AllocError('InvalidParam', `reap(${threadId}): no such thread is attached`);
  }
  if (threadId === slab.threadId) {
    throw new AllocError('InvalidParam', `reap(${threadId}): this thread is the one that calls`);
  }
  if (slab.takeOver(threadId)) {
    repairList(slab);
    slab.leave();
  }
  slab.lookAround();
  forEachPage(slab, (page) => {
    const owner = slab.i32[page + Page.owner];
    if ((owner & ~IN_FULL) !== threadId) return;
    // Of two who reap at a time, one gets the page. Acquire: what the dead one has written is what there is.
    if (Atomics.compareExchange(slab.i32, page + Page.owner, owner, slab.threadId) !== owner) return;
    recount(slab, page);
    letGo(slab, page);
  });
  drainPending(slab, cpu);
  drainDelayed(slab, cpu);
  releaseCpu(slab.i32, cpu, threadId);
}
