/**
 * The byte allocators of a full machine: the one that it boots with, and those that may take its place. All of them are loaded when a CPU comes
 * up, because a CPU in the middle of a program cannot load a module.
 */

import { AllocError, checkChoice } from '@shmalloc/allocator-api';
import type { ByteAlgorithm, ByteHeap } from '@shmalloc/axalloc';
import {
  ALLOCATORS,
  type AllocatorModule,
  type AllocatorName,
  attachOptionsFor,
  entryOf,
  type LockKind,
  loadClass,
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
export async function loadAlgorithms(choice: HeapChoice, meter: HeapMeter): Promise<ByteAlgorithm[]> {
  const { allocator, swap } = choice;
  const all = [allocator, ...swap.filter((name) => name !== allocator)];
  return Promise.all(all.map((each) => loadAlgorithm(each, choice, meter)));
}

async function loadAlgorithm(
  allocator: AllocatorName | AllocatorModule,
  { lock, debug, threads }: HeapChoice,
  meter: HeapMeter,
): Promise<ByteAlgorithm> {
  const entry = entryOf(allocator);
  const heapClass = await loadClass(entry);
  const lockFree = entry.locks.includes('none');
  const kind = lockFree ? 'none' : (lock ?? entry.locks[0] ?? 'none');
  const options = {
    ...entry.options,
    ...(entry.threadsOption !== undefined && { [entry.threadsOption]: threads }),
    lock: kind,
    ...(debug !== undefined && { debug }),
  } as const;
  return {
    name: nameOf(allocator),
    create: (region) => meter.watch(asHeap(heapClass.create({ ...options, ...region })), lockFree),
    attach: (handle) =>
      meter.watch(asHeap(heapClass.attach(handle, attachOptionsFor(kind) as never)), lockFree),
  };
}

/** Demands what a heap that grows needs beyond what a machine without pages asks for. */
function asHeap(heap: object): ByteHeap {
  for (const name of ['addMemory', 'totalBytes', 'usedBytes', 'availableBytes']) {
    if (typeof (heap as Record<string, unknown>)[name] !== 'function')
      throw new AllocError('InvalidParam', `this allocator cannot grow: it has no ${name}`);
  }
  return heap as ByteHeap;
}
