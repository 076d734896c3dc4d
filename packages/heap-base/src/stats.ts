import type { HeapStats } from '@shmalloc/allocator-api';

/**
 * What `stats` tells of a heap behind a lock.
 * @public
 */
export interface LockedHeapStats extends HeapStats {
  readonly failures: number;
  readonly errors: number;
  /** Stretches of memory that it manages. */
  readonly pools: number;
}
