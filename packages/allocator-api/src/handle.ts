import type { Address } from './address.ts';
import { AllocError } from './error.ts';
import type { MemorySource } from './memory-source.ts';

/**
 * What one thread posts to another so that it can attach to the same allocator. Structured-cloneable.
 * Everything else (sizes, locks, geometry) is read from the allocator's header in the region.
 * @public
 */
export interface Handle {
  /** Which algorithm's header lies there: `'tlsf'`, `'mimalloc'`, … */
  readonly algorithm: string;
  /** The memory that holds the region. */
  readonly memory: MemorySource;
  /** Where in it the header lies, in bytes. */
  readonly start: Address;
}

/**
 * What one thread attaches with, once, under a name that is known before it starts.
 * @public
 */
export interface SlotHandle extends Handle {
  /** The `threadId` that it will have; 0 where an algorithm knows no threads. */
  readonly threadId: number;
}

/**
 * Demands a handle of this algorithm.
 * @param handle - what arrived
 * @param algorithm - the algorithm that is to attach
 * @throws TypeError when it is no handle, AllocError `InvalidParam` when it belongs to another algorithm
 * @public
 */
export function checkHandle(handle: unknown, algorithm: string): Handle {
  const { algorithm: found, memory, start } = (handle ?? {}) as Partial<Handle>;
  if (typeof found !== 'string' || typeof memory !== 'object' || typeof start !== 'number') {
    throw new TypeError(
      `handle must be what share() returned, got ${Object.prototype.toString.call(handle)}`,
    );
  }
  if (found !== algorithm) {
    throw new AllocError('InvalidParam', `handle belongs to the algorithm ${found}, not to ${algorithm}`);
  }
  return handle as Handle;
}
