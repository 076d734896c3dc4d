/**
 * Live blocks with the place where they were allocated, the heap that they are of, and when: for a program
 * that asks what has been allocated since a moment and not been freed.
 */

import { AllocError, type LiveBlock } from '@shmalloc/allocator-api';
import { visit } from './generations.ts';
import * as at from './header.ts';
import type { View } from './thread-view.ts';

/**
 * A live block of an allocator that was made with `tracking`.
 * @public
 */
export interface TrackedBlock extends LiveBlock {
  /** Which allocation it was, from 0 on, modulo 2³². */
  readonly number: number;
  /** Of the heap that it is of, as in {@link GenerationStats}. */
  readonly generation: number;
}

/** See `AxPages.allocationCount`. */
export function countOf(view: View): number {
  view.demandOpen();
  if (view.sites === null)
    throw new AllocError('Unsupported', 'this axalloc allocator was made without tracking');
  return view.sites.number;
}

/** See `AxPages.allocationsIn`. */
export function trackedBlocks(view: View, from: number, to: number): TrackedBlock[] {
  countOf(view);
  const found: TrackedBlock[] = [];
  for (let slot = 1; slot <= view.geometry.generations; slot++) {
    const generation = view.i32[view.entry(slot) + at.ID] >>> at.SLOT_BITS;
    visit(view, slot, (heap) =>
      heap.visitBlocks((address, size, tag) => {
        const noted = view.sites?.of(address) ?? null;
        if (noted === null || noted.number < from || noted.number >= to) return;
        found.push({ address, size, tag, threadId: 0, ...noted, generation });
      }),
    );
  }
  return found.sort((one, other) => one.number - other.number);
}
