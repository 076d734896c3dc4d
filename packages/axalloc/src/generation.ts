/**
 * One generation: the word that says what it is at, and its heap as this thread sees it. What becomes of it
 * is in `generations.ts`.
 */

import { AllocError, broken, type Handle, type Heap, type HeapAlgorithm } from '@shmalloc/allocator-api';
import * as at from './header.ts';
import { slotOf } from './page-map.ts';
import type { View } from './thread-view.ts';

/** States; above them, from bit 8, the CPU that is at it. */
export const FREE = 0;
export const MAKING = 1;
export const OPEN = 2;
export const CLOSING = 3;
export const GOING = 4;
const STATE_MASK = 7;
export const AGAIN = 8;
const CPU_SHIFT = 8;

export function stateOf(word: number): number {
  return word & STATE_MASK;
}

export function cpuOf(word: number): number {
  return word >>> CPU_SHIFT;
}

export function stateWord(view: View, state: number): number {
  return state | (view.cpu << CPU_SHIFT);
}

/** @throws AllocError `InvalidParam` when a text does not fit into a generation's entry */
export function demandText(what: string, text: string): void {
  if (typeof text !== 'string' || text === '' || !at.fitsText(text))
    throw new AllocError(
      'InvalidParam',
      `${what} must be a text of 1 to 47 bytes, got ${JSON.stringify(text)}`,
    );
}

/**
 * The heap of a generation that this thread announces, visits, closes or makes.
 * @throws whatever `attach` does, and AllocError `InvalidParam` when this thread does not know the algorithm,
 *   `Corrupted` when the entry cannot be right
 */
export function heapOf(view: View, slot: number): Heap {
  const { i32 } = view;
  const entry = view.entry(slot);
  const known = view.heaps[slot];
  if (known !== null && known !== undefined && view.ids[slot] === i32[entry + at.ID]) return known;
  const name = at.readName(view.memory, entry);
  const algorithm = view.algorithms.get(name);
  if (algorithm === undefined)
    throw new AllocError('InvalidParam', `this thread has no algorithm ${JSON.stringify(name)}`);
  const handle: Handle = {
    algorithm: at.readKind(view.memory, entry),
    memory: view.memory.source,
    start: i32[entry + at.START] >>> 0,
  };
  if (slotOf(view, handle.start) !== slot)
    throw corrupted(`the heap of slot ${slot} is said to lie at ${handle.start}, in no page of it`);
  const heap = attachHeap(algorithm, handle, slot);
  keepHeap(view, slot, heap);
  return heap;
}

/** Attaches; a heap that is not where the entry says is damage, and no fault of the caller. */
function attachHeap(algorithm: HeapAlgorithm, handle: Handle, slot: number): Heap {
  try {
    return algorithm.attach(handle);
  } catch (error) {
    const foreign = error instanceof AllocError ? error.code === 'InvalidParam' : isWrongKind(error);
    throw foreign
      ? corrupted(`slot ${slot} has no heap of ${algorithm.algorithm}: ${(error as Error).message}`)
      : error;
  }
}

function isWrongKind(error: unknown): boolean {
  return error instanceof RangeError || error instanceof TypeError;
}

export function corrupted(what: string): AllocError {
  return broken(at.ALGORITHM, what);
}

export function keepHeap(view: View, slot: number, heap: Heap): void {
  view.heaps[slot] = heap;
  view.ids[slot] = view.i32[view.entry(slot) + at.ID];
  view.i32[at.nameAt(view.header, view.places, view.cpu, slot)] = heap.threadId;
  // Damage that a call of the heap finds on its way. Wrong calls are answers here.
  heap.registerError((error) => view.report(error));
}
