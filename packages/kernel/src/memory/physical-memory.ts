/**
 * The physical memory of a full machine: whole pages, which the byte allocators and `vmalloc` take from one
 * page allocator, and the account of which pages of `vmalloc` are resident. `header.ts` has the picture.
 *
 * ```
 *    malloc, kalloc          vmalloc, vmfree      madvise, touch
 *          │                        │                  │
 *     byte allocators               │             ┌────┴──────┐
 *          │ pages                  │ pages       │ VmAccount │  which of them have frames
 *          ▼                        ▼             └────┬──────┘
 *     ┌──────────────────────────────────┐             │
 *     │ BitmapPages: which page is whose │◄────────────┘ every page, by its address
 *     └──────────────────────────────────┘
 * ```
 *
 * Pages that a byte allocator has, or that anybody has had, are LENT in the account: no thread wipes them
 * until `vmalloc` hands them out, which promises zeros. So a heap that comes and goes costs no wiping.
 */

import {
  type Address,
  AllocError,
  alignUp,
  checkInteger,
  checkNullZone,
  checkOptions,
  type Handle,
  isAligned,
  openRegion,
  type RegionOptions,
  type SharedMemory,
  takeNullWrite,
  type ValidateOptions,
} from '@shmalloc/allocator-api';
import { BitmapPages } from '@shmalloc/bitmap';
import { PAGE_BYTES } from '../vm/frames.ts';
import { VmAccount } from '../vm/vm-account.ts';
import type { Advice, VmStats } from '../vm/vm-types.ts';
import { HEAP_AT, KIND, openPlan, PEAK_AT, type Plan, planMemory, publishPlan, writePlan } from './header.ts';

/**
 * What a {@link PhysicalMemory} is made of.
 * @public
 */
export interface PhysicalMemoryOptions extends RegionOptions {
  /** How many pages that `vmalloc` handed out may be resident at once. Default: all that there are. */
  frames?: number | undefined;
}

/**
 * Figures of a {@link PhysicalMemory}, in pages of 4096 bytes.
 * @public
 */
export interface PhysicalStats {
  readonly totalPages: number;
  /** Pages that are handed out, to any thread. */
  readonly usedPages: number;
  readonly availablePages: number;
  /** Those of the byte allocators. */
  readonly heapPages: number;
  /** The most that they have had. */
  readonly peakHeapPages: number;
  /** The account of those that `vmalloc` handed out. */
  readonly vm: VmStats;
}

/**
 * Whole pages of one region, for any number of threads: `vmalloc` and `vmfree`, and what a machine's byte
 * allocators grow from.
 *
 * Progress: taking and giving back pages is lock-free; see {@link VmAccount} for what may wait.
 *
 * @example
 * ```ts
 * const memory = PhysicalMemory.create({ bytes: 16 << 20, frames: 256 });
 * const at = memory.vmalloc(0, 64 * 4096); // 64 pages, reserved; 0 when there are none
 * memory.touch(at, 4096); // the first one gets a frame
 * worker.postMessage(memory.share()); // there: PhysicalMemory.attach(handle).vmfree(at, 64 * 4096)
 * ```
 * @public
 */
export class PhysicalMemory {
  /** The region. */
  readonly memory: SharedMemory;
  /** Which pages are handed out. */
  readonly pages: BitmapPages;
  /** Which pages of `vmalloc` are resident. */
  readonly vm: VmAccount;
  private readonly header: number;
  private readonly nullWords: number;

  private constructor(memory: SharedMemory, plan: Plan, pages: BitmapPages) {
    const { table, account, pages: count, frames } = plan;
    this.memory = memory;
    this.pages = pages;
    this.vm = new VmAccount(memory, { table, start: account, pages: count, frames });
    this.header = plan.header;
    this.nullWords = plan.nullWords;
  }

  /**
   * Makes one over a region.
   * @throws TypeError, RangeError or AllocError, naming the option
   */
  static create(options: PhysicalMemoryOptions = {}): PhysicalMemory {
    checkOptions(options, ['frames', 'bytes', 'maxBytes', 'backing', 'memory', 'start', 'end'], []);
    const { frames, ...region } = options;
    if (frames !== undefined) checkInteger('frames', frames);
    const memory = openRegion(region);
    const plan = planMemory(memory, frames);
    writePlan(memory, plan);
    const pages = BitmapPages.create({ memory: memory.source, start: plan.maps, end: memory.end });
    const made = new PhysicalMemory(memory, plan, pages);
    // The memory may be another thread's former: only what the engine has just made is known to hold zeros.
    const first = alignUp(pages.share().start + pages.stats().stateBytes, PAGE_BYTES);
    const used = region.memory === undefined ? first : made.vm.end;
    if (used > plan.account) made.vm.lend(plan.account, used - plan.account);
    publishPlan(memory, plan);
    return made;
  }

  /**
   * Attaches to one that another thread has made.
   * @param handle - what its `share()` returned
   * @throws TypeError or AllocError `InvalidParam` when none lies there
   */
  static attach(handle: Handle): PhysicalMemory {
    const { memory, plan } = openPlan(handle);
    const pages = BitmapPages.attach({ algorithm: 'bitmap-pages', memory: memory.source, start: plan.maps });
    return new PhysicalMemory(memory, plan, pages);
  }

  /** What another thread attaches with. */
  share(): Handle {
    return { algorithm: KIND.algorithm, memory: this.memory.source, start: this.header * 4 };
  }

  /** This thread is done with it: any later call throws. */
  detach(): void {
    this.pages.detach();
  }

  /**
   * Reserves whole pages: they read as zeros, and get frames when they are touched. Lock-free; O(pages), and
   * 4096 bytes are zeroed for each page that was in use before.
   * @param address - where, a multiple of 4096; 0 for anywhere
   * @param length - bytes, a multiple of 4096 and not 0
   * @returns the first byte; 0 when there are not so many free pages in a row, or not at this address
   * @throws TypeError, RangeError or AllocError `InvalidParam` for what is no such number
   */
  vmalloc(address: Address, length: number): Address {
    const count = pagesOf('vmalloc', address, length);
    const at = takePages(this.pages, address, count);
    // No other thread has these pages now, so they cannot be reserved already.
    if (at !== 0) this.vm.reserve(at, length);
    return at;
  }

  /**
   * Gives pages of `vmalloc` back, all that one call has handed out or any part, on any CPU: their frames go.
   * Lock-free; O(pages).
   * @param address - the first byte, a multiple of 4096
   * @param length - bytes, a multiple of 4096 and not 0
   * @throws AllocError `NotAllocated` when one of the pages is not `vmalloc`'s, and nothing has changed;
   *   `InvalidParam` as `vmalloc`
   */
  vmfree(address: Address, length: number): void {
    const count = pagesOf('vmfree', address, length);
    const { vm, pages } = this;
    if (address < vm.start || address + length > vm.end)
      throw new AllocError('NotAllocated', `vmfree(${address}, ${length}): these pages were not handed out`);
    // Of two CPUs that free the same page one finds it reserved: that one returns it.
    const released = vm.releaseRun('vmfree', address, length);
    if (released > 0) {
      // The pages are still this call's. They may have been written without a frame: the thread that reserves
      // them next gets zeros all the same.
      vm.lend(address, released * PAGE_BYTES);
      pages.deallocPages(address, released);
    }
    if (released < count)
      throw new AllocError(
        'NotAllocated',
        `vmfree(${address}, ${length}): another CPU has just freed a part`,
      );
  }

  /**
   * Says what will become of pages of `vmalloc`: see {@link VmAccount.madvise}.
   * @returns how many pages it changed
   */
  madvise(address: Address, length: number, advice: Advice): number {
    return this.vm.madvise(address, length, advice);
  }

  /**
   * Says that bytes are about to be written: see {@link VmAccount.touch}.
   * @returns false when there is no frame, nor a page to take one from
   */
  touch(address: Address, length: number): boolean {
    return this.vm.touch(address, length);
  }

  /** Pages that are handed out. O(pages / 32). */
  usedPages(): number {
    return this.pages.usedPages();
  }

  /** Pages that the byte allocators have. */
  get heapPages(): number {
    return Atomics.load(this.memory.i32, this.header + HEAP_AT);
  }

  /** The most that they have had. */
  get peakHeapPages(): number {
    return Atomics.load(this.memory.i32, this.header + PEAK_AT);
  }

  /** Figures; exact while no thread is at work. O(pages). */
  stats(): PhysicalStats {
    const { pages, heapPages, peakHeapPages } = this;
    return {
      totalPages: pages.totalPages(),
      usedPages: pages.usedPages(),
      availablePages: pages.availablePages(),
      heapPages,
      peakHeapPages,
      vm: this.vm.stats(),
    };
  }

  /**
   * Looks for a write through NULL, and lays the pattern there again. In a machine the machine looks.
   * @returns an error `Corrupted` that names the address, or null
   */
  takeNullWrite(): AllocError | null {
    return takeNullWrite(this.memory.i32, this.nullWords);
  }

  /**
   * Walks every page. Threads may be at work: what is told then was seen unchanged more than once.
   * @param options - with `quiet`, for a moment when no thread is inside a call, counts are compared as well
   * @throws AllocError `Corrupted` with the first invariant that is broken
   */
  validate(options: ValidateOptions = {}): void {
    const written = checkNullZone(this.memory.i32, this.nullWords);
    if (written !== null) throw written;
    this.pages.validate(options);
    this.vm.validate(options);
    if (options.quiet !== true) return;
    const { usedPages, heapPages, vm } = this.stats();
    if (usedPages !== heapPages + vm.reserved)
      throw new AllocError(
        'Corrupted',
        `${usedPages} pages are handed out: ${heapPages} to heaps, and ${vm.reserved} are reserved`,
      );
  }

  /**
   * Says that pages are a byte allocator's. The caller has just taken them.
   * @internal
   */
  enterHeap(address: Address, count: number): void {
    this.vm.lend(address, count * PAGE_BYTES);
    const { i32 } = this.memory;
    const now = Atomics.add(i32, this.header + HEAP_AT, count) + count;
    for (let peak = this.peakHeapPages; peak < now; ) {
      const seen = Atomics.compareExchange(i32, this.header + PEAK_AT, peak, now);
      if (seen === peak) return;
      peak = seen;
    }
  }

  /**
   * Says that pages are a byte allocator's no more. They have been given back.
   * @internal
   */
  leaveHeap(count: number): void {
    Atomics.sub(this.memory.i32, this.header + HEAP_AT, count);
  }
}

/** Pages anywhere, or at an address; 0 when there are none. */
function takePages(pages: BitmapPages, address: Address, count: number): Address {
  try {
    return address === 0
      ? pages.allocPages(count, PAGE_BYTES)
      : pages.allocPagesAt(address, count, PAGE_BYTES);
  } catch (error) {
    if (error instanceof AllocError && error.code === 'NoMemory') return 0;
    throw error;
  }
}

/** Demands whole pages. @returns how many */
function pagesOf(name: string, address: Address, length: number): number {
  checkInteger(`${name}: address`, address);
  checkInteger(`${name}: length`, length);
  if (!isAligned(address, PAGE_BYTES) || !isAligned(length, PAGE_BYTES) || length === 0)
    throw new AllocError(
      'InvalidParam',
      `${name}: address and length must be multiples of ${PAGE_BYTES}, and length not 0, got ${address} and ${length}`,
    );
  return length / PAGE_BYTES;
}
