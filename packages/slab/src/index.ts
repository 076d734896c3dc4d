/**
 * A slab allocator for several CPUs in shared memory: pages of one size of block for each CPU, and object
 * caches.
 *
 * @packageDocumentation
 */

export { type CacheHandle, type CacheOptions, type Constructor, ObjectCache } from './cache.ts';
export type { SlabOptions } from './create.ts';
export type { Shape } from './shape.ts';
export { Slab } from './slab.ts';
export type { SlabCaches } from './slab-caches.ts';
export type { SlabThread } from './slab-thread.ts';
export type { CpuStats, SlabStats } from './stats.ts';
export type { SlabCore } from './thread-view.ts';
