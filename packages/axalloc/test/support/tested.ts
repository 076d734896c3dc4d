/**
 * A two-level allocator as the conformance kit wants a heap: over a region of its own, one class for each
 * algorithm inside. Its total is that of all pages, since that is what a request can be met from; memory that
 * is added goes to the page part.
 */

import { ForwardingHeap } from '@shmalloc/alloc-test';
import {
  type AttachOptions,
  checkInteger,
  type ErrorHook,
  type Handle,
  type Heap,
  type HeapAlgorithm,
  type HeapOptions,
  type HeapStats,
  type SharedMemory,
} from '@shmalloc/allocator-api';
import { AxAlloc, type AxHandle, type GrowthPolicy } from '@shmalloc/axalloc';
import { BitmapPages } from '@shmalloc/bitmap';
import { type AlgorithmName, algorithmsWith } from './tools.js';

interface Options extends HeapOptions {
  policy?: Partial<GrowthPolicy>;
}

class Tested extends ForwardingHeap<AxAlloc & Heap> {
  private readonly algorithm: AlgorithmName;
  private readonly pages: BitmapPages;
  private readonly options: Options;
  private allocator: AxAlloc;

  constructor(algorithm: AlgorithmName, pages: BitmapPages, options: Options, allocator?: AxAlloc) {
    super();
    this.algorithm = algorithm;
    this.pages = pages;
    this.options = options;
    this.allocator = allocator ?? this.begin();
  }

  static over(algorithm: AlgorithmName, options: Options): Tested {
    const { lock: _, debug: _d, policy: _p, threads: _t, grow: _g, onError: _e, ...region } = options;
    return new Tested(algorithm, BitmapPages.create(region), options);
  }

  static at(algorithm: AlgorithmName, handle: Handle, { lock, onError }: AttachOptions = {}): Tested {
    let pages: BitmapPages | undefined;
    const allocator = AxAlloc.attach(handle as AxHandle, {
      attachPages: (of) => {
        pages = BitmapPages.attach(of);
        return pages;
      },
      algorithms: algorithmsWith({ lock }),
      onError,
    });
    return new Tested(algorithm, pages as BitmapPages, {}, allocator);
  }

  private begin(): AxAlloc {
    const { lock, debug, policy, maxBytes, onError } = this.options;
    return AxAlloc.create({
      pages: this.pages,
      algorithms: algorithmsWith({ lock, debug }),
      algorithm: this.algorithm,
      threads: 24,
      policy,
      limit: maxBytes,
      tracking: debug,
      onError,
    });
  }

  get memory(): SharedMemory {
    return this.allocator.memory;
  }
  get threadId(): number {
    return this.allocator.threadId;
  }
  share(): Handle {
    return this.allocator.share();
  }
  detach(): void {
    this.allocator.detach();
  }
  registerError(hook: ErrorHook): void {
    this.allocator.registerError(hook);
  }
  protected override use<T>(call: (allocator: AxAlloc & Heap) => T): T {
    return call(this.allocator as AxAlloc & Heap);
  }

  override init(start: number, size: number): void {
    checkInteger('start', start);
    checkInteger('size', size);
    this.pages.init(start, size);
    this.allocator = this.begin();
  }
  override addMemory(start: number, size: number): void {
    this.pages.addMemory(start, size);
  }
  override totalBytes(): number {
    return this.allocator.totalPages() * this.allocator.pageSize;
  }
  override availableBytes(): number {
    return this.totalBytes() - this.usedBytes();
  }
  override stats(): HeapStats {
    const { failures, errors } = this.allocator.stats();
    const { threadId } = this;
    return {
      algorithm: 'axalloc',
      lock: 'none',
      totalBytes: this.totalBytes(),
      usedBytes: this.usedBytes(),
      availableBytes: this.availableBytes(),
      footprintBytes: this.footprintBytes(),
      failures,
      errors,
      threads: [{ threadId, lockWaits: null, remoteFrees: null, heldBytes: null, failures: null }],
    };
  }
}

/** The algorithm over one byte algorithm: what the kit's workers find by its name. */
const over = (algorithm: AlgorithmName): HeapAlgorithm => ({
  algorithm: 'axalloc',
  create: (options: Options = {}) => Tested.over(algorithm, options),
  attach: (handle: Handle, options?: AttachOptions) => Tested.at(algorithm, handle, options),
});

export const AxMimalloc: HeapAlgorithm = over('mimalloc');
export const AxTlsf: HeapAlgorithm = over('tlsf');
export const AxBuddy: HeapAlgorithm = over('buddy');
export const AxSlab: HeapAlgorithm = over('slab');
export const AxBasic: HeapAlgorithm = over('basic');

/**
 * What the kit asks of a heap with a fixed amount of memory. This one grows; `growth.test.ts` has what it
 * must do instead.
 */
export const OMITTED = {
  bytes: 'memory comes through the page part, which has tests of its own for it',
  exhaustion:
    'a heap that has grown in steps holds more when it is filled for the second time: see growth.test.ts',
};
