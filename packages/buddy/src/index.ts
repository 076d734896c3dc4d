/**
 * The binary buddy system: blocks of powers of two, each at a multiple of its size.
 *
 * @packageDocumentation
 */

export { Buddy, type BuddyOptions, type BuddyStats, type Rescue } from './buddy.ts';
export { FrameLists } from './frame-lists.ts';
export { FrameAllocator } from './frames.ts';
export { OrderLists } from './orders.ts';
export type { Pool, PoolLayout } from './pool.ts';
