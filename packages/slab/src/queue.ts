/**
 * The pages of a class that a CPU looks at: a list in a ring, so that its first page knows the last.
 *
 * ```
 *   CURRENT[class] ──▶ page ⇄ page ⇄ page ⇄ (the first again)        without a page: EMPTY
 * ```
 *
 * Blocks come from the first; a page that comes back from being full goes to the end, and has time to get more blocks back.
 */

import type { SlabCore } from './core.ts';
import { Cpu } from './cpu.ts';
import type { Word } from './geometry.ts';
import { Page } from './page.ts';

const CURRENT = Cpu.current;
const NEXT = Page.next;
const PREV = Page.prev;
const CLASS = Page.class;

/** Puts a page at the end of its class's list. */
export function appendPage(slab: SlabCore, page: Word): void {
  const { i32 } = slab;
  const head = slab.cpu + CURRENT + i32[page + CLASS];
  const first = i32[head];
  if (first === slab.empty) {
    i32[page + NEXT] = page;
    i32[page + PREV] = page;
    i32[head] = page;
    return;
  }
  const last = i32[first + PREV];
  i32[page + NEXT] = first;
  i32[page + PREV] = last;
  i32[last + NEXT] = page;
  i32[first + PREV] = page;
}

/** Takes a page out of its class's list. */
export function removePage(slab: SlabCore, page: Word): void {
  const { i32 } = slab;
  const head = slab.cpu + CURRENT + i32[page + CLASS];
  const next = i32[page + NEXT];
  if (next === page) {
    i32[head] = slab.empty;
    return;
  }
  const prev = i32[page + PREV];
  i32[prev + NEXT] = next;
  i32[next + PREV] = prev;
  if (i32[head] === page) i32[head] = next;
}
