/** Figures about the region and all CPUs in it. */

import type { HeapStats, Word } from '@shmalloc/allocator-api';
import { slotOf } from '@shmalloc/thread-heap';
import { Counter, Cpu, recordOf } from './cpu.ts';
import { Field } from './header.ts';
import { IN_FULL, LARGE, MARK, ORPHAN, Page } from './page.ts';
import { forEachPage, mostPages, pageAt } from './page-map.ts';
import type { SlabCore } from './thread-view.ts';

/**
 * What one CPU has done, and has. Counters go on when another thread becomes this CPU.
 * @public
 */
export interface CpuStats {
  /** Its number. */
  readonly cpu: number;
  /** The thread that is it now, 0 for none and for one that is expected: see `Slab.shareSlot`. */
  readonly threadId: number;
  /** Allocations that the page at hand could not serve. */
  readonly slow: number;
  /** Pages that it holds. */
  readonly pages: number;
  /** Free pages that it has taken from the page list. */
  readonly pagesTaken: number;
  /** Pages that it has given back. */
  readonly pagesReturned: number;
  /** Pages of CPUs that have gone, made its own. */
  readonly pagesAdopted: number;
  /** Blocks of other CPUs that it has freed. */
  readonly remoteFrees: number;
  /** Blocks of its full pages, freed by others, that came by way of its list. */
  readonly delayedFrees: number;
  /** Times that it has taken the page list's lock. */
  readonly locks: number;
  /** Times that it had to wait for it. */
  readonly lockWaits: number;
  /** Large blocks that it has handed out. */
  readonly large: number;
  /** Its requests that were answered with 0. */
  readonly failures: number;
}

/**
 * What `Slab.stats` tells.
 * @public
 */
export interface SlabStats extends HeapStats {
  readonly failures: number;
  readonly errors: number;
  /** Bytes of a page. */
  readonly pageBytes: number;
  /** Pages under management. */
  readonly pages: number;
  /** Pages that are in the page list, free. */
  readonly freePages: number;
  /** Pages in large blocks. */
  readonly largePages: number;
  /** Pages that no thread owns because their CPUs have gone. */
  readonly orphanPages: number;
  /** Every CPU that there was. */
  readonly cpus: readonly CpuStats[];
}

/** Bytes under management. */
export function totalBytes(slab: SlabCore): number {
  return Math.min(slab.i32[slab.header + Field.present], mostPages(slab)) * (4 << slab.pageShift);
}

/**
 * Blocks of a list that others push to, at most so many: what is being taken at this moment may lead
 * anywhere.
 */
function lengthOf(slab: SlabCore, first: Word, most: number): number {
  let length = 0;
  for (let node = first; node > 0 && length < most; node = slab.i32[node]) length++;
  return length;
}

/** Words of the blocks that wait in the lists of CPUs. */
function delayedWords(slab: SlabCore): number {
  const { i32 } = slab;
  let words = 0;
  for (let slot = 0; slot < slab.plan.slots; slot++) {
    const record = recordOf(slab, slot);
    // About one for each page.
    let left = mostPages(slab);
    for (let node = i32[record + Cpu.delayed]; node > 0 && left > 0; node = i32[node], left--) {
      const page = pageAt(slab, node);
      words += page === 0 ? 0 : i32[page + Page.stride];
    }
  }
  return words;
}

/**
 * Bytes in blocks that are handed out, rounding included. What others have freed does not count, though its
 * page's owner may not have taken it over; while they are at it the answer may be a little off. O(pages +
 * such blocks).
 */
export function usedBytes(slab: SlabCore): number {
  slab.refresh();
  let words = 0;
  // The smallest block has two words.
  const most = 1 << (slab.pageShift - 1);
  forEachPage(slab, (page) => {
    const { i32 } = slab;
    const owner = i32[page + Page.owner];
    const used = Math.min(i32[page + Page.used], most);
    if (owner === LARGE) words += i32[page + Page.count] * 2 ** slab.pageShift;
    else if (owner >= ORPHAN) {
      words += (used - lengthOf(slab, i32[page + Page.remote] & ~MARK, used)) * i32[page + Page.stride];
    }
  });
  return Math.max(0, Math.min((words - delayedWords(slab)) * 4, totalBytes(slab)));
}

/** Bytes of the region that were ever used. */
export function footprintBytes(slab: SlabCore): number {
  return slab.i32[slab.header + Field.touched] * 64;
}

/** @returns everything that can be said at this moment; other threads may be at work */
export function statsOf(slab: SlabCore): SlabStats {
  slab.refresh();
  const { i32, header } = slab;
  const pages: number[] = [];
  let largePages = 0;
  let orphanPages = 0;
  forEachPage(slab, (page) => {
    // Not one view for all: a thread may add memory meanwhile.
    const owner = slab.i32[page + Page.owner];
    if (owner === LARGE) largePages += slab.i32[page + Page.count];
    else if (owner === ORPHAN) orphanPages++;
    else if (owner > ORPHAN) {
      const slot = slotOf(owner & ~IN_FULL);
      pages[slot] = (pages[slot] ?? 0) + 1;
    }
  });
  const cpus: CpuStats[] = [];
  for (let slot = 0; slot < slab.plan.slots; slot++) {
    const record = recordOf(slab, slot);
    if (i32[record + Cpu.generation] === 0) continue;
    const counted = (counter: number): number => i32[record + Cpu.counters + counter] >>> 0;
    cpus.push({
      cpu: slot,
      threadId: i32[record + Cpu.name] === 0 ? 0 : i32[record + Cpu.thread],
      slow: counted(Counter.slow),
      pages: pages[slot] ?? 0,
      pagesTaken: counted(Counter.taken),
      pagesReturned: counted(Counter.returned),
      pagesAdopted: counted(Counter.adopted),
      remoteFrees: counted(Counter.remoteFrees),
      delayedFrees: counted(Counter.delayed),
      locks: counted(Counter.locks),
      lockWaits: counted(Counter.lockWaits),
      large: counted(Counter.large),
      failures: counted(Counter.failures),
    });
  }
  const total = totalBytes(slab);
  const used = usedBytes(slab);
  return {
    algorithm: 'slab',
    lock: slab.lockKind,
    totalBytes: total,
    usedBytes: used,
    availableBytes: total - used,
    footprintBytes: footprintBytes(slab),
    pageBytes: 4 << slab.pageShift,
    pages: i32[header + Field.present],
    freePages: i32[header + Field.freePages],
    largePages,
    orphanPages,
    failures: cpus.reduce((sum, { failures }) => sum + failures, 0),
    errors: i32[header + Field.errors] >>> 0,
    threads: cpus
      .filter(({ threadId }) => threadId !== 0)
      .map(({ threadId, lockWaits, remoteFrees, pages: held, failures }) => ({
        threadId,
        lockWaits,
        remoteFrees,
        heldBytes: held * (4 << slab.pageShift),
        failures,
      })),
    cpus,
  };
}
