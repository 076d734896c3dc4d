/**
 * Threads that end: by `detach`, or without a word.
 *
 * ```
 *   detach   stop announcing ─▶ detach from the heap of each generation ─▶ leave the line
 *   reap     claim the line ─▶ finish what it was at ─▶ reap its name in the heap of each generation
 *            ─▶ empty the line ─▶ close what is over
 * ```
 *
 * What a dead thread may have been at, and what becomes of it: growing a heap (the claim is taken back; a run
 * that the heap had not heard of goes back with its generation) · closing one (opened, and looked at again) ·
 * giving one's pages back (continued) · making one (published: it stays; not published: its pages go back) ·
 * using the page source (its affair) · using a heap (the algorithm's affair: behind a lock, the lock stays
 * taken). What is lost at the most: one run of pages that was in its hands between the page source and the
 * map.
 */

import { AllocError, checkInteger } from '@shmalloc/allocator-api';
import { CLOSING, cpuOf, GOING, MAKING, OPEN, stateOf } from './generation.ts';
import { close, closeAll, giveBack, visit } from './generations.ts';
import { dropClaim } from './grow.ts';
import * as at from './header.ts';
import { MOST_NAMES } from './presence.ts';
import type { View } from './thread-view.ts';

/** Ends this thread's use: see {@link AxAlloc.detach}. */
export function leave(view: View): void {
  const { i32, line } = view;
  view.slot = -1;
  // A thread that was reaped although it lives: the line may have another owner by now.
  if (Atomics.load(i32, line + at.OWNER) !== view.threadId) return;
  Atomics.store(i32, line + at.ANNOUNCED, 0);
  // Once more, since looking whether a generation is over may attach to it again.
  for (let round = 0; round < 2; round++) {
    for (let slot = 1; slot <= view.geometry.generations; slot++) {
      if (view.heaps[slot] === null || close(view, slot)) continue;
      visit(view, slot, (heap) => {
        if (view.ids[slot] === i32[view.entry(slot) + at.ID]) heap.detach();
        i32[at.nameAt(view.header, view.places, view.cpu, slot)] = 0;
        view.heaps[slot] = null;
      });
    }
  }
  // Release: pairs with the exchange in takeLine.
  Atomics.compareExchange(i32, line + at.OWNER, view.threadId, 0);
}

/** Takes over from a thread that has died: see {@link AxAlloc.reap}. */
export function reapThread(view: View, threadId: number): void {
  checkInteger('threadId', threadId);
  view.demandOpen();
  if (threadId === view.threadId)
    throw new AllocError('InvalidParam', `thread ${threadId} cannot reap itself: detach() is for that`);
  // No thread has such a name, and an exchange would cut it to 32 bits: to the name of another.
  if (threadId === 0 || threadId > MOST_NAMES) return;
  // What it was reaping itself comes first: as long as its own line has its name, the thread that reaps it
  // finds the rest.
  reapLines(view, -threadId);
  reapLines(view, threadId);
  closeAll(view);
}

/** Empties each line with this owner. */
function reapLines(view: View, owner: number): void {
  const { i32, header, geometry } = view;
  for (let cpu = 1; cpu <= geometry.cpus; cpu++) {
    const word = at.lineAt(header, cpu) + at.OWNER;
    // Of several reapers one finds the owner there. The line is no other thread's until it is empty, and
    // names the reaper, so that its reaper can go on.
    if (Atomics.compareExchange(i32, word, owner, -view.threadId) === owner) emptyLine(view, cpu);
  }
}

/** Gives up what a line's thread held. The line is this thread's alone. */
function emptyLine(view: View, cpu: number): void {
  const { i32, header, geometry } = view;
  const line = at.lineAt(header, cpu);
  const held = [at.ANNOUNCED, at.VISITED, at.VISITED_INSIDE].map((field) => Atomics.load(i32, line + field));
  try {
    for (let slot = 1; slot <= geometry.generations; slot++) {
      if (held.includes(slot)) i32[view.entry(slot) + at.MOURNED] = 1;
      finishFor(view, cpu, slot);
      const name = at.nameAt(header, view.places, cpu, slot);
      if (i32[name] === 0) continue;
      visit(view, slot, (heap) => heap.reap(i32[name]));
      i32[name] = 0;
    }
  } catch (error) {
    // This thread cannot come to one of the heaps. Another may: the line is the dead thread's again. Every
    // step above can be done twice.
    Atomics.store(i32, line + at.OWNER, i32[line + at.THREAD]);
    throw error;
  }
  for (const field of [at.ANNOUNCED, at.VISITED, at.VISITED_INSIDE]) Atomics.store(i32, line + field, 0);
  // Release: pairs with the exchange in takeLine.
  Atomics.store(i32, line + at.OWNER, 0);
}

/** Finishes what a CPU was doing to a generation when its thread died. */
function finishFor(view: View, cpu: number, slot: number): void {
  const { i32 } = view;
  const entry = view.entry(slot);
  dropClaim(view, slot, cpu);
  const word = Atomics.load(i32, entry + at.STATE);
  if (cpuOf(word) !== cpu) return;
  const state = stateOf(word);
  const hasHeap = i32[entry + at.START] !== 0;
  // With a heap it may have been published; if not, it is a generation without blocks, which closes.
  if (state === CLOSING || (state === MAKING && hasHeap)) Atomics.store(i32, entry + at.STATE, OPEN);
  else if (state === GOING || state === MAKING) giveBack(view, slot);
}
