/**
 * The check of everything. Other threads may be at work: what they are in the middle of looks broken at one
 * look, and is another thing at the next.
 *
 * ```
 *   said at any time                                     said when it is quiet
 *   the state's own pages are on the map                 each run on the map begins with its mark
 *   CURRENT names a slot, and the slot has its id        the current generation is open, no other is half made or half gone
 *   each state is one of those that there are            (the heaps and the page part say more as well)
 *   a slot that is free has no pages      ┐ seen unchanged,
 *   no count of blocks is below 0         ┘ all its words
 * ```
 */

import { type Demand, demandOf } from '@shmalloc/allocator-api';
import { cpuOf, FREE, GOING, OPEN, stateOf } from './generation.ts';
import { visit } from './generations.ts';
import * as at from './header.ts';
import { forEachRun, pagesOf, slotOf } from './page-map.ts';
import { currentSlot, linesUsed } from './presence.ts';
import type { View } from './thread-view.ts';

const demand: Demand = demandOf(at.ALGORITHM);

/** How often something has to look broken, and unchanged. */
const LOOKS = 4;

/**
 * Walks everything.
 * @throws AllocError `Corrupted` with the first broken invariant, and what the heaps and the page part throw
 */
export function validateAll(view: View, quiet: boolean): void {
  view.demandOpen();
  const { geometry, places, header } = view;
  demand(
    slotOf(view, header * 4) === at.OWN_PAGES,
    'the map does not know the pages of the allocator itself',
  );
  demand(pagesOf(view, at.OWN_PAGES) * view.pages.pageSize >= places.bytes, 'the own state leaves its pages');
  validateMap(view, quiet);
  validateCurrent(view, quiet);
  for (let slot = 1; slot <= geometry.generations; slot++) validateSlot(view, slot, quiet);
  view.pages.validate({ quiet });
}

/**
 * A byte names a slot that there is. Where no thread is marking pages, a run begins with its mark, and only
 * there.
 */
function validateMap(view: View, quiet: boolean): void {
  const { u8, map, mapPages, geometry } = view;
  let before = 0;
  for (let page = 0; page < mapPages; page++) {
    const byte = u8[map + page];
    const slot = byte & at.SLOT_MASK;
    const known = slot <= geometry.generations || slot === at.OWN_PAGES;
    demand(known && byte !== at.RUN_BEGINS, `the map says ${byte} of page ${view.firstPage + page}`);
    if (quiet && slot !== 0 && slot !== before)
      demand(byte !== slot, `page ${view.firstPage + page} of slot ${slot} belongs to no run`);
    before = slot;
  }
}

function validateCurrent(view: View, quiet: boolean): void {
  const { i32, header, geometry } = view;
  const wrong = unchanged(() => {
    const id = Atomics.load(i32, header + at.CURRENT);
    const slot = id & at.SLOT_MASK;
    if (slot < 1 || slot > geometry.generations) return `the current generation has slot ${slot}`;
    const found = Atomics.load(i32, view.entry(slot) + at.ID);
    return found === id ? '' : `the current generation is ${id}, and its slot ${slot} says ${found}`;
  });
  demand(wrong === '', wrong);
  // A thread that has just made it current has not opened it yet, or one that has looked at the slot before
  // is closing it in vain.
  if (quiet)
    demand(
      stateOf(Atomics.load(i32, view.entry(currentSlot(view)) + at.STATE)) === OPEN,
      'the current generation is not open',
    );
}

function validateSlot(view: View, slot: number, quiet: boolean): void {
  const { i32, geometry } = view;
  const entry = view.entry(slot);
  const word = Atomics.load(i32, entry + at.STATE);
  demand(stateOf(word) <= GOING && cpuOf(word) <= geometry.cpus, `slot ${slot} has state ${word}`);
  if (quiet)
    demand(word === OPEN || word === FREE, `slot ${slot} is half made or half gone: its state is ${word}`);
  visit(view, slot, (heap) => {
    // Within the visit the generation stays, and so does the run that its heap lies in.
    const start = i32[entry + at.START] >>> 0;
    let inside = false;
    forEachRun(view, slot, (address, count) => {
      inside ||= start >= address && start < address + count * view.pages.pageSize;
    });
    demand(inside, `the heap of slot ${slot} at ${start} lies in no page of it`);
    heap.validate({ quiet });
  });
  const left = unchanged(() => {
    const free = (): boolean => Atomics.load(i32, entry + at.STATE) === FREE;
    const pages = free() ? pagesOf(view, slot) : 0;
    return pages > 0 && free() ? `slot ${slot} is free and has ${pages} pages` : '';
  });
  demand(left === '', left);
  const live = liveUnchanged(view, slot);
  demand(live >= 0, `slot ${slot} has ${live} blocks`);
}

/** What is said at each of several looks in the same words; '' when one of them says something else. */
function unchanged(look: () => string): string {
  const said = look();
  for (let again = 1; again < LOOKS && said !== ''; again++) if (look() !== said) return '';
  return said;
}

/**
 * The blocks of a generation as of one moment: all its counts were the same at all looks. 0 when they change,
 * since a sum of counts of different moments can be anything.
 */
function liveUnchanged(view: View, slot: number): number {
  const first = countsOf(view, slot);
  for (let again = 1; again < LOOKS; again++) if (countsOf(view, slot).join() !== first.join()) return 0;
  return first.reduce((sum, count) => sum + count, 0);
}

function countsOf(view: View, slot: number): number[] {
  const { i32, header, places } = view;
  const state = Atomics.load(i32, view.entry(slot) + at.STATE);
  // Counts of a generation that is being made, or given back, are being written.
  if (stateOf(state) !== OPEN) return [0];
  const counts = [Atomics.load(i32, view.entry(slot) + at.BALANCE)];
  for (let cpu = linesUsed(view); cpu >= 1; cpu--)
    counts.push(Atomics.load(i32, at.tallyAt(header, places, cpu, slot)));
  return counts;
}
