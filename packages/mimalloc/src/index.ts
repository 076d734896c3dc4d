/**
 * mimalloc in shared memory.
 *
 * @packageDocumentation
 */

export type { MallocFamily, PosixMemalign } from './api/malloc-family.ts';
export { MiAllocatorInner } from './api/mi-allocator-inner.ts';
export { type MiHeap, MiMalloc, type MiVisitOptions } from './api/mimalloc.ts';
export type { MiHeapCore, MiMallocClass, MiMallocCore } from './api/mimalloc-core.ts';
export type { Scope } from './api/scope.ts';
export type { MiHeapOptions } from './heaps/heap-plan.ts';
export type { HeapPicture, PagePicture, Picture, SegmentPicture } from './inspect/inspect.ts';
export type { MiCounters, MiStats, PageKind } from './inspect/stats.ts';
export type { MiAttachOptions } from './region/open.ts';
export type { MiMallocOptions } from './region/options.ts';
export { AccountingOs, type Os } from './thread/os.ts';
export type { DeferredFree } from './thread/thread-view.ts';
