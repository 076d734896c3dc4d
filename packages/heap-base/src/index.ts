/**
 * What the lock-based algorithms share: the region header, the allocator contract behind a lock, and boundary tags.
 *
 * @packageDocumentation
 */

export { brokenHeap, demand, NEXT_FREE, PREV_LINK } from './block.ts';
export { BoundaryTagHeap } from './boundary-tags.ts';
export { type AttachOptions, attachHeap, createHeap, type HeapClass, type HeapOptions } from './create.ts';
export { GuardedHeap } from './guarded-heap.ts';
export { Field, type HeapLayout, LOCK_KINDS, type LockKind, type Word } from './header.ts';
export { LockedHeap } from './locked-heap.ts';
export { type BlockVisitor, BOUNDARY_TAG_STATE_WORDS, PoolHeap } from './pools.ts';
export type { HeapStats } from './stats.ts';
