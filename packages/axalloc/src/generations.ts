/**
 * Generations: one heap of one algorithm after another, each with its pages, of which the current one serves
 * what is new.
 *
 * ```
 *            make           publish                   last block freed, no one inside          pages given back
 *   FREE ─────────▶ MAKING ─────────▶ OPEN ─────────▶ CLOSING ─────────────────────▶ GOING ───────────────────▶ FREE
 *                                      ▲                  │ a thread inside, or a block is left
 *                                      └──────────────────┘
 *   MAKING, CLOSING and GOING name the CPU that is at it, so that a reaper can take over; all others leave the slot alone.
 * ```
 *
 * **When is a generation over?** When it is not the current one, no thread announces or visits it, and no
 * block of it is live.
 *
 * **How many blocks are live** is the sum of the CPUs' tallies (plain words on their own lines, written on
 * the fast paths by threads that announce the generation) and of BALANCE (atomic, by visitors that free
 * blocks of a generation that they do not announce). The sum means something only while no thread changes it,
 * so the closing thread
 *
 * 1. makes OPEN CLOSING (compareExchange: there is one closer),
 * 2. loads BALANCE,
 * 3. looks whether the generation is current or anybody holds it; if so, it is off,
 * 4. adds up; if blocks are left, it is off; asks the heap itself as well,
 * 5. looks whether BALANCE is what it was (by an atomic add of 0); if not, it is off,
 * 6. makes CLOSING GOING, and looks at BALANCE once more; if it has changed, it is off.
 *
 * A thread that announced it and has left, left before 3: its tally is seen, since its line was. A thread
 * that visits to free a block shows the visit, then changes BALANCE, then frees: if that change comes before
 * 5, it is seen there or the visit is in 3 (or all of it was before 2); if it comes after 5, then its block
 * was live, and counted, in 4. A thread with an address that is no block looks at STATE after the change of
 * BALANCE: either it finds GOING, and does not touch the heap, or 6 finds the change. A visit for other
 * reasons looks at STATE after it is shown, and goes in only when it is OPEN: then 1 comes later, and 3 sees
 * it.
 *
 * **Which thread gives the pages back?** The closer, alone: CLOSING has one owner.
 *
 * **Can it be forgotten?** Every thread that it may have waited for looks after leaving: one that frees,
 * moves on, detaches, or reaps. When it finds a closer at work that may have seen it still inside, it sets
 * AGAIN, and the closer looks once more before it leaves.
 *
 * **A thread that idles** announces what it announced, and so holds that generation's memory, until it calls
 * anything that settles, or detaches. **One that dies** does the same until it is reaped. A free is counted
 * before it is done and an allocation after, so a death between the two never holds a generation; but the
 * algorithm itself may have lost a block, so where a thread has died (MOURNED) the heap's own count is not
 * asked.
 */

import { type Address, AllocError, type Heap, type HeapAlgorithm } from '@shmalloc/allocator-api';
import {
  AGAIN,
  CLOSING,
  corrupted,
  demandText,
  FREE,
  GOING,
  heapOf,
  keepHeap,
  MAKING,
  OPEN,
  stateOf,
  stateWord,
} from './generation.ts';
import * as at from './header.ts';
import { forEachRun, markRun, slotOf, takeRun, unmarkRun } from './page-map.ts';
import { powerOfTwoPages } from './policy.ts';
import { awaitChange, beginVisit, currentSlot, endVisit, isHeld, linesUsed } from './presence.ts';
import type { View } from './thread-view.ts';

/**
 * Running numbers above the slot, in a small integer: after 8 million swaps they begin again, which no thread
 * sees that has looked in between.
 */
const ID_MASK = 0x3fffffff;

// ── Making one ──

/**
 * Makes a generation and lets new blocks come from it. Lock-free.
 * @throws AllocError `NoMemory` when there is no slot or there are no pages; then nothing has changed
 */
export function beginGeneration(view: View, algorithm: HeapAlgorithm): void {
  const { i32, header } = view;
  const slot = takeSlot(view);
  const entry = view.entry(slot);
  try {
    const heap = makeHeap(view, slot, algorithm);
    const { algorithm: kind, start } = heap.share();
    demandText('the kind in a handle', kind);
    at.writeName(view.memory, entry, algorithm.algorithm);
    at.writeKind(view.memory, entry, kind);
    i32[entry + at.EMPTY] = heap.usedBytes();
    // A number of its own, and not the current one's successor: that would be given twice when a thread dies
    // here, and a thread that has looked at the first generation would take its heap for the second's.
    const id = (((Atomics.add(i32, header + at.MADE, 1) + 1) << at.SLOT_BITS) & ID_MASK) | slot;
    i32[entry + at.ID] = id;
    // After the id: a reaper that finds a heap opens the generation.
    i32[entry + at.START] = start;
    keepHeap(view, slot, heap);
    // Release: publishes the generation to the thread that sees that it is current.
    Atomics.store(i32, header + at.CURRENT, id);
  } catch (error) {
    giveBack(view, slot);
    throw error;
  }
  // From now on it may be closed, when it is not current any more. Until now only its maker could have.
  Atomics.store(i32, entry + at.STATE, OPEN);
}

function takeSlot(view: View): number {
  const { i32, geometry } = view;
  for (let slot = 1; slot <= geometry.generations; slot++) {
    // Acquire: pairs with the store in giveBack.
    if (Atomics.compareExchange(i32, view.entry(slot) + at.STATE, FREE, stateWord(view, MAKING)) === FREE)
      return slot;
  }
  throw new AllocError(
    'NoMemory',
    `${geometry.generations} generations hold blocks, and there is no slot for another: see maxGenerations`,
  );
}

/**
 * Makes a heap in pages of its own: of the policy's first size, or the next that the algorithm can live with.
 */
function makeHeap(view: View, slot: number, algorithm: HeapAlgorithm): Heap {
  const { pageSize } = view.pages;
  let refusal: unknown;
  for (let count = powerOfTwoPages(view.policy.initialBytes, pageSize); count <= view.mapPages; count *= 2) {
    const start = takeRun(view, count);
    if (start === 0) break;
    markRun(view, start, count, slot);
    try {
      return algorithm.create({
        memory: view.memory.source,
        start,
        end: start + count * pageSize,
        threads: view.geometry.cpus,
      });
    } catch (error) {
      unmarkRun(view, start, count);
      view.pages.deallocPages(start, count);
      if (!(error instanceof AllocError && error.code === 'RegionTooSmall')) throw error;
      refusal = error;
    }
  }
  const why = refusal === undefined ? '' : ` (${(refusal as Error).message})`;
  throw new AllocError('NoMemory', `there are no pages for a heap of ${algorithm.algorithm}${why}`);
}

// ── Heaps of this thread ──

/**
 * Lets go of the objects of generations that are gone. Nothing is called on them: their memory is another
 * thread's.
 */
function forgetGone(view: View): void {
  for (let slot = 1; slot < view.heaps.length; slot++) {
    if (view.heaps[slot] === null || slot === view.slot) continue;
    const entry = view.entry(slot);
    const gone = Atomics.load(view.i32, entry + at.STATE) === FREE;
    if (gone || view.i32[entry + at.ID] !== view.ids[slot]) view.heaps[slot] = null;
  }
}

// ── Moving on ──

/**
 * This thread allocates from the current generation from now on, and holds older ones no longer. Lock-free.
 *
 * Not within an error hook: the heap that has called it is still at work.
 * @throws what attaching to the heap throws; then this thread stays where it was
 */
export function settle(view: View): void {
  view.demandOpen();
  if (view.reporting) return;
  const { i32, header, line } = view;
  if (Atomics.load(i32, header + at.CURRENT) === view.seen) return;
  for (;;) {
    const id = Atomics.load(i32, header + at.CURRENT);
    if (id === view.seen) break;
    const slot = id & at.SLOT_MASK;
    if (slot < 1 || slot > view.geometry.generations)
      throw corrupted(`the current generation has slot ${slot}`);
    let left = slot;
    beginVisit(view, slot);
    try {
      // Current while the visit was shown already: it stays until the visit is over, and then it is
      // announced.
      if (Atomics.load(i32, header + at.CURRENT) !== id) continue;
      if (i32[view.entry(slot) + at.ID] !== id)
        throw corrupted(
          `the current generation is ${id}, and its slot ${slot} says ${i32[view.entry(slot) + at.ID]}`,
        );
      const heap = heapOf(view, slot);
      left = view.slot;
      // Release: the thread that sees that the old generation is announced no more sees this thread's tally
      // in it.
      Atomics.store(i32, line + at.ANNOUNCED, slot);
      view.seen = id;
      view.slot = slot;
      view.heap = heap;
      view.tally = at.tallyAt(header, view.places, view.cpu, slot);
    } finally {
      endVisit(view);
      // What it has left, or has looked at in vain, may have waited for it alone.
      if (left > 0) close(view, left);
    }
  }
  forgetGone(view);
}

/**
 * The same for a thread that is about to allocate or free: what stands in its way is told, and the thread
 * stays in its generation, which is as good as any.
 */
export function follow(view: View): void {
  try {
    settle(view);
  } catch (error) {
    if (view.slot < 1 || !(error instanceof AllocError)) throw error;
    if (error.code === 'Corrupted') view.report(error);
    // No place in the new heap's table of threads: one may come free.
    else if (error.code !== 'TooManyThreads') throw error;
  }
}

/**
 * Whether a generation that this thread shows a visit of may still have blocks: it is not on its way out, nor
 * a new one that is not open yet.
 */
export function isThere(view: View, slot: number): boolean {
  const state = stateOf(Atomics.load(view.i32, view.entry(slot) + at.STATE));
  return state === OPEN || state === CLOSING;
}

/**
 * The heap that an address belongs to, for a caller that shows a visit of its slot.
 * @returns null when the generation has gone since the look at the map: then the block that the caller brings
 *   is none
 */
export function heapAt(view: View, slot: number, address: Address): Heap | null {
  const state = view.entry(slot) + at.STATE;
  const word = Atomics.load(view.i32, state);
  // With a live block it will be opened again. Without one it may go: that the visit was seen is sure only
  // when it is open.
  if (stateOf(word) === CLOSING) awaitChange(view, state, word);
  return isThere(view, slot) && slotOf(view, address) === slot ? heapOf(view, slot) : null;
}

/**
 * Does something to the heap of any generation, if it is there.
 * @returns what `use` has returned, or null when the generation is going or gone
 */
export function visit<T>(view: View, slot: number, use: (heap: Heap) => T): T | null {
  if (slot === view.slot) return use(view.heap);
  const state = view.entry(slot) + at.STATE;
  if (Atomics.load(view.i32, state) === FREE) return null;
  beginVisit(view, slot);
  try {
    let word = Atomics.load(view.i32, state);
    // A closer will open it again, because it sees this visit, or because of a block; or it is on its way.
    while (stateOf(word) === CLOSING && awaitChange(view, state, word)) word = Atomics.load(view.i32, state);
    return stateOf(word) === OPEN ? use(heapOf(view, slot)) : null;
  } finally {
    endVisit(view);
    close(view, slot);
  }
}

// ── Closing one ──

/**
 * Gives a generation's pages back if it is over. Lock-free. Cost where it is not: a word of each line.
 * @returns whether it did
 */
export function close(view: View, slot: number): boolean {
  const { i32 } = view;
  const state = view.entry(slot) + at.STATE;
  while (currentSlot(view) !== slot && liveBlocks(view, slot) <= 0) {
    const word = Atomics.load(i32, state);
    if (stateOf(word) === CLOSING) {
      // Its closer may have seen what this thread was doing there: it is to look again.
      if (word & AGAIN || Atomics.compareExchange(i32, state, word, word | AGAIN) === word) return false;
      continue;
    }
    const closing = stateWord(view, CLOSING);
    if (word !== OPEN) return false;
    if (Atomics.compareExchange(i32, state, OPEN, closing) !== OPEN) continue;
    const balance = view.entry(slot) + at.BALANCE;
    const before = Atomics.load(i32, balance);
    if (isOver(view, slot, before)) {
      Atomics.store(i32, state, stateWord(view, GOING));
      // Pairs with the looks at STATE of a thread that frees what is no block: after its change of BALANCE.
      if (Atomics.load(i32, balance) === before) {
        giveBack(view, slot);
        return true;
      }
      Atomics.store(i32, state, OPEN);
      return false;
    }
    if (Atomics.compareExchange(i32, state, closing, OPEN) === closing) return false;
    // AGAIN was set meanwhile.
    Atomics.store(i32, state, OPEN);
  }
  return false;
}

/** Closes all that are over: before a thread says that there is no memory. @returns whether any was */
export function closeAll(view: View): boolean {
  let closed = false;
  for (let slot = 1; slot <= view.geometry.generations; slot++)
    if (stateOf(Atomics.load(view.i32, view.entry(slot) + at.STATE)) === OPEN && close(view, slot))
      closed = true;
  return closed;
}

/** Blocks of a generation that have been allocated and not freed. Exact when no thread changes it. */
export function liveBlocks(view: View, slot: number): number {
  const { i32, header, places } = view;
  let live = Atomics.load(i32, view.entry(slot) + at.BALANCE);
  const used = linesUsed(view);
  for (let cpu = 1; cpu <= used; cpu++) live += Atomics.load(i32, at.tallyAt(header, places, cpu, slot));
  return live;
}

/** Steps 3 to 5 above. */
function isOver(view: View, slot: number, balance: number): boolean {
  const { i32 } = view;
  const entry = view.entry(slot);
  if (currentSlot(view) === slot || isHeld(view, slot)) return false;
  if (liveBlocks(view, slot) > 0) return false;
  if (i32[entry + at.MOURNED] === 0 && !isEmptied(view, slot)) return false;
  return Atomics.add(i32, entry + at.BALANCE, 0) === balance;
}

/**
 * What the heap says itself. It knows of blocks that programs have freed twice without its noticing: those
 * made the tallies too small.
 */
function isEmptied(view: View, slot: number): boolean {
  try {
    const heap = heapOf(view, slot);
    heap.collect(true);
    return heap.usedBytes() <= view.i32[view.entry(slot) + at.EMPTY];
  } catch (error) {
    // This thread cannot attach, for lack of a place in the heap's thread table; one that has attached will
    // look.
    if (error instanceof AllocError) return false;
    throw error;
  }
}

/**
 * Gives all pages of a generation back. It is this thread's alone. A thread that takes over from one that has
 * died in here begins again; what is lost is the run that it had in hand at the most.
 */
export function giveBack(view: View, slot: number): void {
  const { i32, header, places, geometry } = view;
  const entry = view.entry(slot);
  view.heaps[slot] = null;
  i32[entry + at.START] = 0;
  for (let cpu = 1; cpu <= geometry.cpus; cpu++) {
    i32[at.tallyAt(header, places, cpu, slot)] = 0;
    i32[at.nameAt(header, places, cpu, slot)] = 0;
  }
  for (const field of [at.BALANCE, at.GROWTH, at.EMPTY, at.MOURNED]) i32[entry + field] = 0;
  forEachRun(view, slot, (address, count) => {
    unmarkRun(view, address, count);
    try {
      view.pages.deallocPages(address, count);
    } catch (error) {
      if (!(error instanceof AllocError)) throw error;
      // The map, or the page source's, says what cannot be: the rest goes back all the same.
      view.report(corrupted(`slot ${slot} has ${count} pages at ${address}: ${error.message}`));
    }
  });
  // Release: pairs with the exchange in takeSlot.
  Atomics.store(i32, entry + at.STATE, FREE);
}
