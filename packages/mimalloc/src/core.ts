/**
 * mimalloc in shared memory, the allocator proper: without what looks at it from outside (`validate`,
 * statistics, inspection, typed blocks, scopes), and without secure mode.
 *
 * @packageDocumentation
 */

export type { MallocFamily, PosixMemalign } from './api/malloc-family.ts';
export { type MiHeapCore, type MiMallocClass, MiMallocCore } from './api/mimalloc-core.ts';
export type { MiHeapOptions } from './heaps/heap-plan.ts';
export type { MiAttachOptions } from './region/open.ts';
export type { MiMallocOptions } from './region/options.ts';
export { AccountingOs, type Os } from './thread/os.ts';
export type { DeferredFree } from './thread/thread-view.ts';
