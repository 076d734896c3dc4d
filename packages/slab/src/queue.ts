/**
 * The pages of a class that a CPU looks at: a list in a ring, so that its first page knows the last.
 *
 * ```
 *   CURRENT[class] ──▶ page ⇄ page ⇄ page ⇄ (the first again)        without a page: EMPTY
 * ```
 *
 * Blocks come from the first; a page that comes back from being full goes to the end, and has time to get
 * more blocks back.
 *
 * Links are looked at before they are followed, by `isDescriptor` and by the link that leads back. When one
 * is wrong the list is made from the pages whose OWNER this CPU is, and the error noted.
 */

import type { Word } from '@shmalloc/allocator-api';
import { Cpu } from './cpu.ts';
import { CLASSES } from './geometry.ts';
import { Page } from './page.ts';
import { forEachPage, isDescriptor, mostPages } from './page-map.ts';
import type { SlabCore } from './thread-view.ts';

/** A class that there is, whatever stands in a descriptor: no list of it lies elsewhere. */
export function classIn(slab: SlabCore, page: Word): number {
  return slab.i32[page + Page.class] & (CLASSES - 1);
}

/** Whether a page can be in a list of this CPU: it is one, its own, of the class, and not full. */
export function isListable(slab: SlabCore, page: Word, index: number): boolean {
  const { i32 } = slab;
  return (
    isDescriptor(slab, page) && i32[page + Page.owner] === slab.threadId && i32[page + Page.class] === index
  );
}

/**
 * Whether what stands first in a list of this CPU can be there: this CPU's name and the class are found
 * nowhere but in descriptors, and in few other words. What is looked at further before it is used: its blocks
 * by `isNode`, its neighbours when it leaves the list.
 */
export function isFirst(slab: SlabCore, page: Word, index: number): boolean {
  const { i32 } = slab;
  return i32[page + Page.owner] === slab.threadId && i32[page + Page.class] === index;
}

/**
 * Makes the list of a class from this CPU's pages, one page left out, and notes that it had to. O(pages).
 *
 * A page counts where its INDEX says that it lies, and so once, whatever the root says: `appendPage` finds
 * nothing to make again here.
 */
export function rebuildList(slab: SlabCore, index: number, except: Word): void {
  slab.noteDamage(`the list of class ${index} of cpu ${slab.cpuId} was not one`);
  slab.i32[slab.cpu + Cpu.current + index] = slab.empty;
  forEachPage(slab, (page, number) => {
    if (page !== except && slab.i32[page + Page.index] === number && isListable(slab, page, index))
      appendPage(slab, page);
  });
}

/**
 * Puts a page at the end of its class's list. The page whose place it takes has to name the first one as its
 * next: what stands in CURRENT may be no page.
 *
 * In one piece and short: it is compiled into `free`.
 */
export function appendPage(slab: SlabCore, page: Word): void {
  const { i32 } = slab;
  const head = slab.cpu + Cpu.current + classIn(slab, page);
  const first = i32[head];
  if (first === slab.empty) {
    i32[page + Page.next] = page;
    i32[page + Page.prev] = page;
    i32[head] = page;
    return;
  }
  const last = i32[first + Page.prev];
  if (i32[last + Page.next] !== first || first === page) {
    rebuildList(slab, classIn(slab, page), 0);
    return;
  }
  i32[page + Page.next] = first;
  i32[page + Page.prev] = last;
  i32[last + Page.next] = page;
  i32[first + Page.prev] = page;
}

/** Takes a page out of its class's list. */
export function removePage(slab: SlabCore, page: Word): void {
  const { i32 } = slab;
  const index = classIn(slab, page);
  const head = slab.cpu + Cpu.current + index;
  const next = i32[page + Page.next];
  const prev = i32[page + Page.prev];
  if (i32[next + Page.prev] !== page || i32[prev + Page.next] !== page) {
    rebuildList(slab, index, page);
    return;
  }
  if (next === page) {
    i32[head] = slab.empty;
    return;
  }
  i32[prev + Page.next] = next;
  i32[next + Page.prev] = prev;
  if (i32[head] === page) i32[head] = next;
}

/** The pages of a list of this CPU. */
export function listedPages(slab: SlabCore, index: number): readonly Word[] {
  for (let tries = 0; tries < 2; tries++) {
    const pages: Word[] = [];
    const first = slab.i32[slab.cpu + Cpu.current + index];
    if (first === slab.empty) return pages;
    let page = first;
    do {
      pages.push(page);
      page = isListable(slab, page, index) ? slab.i32[page + Page.next] : 0;
    } while (page !== first && page !== 0 && pages.length <= mostPages(slab));
    if (page === first) return pages;
    rebuildList(slab, index, 0);
  }
  return [];
}
