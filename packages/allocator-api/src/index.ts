/// <reference lib="esnext.disposable" preserve="true" />

/**
 * The vocabulary of shmalloc: addresses, layouts, errors, the allocator interfaces and the shared region.
 *
 * @packageDocumentation
 */

export {
  type Address,
  alignDown,
  alignUp,
  isAligned,
  isPowerOfTwo,
  MAX_BYTES,
  NULL,
  nextPowerOfTwo,
} from './address.ts';
export type {
  BaseAllocator,
  ByteAllocator,
  GlobalAllocator,
  IdAllocator,
  PageAllocator,
} from './allocators.ts';
export { countBits, maskOf, trailingZeros, type Word } from './bits.ts';
export { broken, type Demand, demandOf } from './broken.ts';
export {
  checkAlign,
  checkChoice,
  checkFlag,
  checkHook,
  checkInteger,
  checkOptions,
  checkRange,
  wrongLayout,
} from './check.ts';
export { AllocError, type AllocErrorCode } from './error.ts';
export { checkHandle, type Handle, type SlotHandle } from './handle.ts';
export {
  demandWord,
  HEADER_MAGIC,
  type HeaderKind,
  headerWord,
  openHeader,
  openRegion,
  publishHeader,
  writeIdentity,
} from './header.ts';
export type {
  AttachOptions,
  BlockVisitor,
  ErrorHook,
  Heap,
  HeapAlgorithm,
  HeapOptions,
  HeapStats,
  LiveBlock,
  SharedPages,
  ThreadStats,
  ValidateOptions,
  VisitOptions,
} from './heap.ts';
export { defaultAlign, Layout, SCALAR_BYTES, type ScalarType } from './layout.ts';
export { liveBlocks } from './leaks.ts';
export { checkAttachLock, LOCK_KINDS, type LockKind, notShared } from './lock-kind.ts';
export type { MemorySource, RegionOptions } from './memory-source.ts';
export { checkNullZone, isNullWrite, layNullZone, nullWordsOf, takeNullWrite } from './null-zone.ts';
export { SharedMemory } from './shared-memory.ts';
export { findSites, laySites, type Noted, type SitePlace, SiteTable, siteTableBytes } from './site-table.ts';
export { noteSites, type TracedMethods, traceHeap } from './sites.ts';
export type { ViewTypes } from './views.ts';
