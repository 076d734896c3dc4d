/**
 * `MiAllocatorInner` behind a lock of one's choice, in the clothes that the conformance kit knows: what a
 * kernel makes of it.
 *
 * ```
 *   handle: { memory, start } of the heap, and the memory of one lock word
 * ```
 */

import { ForwardingHeap } from '@shmalloc/alloc-test';
import {
  type AttachOptions,
  checkChoice,
  type ErrorHook,
  type Handle,
  type MemorySource,
  SharedMemory,
} from '@shmalloc/allocator-api';
import { type Lock, Mutex, SpinLock } from '@shmalloc/atomic-cell';
import { MiAllocatorInner, type MiMallocOptions } from '@shmalloc/mimalloc';

interface LockedHandle extends Handle {
  readonly lock: 'outside' | 'spin' | 'mutex';
  readonly word: MemorySource;
}

/** Every call goes through the lock. */
export class LockedInner extends ForwardingHeap<MiAllocatorInner> {
  static readonly algorithm = 'mimalloc';

  readonly memory: SharedMemory;
  private readonly inner: MiAllocatorInner;
  private readonly lock: Lock | null;
  private readonly kind: 'outside' | 'spin' | 'mutex';
  private readonly word: SharedMemory;

  private constructor(inner: MiAllocatorInner, kind: 'outside' | 'spin' | 'mutex', word: SharedMemory) {
    super();
    this.memory = inner.memory;
    this.inner = inner;
    this.kind = kind;
    this.word = word;
    this.lock = kind === 'outside' ? null : kind === 'spin' ? new SpinLock(word, 0) : new Mutex(word, 0);
  }

  static create({ lock = 'outside', ...options }: MiMallocOptions = {}): LockedInner {
    const kind = checkChoice('lock', lock, ['outside', 'spin', 'mutex'] as const);
    return new LockedInner(
      MiAllocatorInner.create(options),
      kind,
      SharedMemory.create({ bytes: 64, backing: 'sab' }),
    );
  }

  static attach(handle: Handle, { lock: _lock, ...options }: AttachOptions = {}): LockedInner {
    const inner = MiAllocatorInner.attach(handle, options);
    const { lock, word } = handle as LockedHandle;
    return new LockedInner(inner, lock, SharedMemory.from(word));
  }

  share(): LockedHandle {
    return { ...this.inner.share(), lock: this.kind, word: this.word.source };
  }

  get threadId(): number {
    return this.inner.threadId;
  }

  protected override use<T>(call: (inner: MiAllocatorInner) => T): T {
    this.lock?.lock();
    try {
      return call(this.inner);
    } finally {
      this.lock?.unlock();
    }
  }

  override validate(): void {
    super.validate({ quiet: true });
  }

  registerError(hook: ErrorHook): void {
    this.inner.registerError(hook);
  }
  detach(): void {
    this.inner.detach();
  }
}
