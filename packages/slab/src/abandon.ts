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

import { AllocError, checkInteger, type Word } from '@shmalloc/allocator-api';
import { MAX_NAME, slotOf } from '@shmalloc/thread-heap';
import { collectRemote, dropPage, recount, settlePage } from './blocks.ts';
import { Cpu, recordOf, releaseCpu, resetCpu } from './cpu.ts';
import { drainDelayed, drainPending } from './free.ts';
import { CLASSES } from './geometry.ts';
import { IN_FULL, MARK, ORPHAN, Page } from './page.ts';
import { enter, orphanPage, putPage, takeOrphans } from './page-list.ts';
import { forEachPage } from './page-map.ts';
import { checkCounts, repairList } from './page-repair.ts';
import type { SlabCore } from './thread-view.ts';

/** Lets go of a page of this CPU, which leaves its list by the record's being reset. */
function letGo(slab: SlabCore, page: Word): void {
  // From here on no thread waits for news of this page: frees go onto its own list.
  slab.crossings.clearBits(page + Page.remote, MARK);
  collectRemote(slab, page);
  if (slab.i32[page + Page.used] === 0) putPage(slab, page);
  else orphanPage(slab, page);
}

/** Lets go of everything that this CPU has, and of its name. */
export function abandonAll(slab: SlabCore): void {
  const { cpu, threadId } = slab;
  slab.lookAround();
  // A hook that threw may have left a dead one half reaped.
  reapClaims(slab, threadId);
  drainDelayed(slab, cpu);
  forEachPage(slab, (page) => {
    if ((slab.i32[page + Page.owner] & ~IN_FULL) === threadId) letGo(slab, page);
  });
  resetCpu(slab.i32, slab.header, cpu);
  // Marks that were taken away just before. What comes later than this is found by `drainStrays`.
  drainDelayed(slab, cpu);
  releaseCpu(slab.i32, cpu, threadId);
}

/**
 * Frees the blocks that came to records when their CPUs had gone. A record that is claimed meanwhile does not
 * matter: see `drainDelayed`.
 */
function drainStrays(slab: SlabCore): void {
  for (let slot = 0; slot < slab.plan.slots; slot++) {
    const cpu = recordOf(slab, slot);
    if (slab.i32[cpu + Cpu.name] === 0 && slab.i32[cpu + Cpu.delayed] !== 0) drainDelayed(slab, cpu);
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
 * @param force - gives back all pages that are empty, the orphans among them, instead of keeping one for each
 *   class
 */
export function collectAll(slab: SlabCore, force: boolean): void {
  slab.lookAround();
  slab.inspectNull();
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

/** Gives back whatever can be: memory is short. Something may be wrong with what is counted. */
export function makeRoom(slab: SlabCore): void {
  enter(slab);
  checkCounts(slab);
  slab.leave();
  collectAll(slab, true);
}

/**
 * Gives back what a thread has that has died. Nothing happens when there is none of this name: it has
 * detached, was reaped, is being reaped, or never was.
 * @throws AllocError `InvalidParam` when it is the caller
 */
export function reapCpu(slab: SlabCore, threadId: number): void {
  slab.refresh();
  const slot = slotOf(checkInteger('threadId', threadId));
  if (threadId === slab.threadId) {
    throw new AllocError('InvalidParam', `reap(${threadId}): this thread is the one that calls`);
  }
  if (threadId > 0 && threadId <= MAX_NAME && slot >= 0 && slot < slab.plan.slots)
    reapRecord(slab, recordOf(slab, slot), threadId);
}

/** Reaps all whose records have a name: the dead that a reaper had claimed when it died itself. */
function reapClaims(slab: SlabCore, name: number): void {
  for (let slot = 0; slot < slab.plan.slots; slot++) {
    const cpu = recordOf(slab, slot);
    if (slot !== slotOf(name) && slab.i32[cpu + Cpu.name] === name) reapRecord(slab, cpu, name);
  }
}

/**
 * Reaps the thread whose record has a name: its own, or that of a reaper that has died in here. All that is
 * done is done as the record's owner, and the record is free when nothing is left to do. Should this thread
 * end in the middle, the record names it, and what was left is done by the one that reaps it.
 *
 * It calls itself no deeper than there are records: each call has claimed one that the others have not.
 */
function reapRecord(slab: SlabCore, cpu: Word, name: number): void {
  const { i32, threadId } = slab;
  const owned = name === threadId;
  // Acquire: what the dead one has written is what there is. Of several that reap it one gets here; a name
  // that has gone does not come again.
  if (!owned && Atomics.compareExchange(i32, cpu + Cpu.name, name, threadId) !== name) return;
  const dead = Atomics.load(i32, cpu + Cpu.thread);
  // 0: it was expected, and has not come.
  if (dead !== 0 && dead !== threadId) {
    // The lock first: all that follows takes it.
    repairAfter(slab, dead);
    reapClaims(slab, dead);
    slab.lookAround();
    forEachPage(slab, (page) => {
      if ((slab.i32[page + Page.owner] & ~IN_FULL) === dead) adopt(slab, page);
    });
    drainPending(slab, cpu);
  }
  drainDelayed(slab, cpu);
  releaseCpu(i32, cpu, threadId);
}

/**
 * Opens the lock that a dead thread has held, and mends what it guards. Where the lock is outside, the dead
 * may have been anywhere.
 */
function repairAfter(slab: SlabCore, dead: number): void {
  if (slab.takeOver(dead)) {
    // It may have died with memory that it was adding, before it said so.
    slab.lookAround();
    repairList(slab);
    slab.leave();
  } else if (slab.lockKind === 'outside') repairList(slab);
}

/** Makes a dead thread's page this one's, and lets go of it. */
function adopt(slab: SlabCore, page: Word): void {
  slab.i32[page + Page.owner] = slab.threadId;
  if (recount(slab, page)) letGo(slab, page);
  else {
    // It cannot be told what its blocks are. Those in use stay so, the others are lost.
    slab.crossings.clearBits(page + Page.remote, MARK);
    slab.i32[page + Page.owner] = ORPHAN;
  }
}
