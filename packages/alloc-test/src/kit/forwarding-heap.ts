/** A heap that hands every call on: for wrappers that are to be tested as a heap. */

import type {
  Address,
  AllocError,
  BlockVisitor,
  ErrorHook,
  Handle,
  Heap,
  HeapStats,
  Layout,
  LiveBlock,
  SharedMemory,
  SlotHandle,
  ValidateOptions,
  VisitOptions,
} from '@shmalloc/allocator-api';

/** What does not touch the heap's state, and so needs no guard. */
type Own = 'memory' | 'threadId' | 'share' | 'shareSlot' | 'registerError' | 'detach';

/**
 * Hands every call on to another heap.
 * @public
 */
export abstract class ForwardingHeap<H extends Omit<Heap, Own>> implements Heap {
  abstract readonly memory: SharedMemory;
  abstract readonly threadId: number;
  abstract share(): Handle;
  abstract registerError(hook: ErrorHook): void;
  abstract detach(): void;
  /** Runs a call on the heap: here a wrapper takes its lock, or counts. */
  protected abstract use<T>(call: (heap: H) => T): T;

  shareSlot(): SlotHandle {
    return { ...this.share(), threadId: 0 };
  }
  [Symbol.dispose](): void {
    this.detach();
  }
  malloc(size: number): Address {
    return this.use((heap) => heap.malloc(size));
  }
  calloc(count: number, size: number): Address {
    return this.use((heap) => heap.calloc(count, size));
  }
  realloc(address: Address, size: number): Address {
    return this.use((heap) => heap.realloc(address, size));
  }
  alignedAlloc(align: number, size: number): Address {
    return this.use((heap) => heap.alignedAlloc(align, size));
  }
  free(address: Address): void {
    this.use((heap) => heap.free(address));
  }
  usableSize(address: Address): number {
    return this.use((heap) => heap.usableSize(address));
  }
  tryFree(address: Address): AllocError | null {
    return this.use((heap) => heap.tryFree(address));
  }
  tryRealloc(address: Address, size: number): Address | AllocError {
    return this.use((heap) => heap.tryRealloc(address, size));
  }
  tryUsableSize(address: Address): number | AllocError {
    return this.use((heap) => heap.tryUsableSize(address));
  }
  alloc(size: number, align: number): Address {
    return this.use((heap) => heap.alloc(size, align));
  }
  dealloc(address: Address, size: number, align: number): void {
    this.use((heap) => heap.dealloc(address, size, align));
  }
  allocLayout(layout: Layout): Address {
    return this.use((heap) => heap.allocLayout(layout));
  }
  deallocLayout(address: Address, layout: Layout): void {
    this.use((heap) => heap.deallocLayout(address, layout));
  }
  init(start: Address, size: number): void {
    this.use((heap) => heap.init(start, size));
  }
  addMemory(start: Address, size: number): void {
    this.use((heap) => heap.addMemory(start, size));
  }
  totalBytes(): number {
    return this.use((heap) => heap.totalBytes());
  }
  usedBytes(): number {
    return this.use((heap) => heap.usedBytes());
  }
  availableBytes(): number {
    return this.use((heap) => heap.availableBytes());
  }
  footprintBytes(): number {
    return this.use((heap) => heap.footprintBytes());
  }
  reap(threadId: number): void {
    this.use((heap) => heap.reap(threadId));
  }
  collect(force?: boolean): void {
    this.use((heap) => heap.collect(force));
  }
  visitBlocks(visitor: BlockVisitor, options?: VisitOptions): void {
    this.use((heap) => heap.visitBlocks(visitor, options));
  }
  leaks(): LiveBlock[] {
    return this.use((heap) => heap.leaks());
  }
  validate(options?: ValidateOptions): void {
    this.use((heap) => heap.validate(options));
  }
  stats(): HeapStats {
    return this.use((heap) => heap.stats());
  }
}
