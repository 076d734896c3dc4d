/**
 * What the lock-based algorithms share: the region header, the allocator contract behind a lock, and boundary
 * tags.
 *
 * @packageDocumentation
 */

export { brokenHeap, demand, NEXT_FREE, PREV_LINK } from './block.ts';
export { BoundaryTagHeap } from './boundary-tags.ts';
export { attachHeap, createHeap, type HeapClass } from './create.ts';
export { GuardedHeap } from './guarded-heap.ts';
export { Field, type HeapLayout } from './header.ts';
export { LockedHeap } from './locked-heap.ts';
export { BOUNDARY_TAG_STATE_WORDS, PoolHeap, type WalkVisitor } from './pools.ts';
export { SharedHeap } from './shared-heap.ts';
export type { LockedHeapStats } from './stats.ts';
