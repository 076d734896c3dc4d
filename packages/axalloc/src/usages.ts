/**
 * What memory is used for: ArceOS's `UsageKind` and `Usages`. The caller says it, with the pages that it
 * takes and gives back.
 *
 * The counters are words of the header that every thread adds to. They order nothing: a figure publishes
 * nothing.
 */

import { checkChoice } from '@shmalloc/allocator-api';
import * as at from './header.ts';
import type { View } from './thread-view.ts';

/**
 * What pages can be for. `'heap'` is told and not asked for: the bytes of blocks.
 * @public
 */
export type UsageKind = 'heap' | 'virtual' | 'page-cache' | 'page-table' | 'dma' | 'global';

/** Those that a caller can name; the position is that of the counter. */
const PAGE_USAGES = ['virtual', 'page-cache', 'page-table', 'dma', 'global'] as const;

/**
 * What a caller can say that pages are for.
 * @public
 */
export type PageUsage = (typeof PAGE_USAGES)[number];

/**
 * Bytes by what they are used for.
 * @public
 */
export type Usages = Readonly<Record<UsageKind, number>>;

/**
 * Where a usage is counted.
 * @throws TypeError or AllocError `InvalidParam` for what is no usage
 */
export function counterOf(usage: PageUsage): number {
  return at.USAGES + PAGE_USAGES.indexOf(checkChoice('usage', usage, PAGE_USAGES));
}

/** Bytes of pages by usage, and of blocks. */
export function usagesOf(view: View, heap: number): Usages {
  const { i32, header, pages } = view;
  const found: Record<string, number> = { heap };
  PAGE_USAGES.forEach((usage, index) => {
    found[usage] = Math.max(0, Atomics.load(i32, header + at.USAGES + index)) * pages.pageSize;
  });
  return found as Usages;
}
