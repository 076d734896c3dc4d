/** Figures. */

import type { HeapStats } from '@shmalloc/allocator-api';
import { liveBlocks, visit } from './generations.ts';
import * as at from './header.ts';
import { pagesOf } from './page-map.ts';
import { currentSlot } from './presence.ts';
import type { View } from './thread-view.ts';

/**
 * One heap among those that hold blocks.
 * @public
 */
export interface GenerationStats {
  /** The algorithm. */
  readonly name: string;
  /** Running number, from 1. */
  readonly number: number;
  /** Whether new blocks come from it. */
  readonly current: boolean;
  /** Blocks that are handed out. */
  readonly blocks: number;
  /** Pages that it has. */
  readonly pages: number;
  readonly totalBytes: number;
  readonly usedBytes: number;
  /** What the heap tells of itself. */
  readonly heap: HeapStats;
}

/**
 * What {@link AxPages.stats} tells.
 * @public
 */
export interface AxStats {
  readonly algorithm: 'axalloc';
  /** The current byte algorithm. */
  readonly name: string;
  /** Bytes that the byte heaps manage. */
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly availableBytes: number;
  readonly totalPages: number;
  readonly usedPages: number;
  readonly availablePages: number;
  /** Pages of this allocator's own state. */
  readonly statePages: number;
  /** How often the algorithm was swapped. */
  readonly swaps: number;
  /** How often a heap has grown. */
  readonly growths: number;
  /** Requests answered with 0. */
  readonly failures: number;
  /** Wrong calls that were reported. */
  readonly errors: number;
  /** The heaps, the current one and the old ones that still hold blocks. */
  readonly generations: readonly GenerationStats[];
}

/** Adds up a figure of all heaps. */
export function sumOf(view: View, figure: 'totalBytes' | 'usedBytes' | 'availableBytes'): number {
  view.demandOpen();
  let sum = 0;
  for (let slot = 1; slot <= view.geometry.generations; slot++)
    sum += visit(view, slot, (heap) => heap[figure]()) ?? 0;
  return sum;
}

/** Bytes that were ever touched: the state's, and what each heap says. */
export function footprintOf(view: View): number {
  view.demandOpen();
  let sum = view.places.bytes;
  for (let slot = 1; slot <= view.geometry.generations; slot++)
    sum += visit(view, slot, (heap) => heap.footprintBytes()) ?? 0;
  return sum;
}

/** What each generation is like. */
export function generationsOf(view: View): GenerationStats[] {
  view.demandOpen();
  const found: GenerationStats[] = [];
  for (let slot = 1; slot <= view.geometry.generations; slot++) {
    const entry = view.entry(slot);
    const one = visit(view, slot, (heap) => ({
      name: at.readName(view.memory, entry),
      number: view.i32[entry + at.ID] >>> at.SLOT_BITS,
      current: currentSlot(view) === slot,
      blocks: liveBlocks(view, slot),
      pages: pagesOf(view, slot),
      totalBytes: heap.totalBytes(),
      usedBytes: heap.usedBytes(),
      heap: heap.stats(),
    }));
    if (one !== null) found.push(one);
  }
  return found.sort((one, other) => one.number - other.number);
}
