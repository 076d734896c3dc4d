/**
 * The byte allocators of a full machine: the one that it boots with, and those that may take its place. All
 * of them are loaded when a CPU comes up, because a CPU in the middle of a program cannot load a module.
 */

import {
  AllocError,
  checkChoice,
  type Heap,
  type HeapAlgorithm,
  type LockKind,
} from '@shmalloc/allocator-api';
import {
  ALLOCATORS,
  type AllocatorModule,
  type AllocatorName,
  attachOptionsFor,
  entryOf,
  loadAlgorithm,
} from '../allocators.ts';
import type { HeapMeter } from './meter.ts';

/**
 * Which byte allocators a machine has, in a form that can be posted.
 * @public
 */
export interface HeapChoice {
  /** The one that it boots with. */
  readonly allocator: AllocatorName | AllocatorModule;
  /** Those that may take its place. */
  readonly swap: readonly AllocatorName[];
  /** The lock that the user has asked for; undefined: the usual one of each. */
  readonly lock: LockKind | undefined;
  readonly debug: boolean | undefined;
  /** Threads that will use them. */
  readonly threads: number;
}

/** What a choice is called: the name, or that of the module's export. */
export function nameOf(allocator: AllocatorName | AllocatorModule): string {
  return typeof allocator === 'string' ? allocator : allocator.exportName;
}

/**
 * What may be swapped in, as names.
 * @param wanted - true for all
 * @throws TypeError or AllocError `InvalidParam` for what is no list of names
 */
export function swapNames(wanted: boolean | readonly AllocatorName[] | undefined): readonly AllocatorName[] {
  const all = Object.keys(ALLOCATORS) as AllocatorName[];
  if (wanted === undefined || wanted === false) return [];
  if (wanted === true) return all;
  if (!Array.isArray(wanted))
    throw new TypeError(`paged.swap must be true, false or a list of names, got ${String(wanted)}`);
  return wanted.map((name) => checkChoice('paged.swap', name, all));
}

/**
 * Loads the modules.
 * @param meter - is told of every heap that this thread makes or attaches to
 * @returns the one to boot with first
 */
export async function loadAlgorithms(choice: HeapChoice, meter: HeapMeter): Promise<HeapAlgorithm[]> {
  const { allocator, swap } = choice;
  const all = [allocator, ...swap.filter((name) => name !== allocator)];
  return Promise.all(all.map((each) => watched(each, choice, meter)));
}

/** An algorithm that a machine uses with its lock, and of whose heaps the meter hears. */
async function watched(
  allocator: AllocatorName | AllocatorModule,
  { lock, debug, threads }: HeapChoice,
  meter: HeapMeter,
): Promise<HeapAlgorithm> {
  const entry = entryOf(allocator);
  const algorithm = await loadAlgorithm(entry);
  const kind = entry.locks.includes('none') ? 'none' : (lock ?? entry.locks[0] ?? 'none');
  const options = { ...entry.options, lock: kind, ...(debug !== undefined && { debug }) };
  return {
    algorithm: nameOf(allocator),
    create: (region): Heap => meter.watch(whole(algorithm.create({ ...region, ...options, threads }))),
    attach: (handle): Heap => meter.watch(whole(algorithm.attach(handle, attachOptionsFor(kind)))),
  };
}

/**
 * What a heap that grows out of pages needs beyond what a machine without pages asks for: a module of the
 * user's may lack it.
 */
const NEEDED = [
  'addMemory',
  'totalBytes',
  'usedBytes',
  'availableBytes',
  'tryFree',
  'tryRealloc',
  'tryUsableSize',
  'reap',
] as const;

/** @throws AllocError `InvalidParam` for a heap without one of these */
function whole(heap: Heap): Heap {
  for (const name of NEEDED)
    if (typeof heap[name] !== 'function')
      throw new AllocError('InvalidParam', `this allocator cannot grow: it has no ${name}`);
  return heap;
}
