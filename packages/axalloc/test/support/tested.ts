/**
 * A two-level allocator as the conformance kit wants a heap: over a region of its own, one class for each algorithm inside. Its total is that of
 * all pages, since that is what a request can be met from; memory that is added goes to the page part.
 */

import type { CreateOptions, TestedHeap } from '@shmalloc/alloc-test';
import {
  type Address,
  type AllocError,
  checkInteger,
  type Handle,
  type SharedMemory,
} from '@shmalloc/allocator-api';
import { AxAlloc, type AxHandle, type GrowthPolicy } from '@shmalloc/axalloc';
import { BitmapPages } from '@shmalloc/bitmap';
import { type AlgorithmName, algorithmsWith, type Lock } from './tools.js';

interface Options extends CreateOptions {
  lock?: Lock;
  policy?: Partial<GrowthPolicy>;
}

class Tested implements TestedHeap {
  private readonly algorithm: AlgorithmName;
  private readonly pages: BitmapPages;
  private readonly options: Options;
  private allocator: AxAlloc;

  constructor(algorithm: AlgorithmName, pages: BitmapPages, options: Options, allocator?: AxAlloc) {
    this.algorithm = algorithm;
    this.pages = pages;
    this.options = options;
    this.allocator = allocator ?? this.begin();
  }

  static over(algorithm: AlgorithmName, options: Options): Tested {
    const { lock: _lock, debug: _debug, policy: _policy, ...region } = options;
    return new Tested(algorithm, BitmapPages.create(region), options);
  }

  static at(algorithm: AlgorithmName, handle: Handle, said: { lock?: Lock | undefined } = {}): Tested {
    let pages: BitmapPages | undefined;
    const allocator = AxAlloc.attach(handle as AxHandle, {
      attachPages: (of) => {
        pages = BitmapPages.attach(of);
        return pages;
      },
      algorithms: algorithmsWith(said),
    });
    return new Tested(algorithm, pages as BitmapPages, {}, allocator);
  }

  private begin(): AxAlloc {
    const { lock, debug, policy, maxBytes } = this.options;
    return AxAlloc.create({
      pages: this.pages,
      algorithms: algorithmsWith({ lock, debug }),
      algorithm: this.algorithm,
      maxCpus: 24,
      policy,
      limit: maxBytes,
    });
  }

  get memory(): SharedMemory {
    return this.allocator.memory;
  }
  share(): Handle {
    return this.allocator.share();
  }
  detach(): void {
    this.allocator.detach();
  }
  [Symbol.dispose](): void {
    this.allocator[Symbol.dispose]();
  }
  validate(): void {
    this.allocator.validate();
  }
  registerError(hook: (error: AllocError) => void): void {
    this.allocator.registerError(hook);
  }
  collect(force?: boolean): void {
    this.allocator.collect(force);
  }

  malloc(size: number): Address {
    return this.allocator.malloc(size);
  }
  calloc(count: number, size: number): Address {
    return this.allocator.calloc(count, size);
  }
  realloc(address: Address, size: number): Address {
    return this.allocator.realloc(address, size);
  }
  alignedAlloc(align: number, size: number): Address {
    return this.allocator.alignedAlloc(align, size);
  }
  free(address: Address): void {
    this.allocator.free(address);
  }
  usableSize(address: Address): number {
    return this.allocator.usableSize(address);
  }
  alloc(size: number, align: number): Address {
    return this.allocator.alloc(size, align);
  }
  dealloc(address: Address, size: number, align: number): void {
    this.allocator.dealloc(address, size, align);
  }

  init(start: Address, size: number): void {
    checkInteger('start', start);
    checkInteger('size', size);
    this.pages.init(start, size);
    this.allocator = this.begin();
  }
  addMemory(start: Address, size: number): void {
    this.pages.addMemory(start, size);
  }

  totalBytes(): number {
    return this.allocator.totalPages() * this.allocator.pageSize;
  }
  usedBytes(): number {
    return this.allocator.usedBytes();
  }
  availableBytes(): number {
    return this.totalBytes() - this.usedBytes();
  }
}

/** The class of one algorithm: what the kit's workers find by its name. */
const classOf = (algorithm: AlgorithmName) => ({
  create: (options: Options): Tested => Tested.over(algorithm, options),
  attach: (handle: Handle, said: { lock?: 'outside' } = {}): Tested => Tested.at(algorithm, handle, said),
});

export const AxMimalloc = { name: 'AxMimalloc', ...classOf('mimalloc') };
export const AxTlsf = { name: 'AxTlsf', ...classOf('tlsf') };
export const AxBuddy = { name: 'AxBuddy', ...classOf('buddy') };
export const AxSlab = { name: 'AxSlab', ...classOf('slab') };
export const AxBasic = { name: 'AxBasic', ...classOf('basic') };

/** What the kit asks of a heap with a fixed amount of memory. This one grows; `growth.test.ts` has what it must do instead. */
export const OMITTED = {
  bytes: 'memory comes through the page part, which has tests of its own for it',
  exhaustion:
    'a heap that has grown in steps holds more when it is filled for the second time: see growth.test.ts',
};
