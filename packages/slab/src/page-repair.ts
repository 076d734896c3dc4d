/**
 * The page list from the pages. For a holder of the lock: when the one before has died in the middle, or
 * something was written over.
 *
 * ```
 *   root, PRESENT ──▶ CHUNK_LOW, CHUNK_HIGH      OWNER, COUNT ──▶ FREE bits, PRESENT, FREE_PAGES, HINT, ORPHANS
 * ```
 *
 * O(pages), whatever stands there.
 */

import { CHUNK_BITS, CHUNK_PAGES, CLASSES } from './geometry.ts';
import { Field } from './header.ts';
import { LARGE, NO_OWNER, ORPHAN, Page, STATE } from './page.ts';
import { chunkBounds, descriptorIn, freeWord, isPresent, presentWord, tableOf } from './page-map.ts';
import type { SlabCore } from './thread-view.ts';

function ones(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** Makes bits, chains and counts from what the pages themselves say. */
export function repairList(slab: SlabCore): void {
  const { i32, header, plan } = slab;
  i32.fill(0, header + Field.orphans, header + Field.orphans + CLASSES);
  let low = 0;
  let high = 0;
  let freePages = 0;
  let present = 0;
  let taken = 0;
  for (let chunk = 0; chunk < plan.allChunks; chunk++) {
    const table = tableOf(slab, chunk);
    if (table === 0) continue;
    for (let index = chunk << CHUNK_BITS, end = index + CHUNK_PAGES; index < end; index++) {
      const page = descriptorIn(table, index);
      const owner = i32[page + Page.owner];
      const here = isPresent(slab, index);
      if (here) {
        if (high === 0) low = chunk;
        high = chunk + 1;
      }
      if (owner === LARGE) taken = index + i32[page + Page.count];
      else if (owner === ORPHAN) {
        i32[page + Page.index] = index;
        const head = header + Field.orphans + (i32[page + Page.class] & (CLASSES - 1));
        i32[page + Page.next] = i32[head];
        i32[head] = page;
      }
      const free = here && owner === NO_OWNER && index >= taken;
      if (free) i32[freeWord(table, index)] |= 1 << index;
      else i32[freeWord(table, index)] &= ~(1 << index);
      if (free) freePages++;
      if (here && owner !== STATE) present++;
    }
  }
  i32[header + Field.chunkLow] = low;
  i32[header + Field.chunkHigh] = high;
  i32[header + Field.freePages] = freePages;
  i32[header + Field.present] = present;
  i32[header + Field.hint] = low;
  // Pages of memory that a dead thread was adding are free now, and others have not heard of it. Release as
  // in `addPages`.
  Atomics.add(i32, header + Field.epoch, 1);
}

/**
 * Holds the counts against the bits, and repairs the list when they do not agree. When memory is short: what
 * is not counted is not found.
 */
export function checkCounts(slab: SlabCore): void {
  const { i32, header, plan } = slab;
  const { low, high } = chunkBounds(slab);
  let free = 0;
  let hidden = 0;
  for (let chunk = 0; chunk < plan.allChunks; chunk++) {
    const table = tableOf(slab, chunk);
    for (let first = 0; table !== 0 && first < CHUNK_PAGES; first += 32) {
      const bits = i32[freeWord(table, first)];
      const here = i32[presentWord(table, first)];
      free += ones(bits & here);
      if (here !== 0 && (chunk < low || chunk >= high)) hidden++;
    }
  }
  if (hidden === 0 && free === i32[header + Field.freePages]) return;
  slab.noteDamage(
    `${free} pages are free, ${i32[header + Field.freePages]} are counted, in chunks ${i32[header + Field.chunkLow]} to ${i32[header + Field.chunkHigh]}`,
  );
  repairList(slab);
}
