/**
 * mimalloc in shared memory, the allocator proper: without what looks at it from outside (`validate`,
 * statistics, inspection, typed blocks, scopes), and without secure mode.
 *
 * @packageDocumentation
 */

export type { MallocFamily, PosixMemalign } from './api/family.ts';
export { MiHeapCore as MiHeap, type MiHeapOptions } from './api/heaps.ts';
export { MiMallocCore as MiMalloc } from './api/mi-malloc.ts';
export type { MiAttachOptions } from './region/open.ts';
export type { MiMallocOptions } from './region/options.ts';
export { AccountingOs, type Os } from './thread/os.ts';
export type { DeferredFree } from './thread/tld.ts';
