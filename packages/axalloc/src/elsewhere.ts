/**
 * Blocks of generations that this thread does not announce: it visits them, and leaves.
 *
 * ```
 *   show the visit ─▶ is the generation there, and does the map still say so? ─▶ count, use the heap
 *        ─▶ end the visit ─▶ look whether it is over
 * ```
 */

import { type Address, AllocError } from '@shmalloc/allocator-api';
import { close, heapAt, isThere } from './generations.ts';
import * as at from './header.ts';
import { beginVisit, endVisit } from './presence.ts';
import type { View } from './thread-view.ts';

/** What a heap would say of a block that it does not know. */
export function notAllocated(operation: string, address: Address): AllocError {
  return new AllocError('NotAllocated', `${operation}(${address}): no such block is handed out`);
}

/** Damage that stands in the way of a call is its answer. */
function damage(error: unknown): AllocError {
  if (error instanceof AllocError && error.code === 'Corrupted') return error;
  throw error;
}

/**
 * Frees a block of another generation.
 * @returns null when it is back; else what is wrong
 */
export function freeElsewhere(view: View, slot: number, address: Address): AllocError | null {
  const { i32 } = view;
  const balance = view.entry(slot) + at.BALANCE;
  beginVisit(view, slot);
  try {
    const heap = heapAt(view, slot, address);
    if (heap === null) return notAllocated('free', address);
    Atomics.sub(i32, balance, 1);
    // Not there only for a block that was free already: see step 6 in `generations.ts`. The count goes with
    // the generation.
    if (!isThere(view, slot)) return notAllocated('free', address);
    const error = heap.tryFree(address);
    if (error !== null && error.code !== 'Corrupted') Atomics.add(i32, balance, 1);
    return error;
  } catch (error) {
    return damage(error);
  } finally {
    endVisit(view);
    close(view, slot);
  }
}

/**
 * Asks for a block's usable bytes in another generation.
 * @returns bytes, or what is wrong
 */
export function usableElsewhere(
  view: View,
  slot: number,
  address: Address,
  operation: string,
): number | AllocError {
  beginVisit(view, slot);
  try {
    const heap = heapAt(view, slot, address);
    return heap === null ? notAllocated(operation, address) : heap.tryUsableSize(address);
  } catch (error) {
    return damage(error);
  } finally {
    endVisit(view);
    // A closer may have seen this visit and given up.
    close(view, slot);
  }
}
