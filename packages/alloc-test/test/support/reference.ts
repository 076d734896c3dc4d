/**
 * The simplest heap that keeps the whole contract: one list of blocks in the order of addresses, searched
 * from the front. Slow, short, and here to show that the kit lets a correct allocator pass.
 *
 * ```
 *  header  │ magic │ version │ lock kind │ lock │ used bytes │ pools │ pool 0: first, end │ … │ pool 7 │
 *  block   │ bytes, this header included; +1 when in use │ unused │ payload, 16-byte aligned … │
 * ```
 */

import {
  AllocError,
  type AttachOptions,
  alignUp,
  type BlockVisitor,
  checkAlign,
  checkChoice,
  checkHandle,
  checkInteger,
  checkOptions,
  type ErrorHook,
  findSites,
  type Handle,
  type Heap,
  type HeapOptions,
  type HeapStats,
  type Layout,
  type LiveBlock,
  laySites,
  liveBlocks,
  openRegion,
  SharedMemory,
  type SlotHandle,
  traceHeap,
  type VisitOptions,
} from '@shmalloc/allocator-api';

const MAGIC = 0x52454652;
const VERSION = 1;
const LOCKS = ['outside', 'spin', 'mutex'] as const;
const MAX_POOLS = 8;

/** Fields of the header, in words. */
const LOCK_KIND = 2;
const LOCK = 3;
const USED = 4;
const POOLS = 5;
const POOL = 6;
/** Behind the pools. */
const SITES = POOL + 2 * MAX_POOLS;
const HEADER_BYTES = 128;

/** Bytes in front of a payload, and the unit of block sizes. */
const HEAD = 8;
const UNIT = 16;

export class Reference implements Heap {
  static readonly algorithm: string = 'reference';
  readonly threadId = 0;
  readonly memory: SharedMemory;
  readonly #header: number;
  #attached = true;
  #onError: ErrorHook;

  constructor(memory: SharedMemory, start: number) {
    this.memory = memory;
    this.#header = start / 4;
    this.#onError = () => {};
  }

  static create<H extends Reference>(
    this: new (
      memory: SharedMemory,
      start: number,
    ) => H,
    options: HeapOptions = {},
  ): H {
    checkOptions(options, []);
    const lock = checkChoice('lock', options.lock ?? 'outside', LOCKS);
    const memory = openRegion(options);
    const start = alignUp(memory.start, 64);
    if (start + HEADER_BYTES + 64 > memory.end) {
      throw new AllocError('RegionTooSmall', `region [${memory.start}, ${memory.end}) is too small`);
    }
    memory.u32.set([MAGIC, VERSION, LOCKS.indexOf(lock), 0, 0, 0], start / 4);
    if (memory.sites !== null) laySites(memory.i32, memory.sites);
    memory.i32[start / 4 + SITES] = memory.sites?.table ?? 0;
    const heap = new this(memory, start);
    heap.init(start + HEADER_BYTES, memory.end - start - HEADER_BYTES);
    if (options.onError !== undefined) heap.registerError(options.onError);
    traceHeap(heap);
    return heap;
  }

  static attach<H extends Reference>(
    this: new (
      memory: SharedMemory,
      start: number,
    ) => H,
    from: Handle,
    { onError }: AttachOptions = {},
  ): H {
    const { memory: source, start } = checkHandle(from, 'reference');
    const memory = SharedMemory.from(source, start);
    if (start % 64 !== 0 || start + HEADER_BYTES > memory.end)
      throw new AllocError('InvalidParam', `no heap at ${start}`);
    const [magic, version] = memory.u32.subarray(start / 4, start / 4 + 2);
    if (magic !== MAGIC || version !== VERSION) {
      throw new AllocError('InvalidParam', `wrong magic ${magic} or version ${version}`);
    }
    memory.sites = findSites(memory.i32, memory.i32[start / 4 + SITES]);
    const heap = new this(memory, start);
    if (onError !== undefined) heap.registerError(onError);
    traceHeap(heap);
    return heap;
  }

  share(): Handle {
    return { algorithm: 'reference', memory: this.memory.source, start: this.#header * 4 };
  }

  detach(): void {
    this.#attached = false;
  }

  [Symbol.dispose](): void {
    this.detach();
  }

  shareSlot(): SlotHandle {
    return { ...this.share(), threadId: 0 };
  }

  reap(): void {}

  collect(_force?: boolean): void {}

  registerError(hook: ErrorHook): void {
    this.#onError = hook;
  }

  malloc(size: number): number {
    return this.#allocate(checkInteger('size', size), 16);
  }

  calloc(count: number, size: number): number {
    const bytes = checkInteger('count', count) * checkInteger('size', size);
    const address = this.#allocate(bytes, 16);
    if (address !== 0) this.memory.u8.fill(0, address, address + bytes);
    return address;
  }

  alignedAlloc(align: number, size: number): number {
    checkAlign('align', align);
    return this.#allocate(checkInteger('size', size), Math.max(16, align));
  }

  realloc(address: number, size: number): number {
    checkInteger('address', address);
    checkInteger('size', size);
    if (address === 0) return this.malloc(size);
    const usable = this.usableSize(address);
    if (size <= usable) return address;
    const moved = this.malloc(size);
    if (moved === 0) return 0;
    this.memory.u8.copyWithin(moved, address, address + usable);
    this.free(address);
    return moved;
  }

  free(address: number): void {
    const error = this.tryFree(address);
    if (error !== null) this.#onError(error);
  }

  tryFree(address: number): AllocError | null {
    if (checkInteger('address', address) === 0) return null;
    return this.#locked(() => this.#release(address)) ? null : notAllocated('free', address);
  }

  tryRealloc(address: number, size: number): number | AllocError {
    const live = address === 0 || this.#locked(() => this.isLive(address));
    return live ? this.realloc(address, size) : notAllocated('realloc', address);
  }

  usableSize(address: number): number {
    if (checkInteger('address', address) === 0) return 0;
    return this.#locked(() => (this.isLive(address) ? this.#sizeAt(address - HEAD) - HEAD : 0));
  }

  tryUsableSize(address: number): number | AllocError {
    const live = address === 0 || this.#locked(() => this.isLive(address));
    return live ? this.usableSize(address) : notAllocated('usableSize', address);
  }

  visitBlocks(visitor: BlockVisitor, { threadId = 0 }: VisitOptions = {}): void {
    if (threadId !== 0) return;
    this.#locked(() => {
      for (const [first, end] of this.#pools()) {
        for (let block = first; block < end; block += this.#sizeAt(block)) {
          if (!this.#inUse(block)) continue;
          if (visitor(block + HEAD, this.#sizeAt(block) - HEAD, 0, 0) === false) return;
        }
      }
    });
  }

  leaks(): LiveBlock[] {
    return liveBlocks(this);
  }

  footprintBytes(): number {
    return this.totalBytes() + HEADER_BYTES;
  }

  stats(): HeapStats {
    return {
      algorithm: this.share().algorithm,
      lock: LOCKS[this.memory.i32[this.#header + LOCK_KIND]],
      totalBytes: this.totalBytes(),
      usedBytes: this.usedBytes(),
      availableBytes: this.availableBytes(),
      footprintBytes: this.footprintBytes(),
      failures: null,
      errors: null,
      threads: [{ threadId: 0, lockWaits: null, remoteFrees: null, heldBytes: null, failures: null }],
    };
  }

  allocLayout({ size, align }: Layout): number {
    return this.alloc(size, align);
  }

  deallocLayout(address: number, { size, align }: Layout): void {
    this.dealloc(address, size, align);
  }

  alloc(size: number, align: number): number {
    const address = this.alignedAlloc(align, size);
    if (address === 0) throw new AllocError('NoMemory', `no ${size} bytes aligned to ${align}`);
    return address;
  }

  dealloc(address: number, size: number, align: number): void {
    checkInteger('address', address);
    checkInteger('size', size);
    checkAlign('align', align);
    if (!this.#locked(() => this.#release(address))) {
      throw new AllocError('NotAllocated', `dealloc(${address}): no such block is handed out`);
    }
  }

  init(start: number, size: number): void {
    this.#checkRange(start, size);
    this.#locked(() => {
      const { u32 } = this.memory;
      u32[this.#header + USED] = u32[this.#header + POOLS] = 0;
    });
    this.addMemory(start, size);
  }

  addMemory(start: number, size: number): void {
    const [first, end] = this.#checkRange(start, size);
    this.#locked(() => {
      for (const [from, to] of this.#pools()) {
        if (first < to && end > from)
          throw new AllocError('MemoryOverlap', `[${start}, ${start + size}) is managed`);
      }
      const { u32 } = this.memory;
      const count = u32[this.#header + POOLS];
      if (count === MAX_POOLS) throw new AllocError('NoMemory', `more than ${MAX_POOLS} pools`);
      u32[this.#header + POOL + 2 * count] = first;
      u32[this.#header + POOL + 2 * count + 1] = end;
      u32[this.#header + POOLS] = count + 1;
      u32[first >>> 2] = end - first;
    });
  }

  totalBytes(): number {
    return this.#locked(() => this.#pools().reduce((sum, [first, end]) => sum + end - first, 0));
  }

  usedBytes(): number {
    return this.#locked(() => this.memory.u32[this.#header + USED]);
  }

  availableBytes(): number {
    return this.totalBytes() - this.usedBytes();
  }

  validate(): void {
    this.#locked(() => {
      let used = 0;
      for (const [first, end] of this.#pools()) {
        let block = first;
        for (; block < end; block += this.#sizeAt(block)) {
          const size = this.#sizeAt(block);
          if (size < UNIT || size % UNIT !== 0) throw new Error(`the block at ${block} has ${size} bytes`);
          if (this.#inUse(block)) used += size;
        }
        if (block !== end) throw new Error(`the pool at ${first} does not end in a block's end`);
      }
      const counted = this.memory.u32[this.#header + USED];
      if (used !== counted) throw new Error(`${used} bytes are in use, counted are ${counted}`);
    });
  }

  /** Whether a block in use starts here; by walking all of them, so exact. */
  protected isLive(address: number): boolean {
    for (const [first, end] of this.#pools()) {
      if (address < first || address >= end) continue;
      for (let block = first; block < end && block < address; block += this.#sizeAt(block)) {
        if (block + HEAD === address) return this.#inUse(block);
      }
    }
    return false;
  }

  #sizeAt(block: number): number {
    return this.memory.u32[block >>> 2] - (this.memory.u32[block >>> 2] & 1);
  }

  #inUse(block: number): boolean {
    return (this.memory.u32[block >>> 2] & 1) === 1;
  }

  #allocate(bytes: number, align: number): number {
    return this.#locked(() => {
      const { u32 } = this.memory;
      const need = alignUp(bytes + HEAD, UNIT);
      if (bytes > 2 ** 32 - 64) return 0;
      for (const [first, end] of this.#pools()) {
        for (let block = first; block < end; block += this.#sizeAt(block)) {
          if (this.#inUse(block)) continue;
          const size = this.#mergedSize(block, end);
          const gap = alignUp(block + HEAD, align) - HEAD - block;
          if (gap + need > size) continue;
          if (gap > 0) u32[block >>> 2] = gap;
          u32[(block + gap) >>> 2] = need + 1;
          if (gap + need < size) u32[(block + gap + need) >>> 2] = size - gap - need;
          u32[this.#header + USED] += need;
          return block + gap + HEAD;
        }
      }
      return 0;
    });
  }

  /** Swallows the free blocks behind a free block. */
  #mergedSize(block: number, end: number): number {
    let size = this.#sizeAt(block);
    while (block + size < end && !this.#inUse(block + size)) size += this.#sizeAt(block + size);
    this.memory.u32[block >>> 2] = size;
    return size;
  }

  #release(address: number): boolean {
    if (!this.isLive(address)) return false;
    this.memory.u32[(address - HEAD) >>> 2] -= 1;
    this.memory.u32[this.#header + USED] -= this.#sizeAt(address - HEAD);
    return true;
  }

  #pools(): [first: number, end: number][] {
    const { u32 } = this.memory;
    const at = this.#header + POOL;
    return Array.from({ length: u32[this.#header + POOLS] }, (_, pool) => [
      u32[at + 2 * pool],
      u32[at + 2 * pool + 1],
    ]);
  }

  /** Where the blocks of a range start and end. */
  #checkRange(start: number, size: number): [first: number, end: number] {
    const end = checkInteger('start', start) + checkInteger('size', size);
    this.memory.refresh();
    if (end > this.memory.byteLength)
      throw new AllocError('InvalidParam', `[${start}, ${end}) is outside the memory`);
    const state = this.#header * 4;
    if (start < state + HEADER_BYTES && end > state) {
      throw new AllocError('MemoryOverlap', `[${start}, ${end}) covers the header`);
    }
    const first = alignUp(start + HEAD, UNIT) - HEAD;
    const units = Math.floor((end - first) / UNIT);
    if (units < 1) throw new AllocError('RegionTooSmall', `[${start}, ${end}) is too small`);
    return [first, first + units * UNIT];
  }

  #locked<T>(run: () => T): T {
    if (!this.#attached) throw new AllocError('InvalidParam', 'this heap is detached');
    const { i32 } = this.memory;
    const lock = this.#header + LOCK;
    const locks = i32[this.#header + LOCK_KIND] !== 0;
    while (locks && Atomics.compareExchange(i32, lock, 0, 1) !== 0) Atomics.wait(i32, lock, 1, 1);
    try {
      // Another thread may have added memory.
      this.memory.refresh();
      return run();
    } finally {
      if (locks) {
        Atomics.store(i32, lock, 0);
        Atomics.notify(i32, lock, 1);
      }
    }
  }
}

function notAllocated(operation: string, address: number): AllocError {
  return new AllocError('NotAllocated', `${operation}(${address}): no such block is handed out`);
}
