/**
 * mimalloc in shared memory.
 *
 * @packageDocumentation
 */

export { MiHeap, MiMalloc, type MiVisitOptions } from './complete.ts';
export type { MallocFamily, PosixMemalign } from './family.ts';
export type { Guard } from './guard.ts';
export type { MiHeapCore, MiHeapOptions } from './heaps.ts';
export type { HeapPicture, PagePicture, Picture, SegmentPicture } from './inspect.ts';
export { MiAllocatorInner } from './mi-allocator-inner.ts';
export type { MiMallocCore } from './mi-malloc.ts';
export type { MiAttachOptions } from './open.ts';
export type { MiMallocOptions } from './options.ts';
export { AccountingOs, type Os } from './os.ts';
export type { Scope } from './scope.ts';
export type { MiCounters, MiStats, PageKind } from './statistics.ts';
export type { DeferredFree, Tld } from './tld.ts';
