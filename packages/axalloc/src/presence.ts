/**
 * How a thread shows which generations' memory must not go away: hazard pointers (Michael 2004), one that
 * stays and two that pass.
 *
 * ```
 *   line of a thread          set                                   cleared
 *   ANNOUNCED      slot       when it moves to a new generation     when it moves on, detaches, is reaped
 *   VISITED        slot       before it touches another heap        after
 *   VISITED_INSIDE slot       the same within an error hook         after
 * ```
 *
 * Why `malloc` and `free` need no atomic operation: a thread allocates from the generation that it announces,
 * however old that has become, and a generation that is announced keeps its memory. So it does not matter how
 * late a thread's plain load of CURRENT tells it that there is a newer one.
 *
 * Why an announcement is seen in time. The announcing thread stores (1) its line, then loads (2) CURRENT and
 * goes on only if it is what it was. The closing thread has seen (3) another CURRENT, then loads (4) the
 * line. All four are sequentially consistent: if (4) misses (1) then (2) comes after (3) and sees the change;
 * the thread withdraws without having touched the heap.
 */

import { backOff, MAY_BLOCK } from '@shmalloc/atomic-cell';
import {
  ANNOUNCED,
  CURRENT,
  LINES_USED,
  lineAt,
  NEXT_THREAD,
  OWNER,
  SLOT_MASK,
  THREAD,
  VISITED,
  VISITED_INSIDE,
} from './header.ts';
import type { View } from './thread-view.ts';

/** The largest name of a thread. */
export const MOST_NAMES = 0x7fffffff;

/**
 * Takes a line for this thread.
 * @returns whether there was one
 */
export function takeLine(view: View): boolean {
  const { i32, header, geometry } = view;
  const name = nextName(view);
  for (let cpu = 1; cpu <= geometry.cpus; cpu++) {
    const line = lineAt(header, cpu);
    // Acquire: pairs with the store of the thread that left the line, with all its words 0.
    if (Atomics.compareExchange(i32, line + OWNER, 0, name) !== 0) continue;
    view.cpu = cpu;
    view.line = line;
    view.threadId = name;
    i32[line + THREAD] = name;
    // Before the first announcement: a look goes through the lines that are used.
    for (let used = linesUsed(view); used < cpu; used = linesUsed(view))
      Atomics.compareExchange(i32, header + LINES_USED, used, cpu);
    return true;
  }
  return false;
}

/** A name that no thread has: names have 31 bits, since a line holds them with a sign. */
function nextName({ i32, header }: View): number {
  for (;;) {
    const name = (Atomics.add(i32, header + NEXT_THREAD, 1) + 1) & MOST_NAMES;
    if (name !== 0) return name;
  }
}

/**
 * Lines that ever had an owner; never more than there are, whatever the word says. Tallies of lines without
 * one still count.
 */
export function linesUsed({ i32, header, geometry }: View): number {
  return Math.min(Atomics.load(i32, header + LINES_USED) >>> 0, geometry.cpus);
}

/** Whether any thread may be touching a generation's heap. */
export function isHeld(view: View, slot: number): boolean {
  const { i32, header } = view;
  const used = linesUsed(view);
  for (let cpu = 1; cpu <= used; cpu++) {
    const line = lineAt(header, cpu);
    // In this order: a thread that moves here announces before it ends the visit in which it attached.
    if (Atomics.load(i32, line + VISITED) === slot) return true;
    if (Atomics.load(i32, line + VISITED_INSIDE) === slot) return true;
    if (Atomics.load(i32, line + ANNOUNCED) === slot) return true;
  }
  return false;
}

/** The slot of the generation that new blocks come from. */
export function currentSlot({ i32, header }: View): number {
  return Atomics.load(i32, header + CURRENT) & SLOT_MASK;
}

/**
 * Shows that this thread touches a generation's heap. The caller holds a live block of it, or looks
 * afterwards whether it is still there.
 */
export function beginVisit(view: View, slot: number): void {
  Atomics.store(view.i32, view.line + view.visited, slot);
}

/**
 * Release: pairs with the loads in {@link isHeld}. What this thread did there is seen by the thread that sees
 * that it is gone.
 */
export function endVisit(view: View): void {
  Atomics.store(view.i32, view.line + view.visited, 0);
}

/**
 * Milliseconds that a thread waits for another at the most: much longer than what is waited without end
 * takes, short enough not to hang on one that died.
 */
const PATIENCE_MS = 200;

/** Pauses before a thread that may sleep does: some 60 µs. */
const ROUNDS_AWAKE = 30;

/**
 * Waits until a word has changed, for a while. Nothing depends on it: a thread that waits in vain goes on.
 * Where a thread may not block it spins.
 * @returns whether it has
 */
export function awaitChange({ i32 }: View, word: number, value: number): boolean {
  const end = performance.now() + PATIENCE_MS;
  let round = 0;
  // Acquire: pairs with whatever changes the word.
  for (let waits = 0; Atomics.load(i32, word) === value; waits++) {
    if (performance.now() > end) return false;
    // No thread wakes it: the change is microseconds away, unless its thread has been descheduled, and then
    // this one leaves it the core.
    if (MAY_BLOCK && waits >= ROUNDS_AWAKE) Atomics.wait(i32, word, value, 1);
    else round = backOff(round);
  }
  return true;
}
