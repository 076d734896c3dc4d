/**
 * mimalloc in shared memory, the allocator proper: without what looks at it from outside (`validate`,
 * statistics, inspection, typed blocks, scopes), and without secure mode.
 *
 * @packageDocumentation
 */

export type { MallocFamily, PosixMemalign } from './family.ts';
export { MiHeapCore as MiHeap, type MiHeapOptions } from './heaps.ts';
export { MiMallocCore as MiMalloc } from './mi-malloc.ts';
export type { MiAttachOptions } from './open.ts';
export type { MiMallocOptions } from './options.ts';
export { AccountingOs, type Os } from './os.ts';
export type { DeferredFree } from './tld.ts';
