/** A byte allocator in several hands: ArceOS's `AllocatorRc`. */

import { type Address, AllocError, type ByteAllocator } from '@shmalloc/allocator-api';

/** What a container needs of an allocator. */
type Blocks = Pick<ByteAllocator, 'alloc' | 'dealloc'>;

/** The allocator and how many hold it. */
interface Shared<A extends Blocks> {
  readonly allocator: A;
  readonly last: (allocator: A) => void;
  handles: number;
}

/**
 * A counted handle on a byte allocator, for containers: each keeps one for as long as it has blocks, and the
 * allocator is let go with the last.
 *
 * The count is this thread's; another thread attaches to the allocator and counts for itself.
 *
 * @example
 * ```ts
 * const rc = AllocatorRc.of(MiMalloc.attach(handle), (heap) => heap.detach());
 * const vector = new Vector(rc.retain()); // releases it when it is dropped
 * rc.release();
 * ```
 * @public
 */
export class AllocatorRc<A extends Blocks> {
  private shared: Shared<A> | null;

  private constructor(shared: Shared<A>) {
    shared.handles++;
    this.shared = shared;
  }

  /**
   * The first handle.
   * @param allocator - any byte allocator
   * @param last - called when the last handle is released. Default: nothing
   */
  static of<A extends Blocks>(allocator: A, last: (allocator: A) => void = () => {}): AllocatorRc<A> {
    if (typeof allocator?.alloc !== 'function' || typeof allocator.dealloc !== 'function')
      throw new TypeError(
        `allocator must have alloc and dealloc, got ${Object.prototype.toString.call(allocator)}`,
      );
    return new AllocatorRc({ allocator, last, handles: 0 });
  }

  /** Another handle on the same allocator. O(1). */
  retain(): AllocatorRc<A> {
    return new AllocatorRc(this.held());
  }

  /** This handle is done; a second time does nothing. O(1). */
  release(): void {
    const { shared } = this;
    this.shared = null;
    if (shared !== null && --shared.handles === 0) shared.last(shared.allocator);
  }

  /** Releases. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** How many handles there are. */
  get count(): number {
    return this.held().handles;
  }

  /** The allocator. */
  get allocator(): A {
    return this.held().allocator;
  }

  /** As the allocator's. */
  alloc(size: number, align: number): Address {
    return this.held().allocator.alloc(size, align);
  }

  /** As the allocator's. */
  dealloc(address: Address, size: number, align: number): void {
    this.held().allocator.dealloc(address, size, align);
  }

  /** Demands that it is held. */
  private held(): Shared<A> {
    if (this.shared === null) throw new AllocError('InvalidParam', 'this AllocatorRc is released');
    return this.shared;
  }
}
