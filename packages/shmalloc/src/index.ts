/**
 * Memory allocators for shared memory and real threads: the heaps, their contract, and the cells, by one
 * name.
 *
 * Each package is there whole as well, as `shmalloc/mimalloc`, `shmalloc/tlsf` and so on; a program that
 * imports one of these loads no other.
 *
 * @packageDocumentation
 */

export * from '@shmalloc/allocator-api';
export {
  AtomicBlockList,
  AtomicBlockPtr,
  AtomicRefCell,
  BorrowError,
  BorrowFlag,
  BorrowMutError,
  type Lock,
  MiAllocator,
  Mutex,
  Ref,
  RefCell,
  RefMut,
  SpinLock,
  UnsafeCell,
} from '@shmalloc/atomic-cell';
export {
  AllocatorRc,
  AxAlloc,
  type AxAllocOptions,
  type AxHandle,
  type AxStats,
  GlobalPage,
} from '@shmalloc/axalloc';
export { Basic, BasicBest, BasicFirst, type BasicOptions, BasicWorst } from '@shmalloc/basic';
export { BitmapIds, type BitmapIdsOptions, BitmapPages, type BitmapPagesOptions } from '@shmalloc/bitmap';
export { Buddy, type BuddyOptions, type BuddyStats } from '@shmalloc/buddy';
export {
  MiAllocatorInner,
  type MiAttachOptions,
  type MiHeap,
  type MiHeapOptions,
  MiMalloc,
  type MiMallocOptions,
  type MiStats,
} from '@shmalloc/mimalloc';
export { ObjectCache, Slab, type SlabOptions, type SlabStats } from '@shmalloc/slab';
export { Tlsf } from '@shmalloc/tlsf';
