/**
 * The allocator of a full machine, as one thread has it: the two-level allocator of `axalloc` over the
 * machine's pages, with a count of what this thread has asked for.
 */

import type { Address, AllocError, SharedMemory, ValidateOptions } from '@shmalloc/allocator-api';
import { AxAlloc, type AxHandle, type AxStats } from '@shmalloc/axalloc';
import type { KernelAllocator } from '../allocators.ts';
import { HeapPages } from '../memory/heap-pages.ts';
import type { PhysicalMemory } from '../memory/physical-memory.ts';
import { type HeapChoice, loadAlgorithms, nameOf } from './algorithms.ts';
import { HeapMeter, type Told } from './meter.ts';

/**
 * What one thread has done with a machine's memory.
 * @public
 */
export interface ThreadReport {
  /** Calls of `malloc`, its relatives, and `free`; `kalloc` and `kfree` are such. */
  readonly operations: number;
  /** How often it has found a lock taken. */
  readonly lockWaits: Told;
  /** Seconds in which it went to the page allocator, for the byte allocators, or gave pages back. */
  readonly slowSeconds: number;
  /** How often it did. */
  readonly slowCalls: number;
  /** Pages of 4096 bytes that are its own now. */
  readonly pagesHeld: Told;
  /** Blocks that it has freed and another CPU had allocated. */
  readonly remoteFrees: Told;
}

/**
 * The allocator of a full machine in one thread: `machine.allocator` and `cpu.allocator` are such.
 * @public
 */
export class KernelHeap implements KernelAllocator {
  readonly memory: SharedMemory;
  /** What it grows from. */
  readonly physical: PhysicalMemory;
  private readonly ax: AxAlloc;
  private readonly pages: HeapPages;
  private readonly meter: HeapMeter;
  private operations = 0;

  private constructor(physical: PhysicalMemory, ax: AxAlloc, pages: HeapPages, meter: HeapMeter) {
    this.memory = physical.memory;
    this.physical = physical;
    this.ax = ax;
    this.pages = pages;
    this.meter = meter;
    meter.follow(() => ax.heap);
  }

  /**
   * Makes the allocator.
   * @internal
   */
  static async create(physical: PhysicalMemory, choice: HeapChoice): Promise<KernelHeap> {
    const meter = new HeapMeter();
    const algorithms = await loadAlgorithms(choice, meter);
    const pages = new HeapPages(physical);
    const ax = AxAlloc.create({
      pages,
      algorithms,
      algorithm: nameOf(choice.allocator),
      threads: choice.threads,
    });
    return new KernelHeap(physical, ax, pages, meter);
  }

  /**
   * Attaches another thread.
   * @param onError - gets every wrong free
   * @internal
   */
  static async attach(
    physical: PhysicalMemory,
    handle: AxHandle,
    choice: HeapChoice,
    onError: (error: AllocError) => void,
  ): Promise<KernelHeap> {
    const meter = new HeapMeter();
    const algorithms = await loadAlgorithms(choice, meter);
    const pages = new HeapPages(physical);
    const ax = AxAlloc.attach(handle, { attachPages: () => pages, algorithms });
    ax.registerError(onError);
    return new KernelHeap(physical, ax, pages, meter);
  }

  malloc(size: number): Address {
    this.operations++;
    return this.ax.malloc(size);
  }

  calloc(count: number, size: number): Address {
    this.operations++;
    return this.ax.calloc(count, size);
  }

  realloc(address: Address, size: number): Address {
    this.operations++;
    return this.ax.realloc(address, size);
  }

  alignedAlloc(align: number, size: number): Address {
    this.operations++;
    return this.ax.alignedAlloc(align, size);
  }

  free(address: Address): void {
    this.operations++;
    this.ax.free(address);
  }

  tryFree(address: Address): AllocError | null {
    this.operations++;
    return this.ax.tryFree(address);
  }

  usableSize(address: Address): number {
    return this.ax.usableSize(address);
  }

  /** The algorithm that new blocks come from. */
  get name(): string {
    return this.ax.name;
  }

  /** See {@link Machine.swap}. */
  swap(name: string): void {
    this.ax.swap(name);
  }

  /** This thread lets go of heaps that were swapped out; every allocation does it as well. */
  settle(): void {
    this.ax.settle();
  }

  collect(force = false): void {
    this.ax.collect(force);
  }

  share(): AxHandle {
    return this.ax.share();
  }

  detach(): void {
    this.ax.detach();
    this.physical.detach();
  }

  /** Walks the heaps, the pages and the account. With `quiet` no thread is at work, and more is checked. */
  validate(options: ValidateOptions = {}): void {
    this.ax.validate(options);
    this.physical.validate(options);
  }

  /** Says where wrong frees go, and damage that a call finds, in this thread. */
  registerError(hook: (error: AllocError) => void): void {
    this.ax.registerError(hook);
  }

  /** What the two-level allocator tells. */
  stats(): AxStats {
    return this.ax.stats();
  }

  /** The most bytes in pages that the byte allocators have had at once. */
  footprintBytes(): number {
    return this.physical.peakHeapPages * this.pages.pageSize;
  }

  /** What this thread has done. */
  report(): ThreadReport {
    return {
      operations: this.operations,
      lockWaits: this.meter.told('lockWaits'),
      slowSeconds: this.pages.spentMs / 1000,
      slowCalls: this.pages.calls,
      pagesHeld: this.meter.told('pagesHeld'),
      remoteFrees: this.meter.told('remoteFrees'),
    };
  }
}
