/**
 * What is injected: the byte part and the page part, by the contract of `@shmalloc/allocator-api`. This
 * package knows no algorithm by name, and imports none.
 *
 * ```
 *      programs
 *         │ malloc free …                 │ allocPages …
 *   ┌─────▼──────────────┐                │
 *   │ AxAlloc            │────────────────┤
 *   └─────┬──────────────┘  runs of pages │
 *   ┌─────▼──────────────┐         ┌──────▼─────────┐
 *   │ Heap, several      │         │ SharedPages    │
 *   │ of HeapAlgorithms  │         │                │
 *   └────────────────────┘         └────────────────┘
 * ```
 */

import type { Handle } from '@shmalloc/allocator-api';

/**
 * What another thread attaches with.
 * @public
 */
export interface AxHandle extends Handle {
  /** The page part's. */
  readonly pages: Handle;
}
