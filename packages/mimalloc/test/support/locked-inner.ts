/**
 * `MiAllocatorInner` behind a lock of one's choice, in the clothes that the conformance kit knows: what a kernel makes of it.
 *
 * ```
 *   handle: { memory, start } of the heap, and the memory of one lock word
 * ```
 */

import {
  type Address,
  type AllocError,
  checkChoice,
  type Handle,
  type MemorySource,
  SharedMemory,
} from '@shmalloc/allocator-api';
import { type Lock, Mutex, SpinLock } from '@shmalloc/atomic-cell';
import { MiAllocatorInner, type MiMallocOptions } from '@shmalloc/mimalloc';

interface LockedOptions extends MiMallocOptions {
  lock?: 'outside' | 'spin' | 'mutex' | undefined;
}

interface LockedHandle extends Handle {
  readonly lock: 'outside' | 'spin' | 'mutex';
  readonly word: MemorySource;
}

/** Every call goes through the lock. */
export class LockedInner {
  readonly memory: SharedMemory;
  private readonly inner: MiAllocatorInner;
  private readonly lock: Lock | null;
  private readonly kind: 'outside' | 'spin' | 'mutex';
  private readonly word: SharedMemory;

  private constructor(inner: MiAllocatorInner, kind: 'outside' | 'spin' | 'mutex', word: SharedMemory) {
    this.memory = inner.memory;
    this.inner = inner;
    this.kind = kind;
    this.word = word;
    this.lock = kind === 'outside' ? null : kind === 'spin' ? new SpinLock(word, 0) : new Mutex(word, 0);
  }

  static create({ lock = 'outside', ...options }: LockedOptions): LockedInner {
    checkChoice('lock', lock, ['outside', 'spin', 'mutex']);
    return new LockedInner(
      MiAllocatorInner.create(options),
      lock,
      SharedMemory.create({ bytes: 64, backing: 'sab' }),
    );
  }

  static attach(handle: Handle): LockedInner {
    const { lock, word } = handle as LockedHandle;
    return new LockedInner(MiAllocatorInner.attach(handle), lock, SharedMemory.from(word));
  }

  share(): LockedHandle {
    return { ...this.inner.share(), lock: this.kind, word: this.word.source };
  }

  private locked<T>(run: (inner: MiAllocatorInner) => T): T {
    this.lock?.lock();
    try {
      return run(this.inner);
    } finally {
      this.lock?.unlock();
    }
  }

  malloc(size: number): Address {
    return this.locked((inner) => inner.malloc(size));
  }
  calloc(count: number, size: number): Address {
    return this.locked((inner) => inner.calloc(count, size));
  }
  realloc(address: Address, size: number): Address {
    return this.locked((inner) => inner.realloc(address, size));
  }
  alignedAlloc(align: number, size: number): Address {
    return this.locked((inner) => inner.alignedAlloc(align, size));
  }
  free(address: Address): void {
    this.locked((inner) => inner.free(address));
  }
  usableSize(address: Address): number {
    return this.locked((inner) => inner.usableSize(address));
  }
  alloc(size: number, align: number): Address {
    return this.locked((inner) => inner.alloc(size, align));
  }
  dealloc(address: Address, size: number, align: number): void {
    this.locked((inner) => inner.dealloc(address, size, align));
  }
  init(start: Address, size: number): void {
    this.locked((inner) => inner.init(start, size));
  }
  addMemory(start: Address, size: number): void {
    this.locked((inner) => inner.addMemory(start, size));
  }
  totalBytes(): number {
    return this.locked((inner) => inner.totalBytes());
  }
  usedBytes(): number {
    return this.locked((inner) => inner.usedBytes());
  }
  availableBytes(): number {
    return this.locked((inner) => inner.availableBytes());
  }
  validate(): void {
    this.locked((inner) => inner.validate({ quiet: true }));
  }
  collect(force?: boolean): void {
    this.locked((inner) => inner.collect(force));
  }
  registerError(hook: (error: AllocError) => void): void {
    this.inner.registerError(hook);
  }
  detach(): void {
    this.inner.detach();
  }
  [Symbol.dispose](): void {
    this.detach();
  }
}
