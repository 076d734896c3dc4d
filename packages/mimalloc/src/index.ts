/**
 * mimalloc in shared memory.
 *
 * @packageDocumentation
 */

export { MiHeap, MiMalloc, type MiVisitOptions } from './api/complete.ts';
export type { MallocFamily, PosixMemalign } from './api/family.ts';
export type { MiHeapCore, MiHeapOptions } from './api/heaps.ts';
export { MiAllocatorInner } from './api/mi-allocator-inner.ts';
export type { MiMallocCore } from './api/mi-malloc.ts';
export type { Scope } from './api/scope.ts';
export type { HeapPicture, PagePicture, Picture, SegmentPicture } from './inspect/inspect.ts';
export type { MiCounters, MiStats, PageKind } from './inspect/statistics.ts';
export type { MiAttachOptions } from './region/open.ts';
export type { MiMallocOptions } from './region/options.ts';
export type { Guard } from './thread/guard.ts';
export { AccountingOs, type Os } from './thread/os.ts';
export type { DeferredFree, Tld } from './thread/tld.ts';
