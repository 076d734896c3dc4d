/**
 * What a further heap of a thread is to be: a program's options, checked.
 */

import { AllocError, checkInteger } from '@shmalloc/allocator-api';
import { arenasOf } from '../segment/bounds.ts';
import type { Tld } from '../thread/thread-view.ts';

/** What a new heap is to be. */
export interface HeapPlan {
  readonly tag: number;
  readonly arena: number;
}

/** The largest tag. */
const TAG_MAX = 255;

/**
 * What a heap is made with.
 * @public
 */
export interface MiHeapOptions {
  /** A number of the program's choice, 0 … 255, that inspection and `visitBlocks` show. Default 0. */
  tag?: number | undefined;
  /**
   * An exclusive arena, as `addArena` has returned it: the heap takes memory from there and from nowhere
   * else. Default: the heap's common memory.
   */
  arena?: number | undefined;
}

/** Fills in what was not said. */
export function heapPlan(tld: Tld, { tag = 0, arena = 0 }: MiHeapOptions): HeapPlan {
  if (checkInteger('tag', tag) > TAG_MAX) {
    throw new AllocError('InvalidParam', `tag must lie between 0 and ${TAG_MAX}, got ${tag}`);
  }
  if (checkInteger('arena', arena) > arenasOf(tld)) {
    throw new AllocError('InvalidParam', `arena must be what addArena returned, got ${arena}`);
  }
  return { tag, arena };
}
