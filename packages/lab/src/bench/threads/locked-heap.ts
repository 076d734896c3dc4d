/**
 * `MiAllocatorInner`, which is for one thread at a time, with one lock around it: what a heap for each thread
 * is measured against.
 */

import { type Handle, SharedMemory } from '@shmalloc/allocator-api';
import { type Lock, Mutex, SpinLock } from '@shmalloc/atomic-cell';
import { MiAllocatorInner } from '@shmalloc/mimalloc';
import type { SharedHeap } from './contestant.ts';

/** One lock word on a cache line of its own. */
const LOCK_BYTES = 64;

/** @internal */
export type LockKind = 'spin' | 'mutex';

interface LockedHandle {
  readonly inner: Handle;
  readonly kind: LockKind;
  readonly word: SharedArrayBuffer;
}

/**
 * One thread's access to the heap. Every call goes through the lock.
 * @internal
 */
export class LockedHeap implements SharedHeap {
  private readonly inner: MiAllocatorInner;
  private readonly lock: Lock;
  private readonly kind: LockKind;
  private readonly word: SharedArrayBuffer;

  private constructor(inner: MiAllocatorInner, kind: LockKind, word: SharedArrayBuffer) {
    this.inner = inner;
    this.kind = kind;
    this.word = word;
    const memory = SharedMemory.from(word);
    this.lock = kind === 'spin' ? new SpinLock(memory, 0) : new Mutex(memory, 0);
  }

  static create(bytes: number, kind: LockKind): LockedHeap {
    return new LockedHeap(MiAllocatorInner.create({ bytes }), kind, new SharedArrayBuffer(LOCK_BYTES));
  }

  static attach(handle: unknown): LockedHeap {
    const { inner, kind, word } = handle as LockedHandle;
    return new LockedHeap(MiAllocatorInner.attach(inner), kind, word);
  }

  get memory(): SharedMemory {
    return this.inner.memory;
  }

  share(): LockedHandle {
    return { inner: this.inner.share(), kind: this.kind, word: this.word };
  }

  malloc(size: number): number {
    this.lock.lock();
    try {
      return this.inner.malloc(size);
    } finally {
      this.lock.unlock();
    }
  }

  free(address: number): void {
    this.lock.lock();
    try {
      this.inner.free(address);
    } finally {
      this.lock.unlock();
    }
  }

  footprintBytes(): number {
    return this.inner.footprintBytes();
  }

  detach(): void {
    this.inner.detach();
  }
}
