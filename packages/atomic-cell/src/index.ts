/**
 * Cells over words of shared memory: locks, checked borrows, block pointers and lists, and the allocator
 * wrapper built of them; and the bare operations that a lock-free allocator is made of.
 *
 * @packageDocumentation
 */

export { AtomicBlockList } from './atomic-block-list.ts';
export { AtomicBlockPtr } from './atomic-block-ptr.ts';
export { AtomicRefCell } from './atomic-ref-cell.ts';
export { backOff } from './back-off.ts';
export { BorrowCell, type BorrowOptions } from './borrow-cell.ts';
export { BorrowError, BorrowMutError } from './borrow-error.ts';
export { BorrowFlag, type Claims } from './borrow-flag.ts';
export { BorrowGuard, Ref, RefMut } from './borrow-guard.ts';
export type { Crossings } from './crossings.ts';
export { type CrossingsChoice, crossingsFor } from './crossings-for.ts';
export type { Lock } from './lock.ts';
export { MAY_BLOCK } from './may-block.ts';
export { MiAllocator, type MiAllocatorInner } from './mi-allocator.ts';
export { Mutex } from './mutex.ts';
export { RefCell } from './ref-cell.ts';
export { ReleaseError } from './release-error.ts';
export { SpinLock } from './spin-lock.ts';
export { UnsafeCell } from './unsafe-cell.ts';
