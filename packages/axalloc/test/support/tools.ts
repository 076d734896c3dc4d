/** Algorithms and page sources for the tests, and random numbers with a seed that is printed. */

import { AllocError, type HeapAlgorithm, type LockKind, type SharedPages } from '@shmalloc/allocator-api';
import { AxAlloc, type AxAllocOptions, type AxHandle } from '@shmalloc/axalloc';
import { Basic } from '@shmalloc/basic';
import { BitmapPages } from '@shmalloc/bitmap';
import { Buddy } from '@shmalloc/buddy';
import { MiMalloc } from '@shmalloc/mimalloc';
import { Slab } from '@shmalloc/slab';
import { Tlsf } from '@shmalloc/tlsf';

export type AlgorithmName = 'mimalloc' | 'tlsf' | 'buddy' | 'basic' | 'slab';
export type Lock = LockKind;
export const NAMES: readonly AlgorithmName[] = ['mimalloc', 'tlsf', 'buddy', 'basic', 'slab'];

/** The algorithms of the workspace, as a kernel would register them. */
export function algorithmsWith(options: {
  lock?: Lock | undefined;
  debug?: boolean | undefined;
}): HeapAlgorithm[] {
  const { lock = 'spin', debug = false } = options;
  // What guards such a heap each thread has to know.
  const said = lock === 'outside' ? ({ lock } as const) : {};
  return [
    {
      algorithm: 'mimalloc',
      create: (range) => MiMalloc.create({ ...range, debug, threads: 24 }),
      attach: (handle) => MiMalloc.attach(handle),
    },
    {
      algorithm: 'tlsf',
      create: (range) => Tlsf.create({ ...range, lock, debug }),
      attach: (handle) => Tlsf.attach(handle, said),
    },
    {
      algorithm: 'buddy',
      create: (range) => Buddy.create({ ...range, lock, debug }),
      attach: (handle) => Buddy.attach(handle, said),
    },
    {
      algorithm: 'basic',
      create: (range) => Basic.create({ ...range, lock, debug, policy: 'best' }),
      attach: (handle) => Basic.attach(handle, said),
    },
    {
      algorithm: 'slab',
      create: (range) => Slab.create({ ...range, debug, threads: 24 }),
      attach: (handle) => Slab.attach(handle),
    },
  ];
}

export const ALGORITHMS: HeapAlgorithm[] = algorithmsWith({});

/** An allocator over a region of its own. */
export function allocatorOver(
  bytes: number,
  options: Partial<AxAllocOptions> = {},
): { pages: SharedPages; allocator: AxAlloc } {
  const pages = options.pages ?? BitmapPages.create({ bytes });
  const allocator = AxAlloc.create({ algorithms: ALGORITHMS, algorithm: 'tlsf', ...options, pages });
  return { pages, allocator };
}

export function attachTo(handle: AxHandle): AxAlloc {
  return AxAlloc.attach(handle, {
    attachPages: (pages) => BitmapPages.attach(pages),
    algorithms: ALGORITHMS,
  });
}

/**
 * Swaps, unless there are no pages for a heap at this moment, or too many old ones hold blocks: then nothing
 * has changed.
 */
export function trySwap(allocator: AxAlloc, name: string): void {
  try {
    allocator.swap(name);
  } catch (error) {
    if (!(error instanceof AllocError && error.code === 'NoMemory')) throw error;
  }
}

export { randomOf, seedOf } from '../../../alloc-test/dist-test/support/threads.js';
