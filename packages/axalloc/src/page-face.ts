/**
 * The side of a two-level allocator that shows pages, and the figures of both.
 */

import {
  type Address,
  AllocError,
  alignUp,
  type BlockVisitor,
  checkHook,
  checkInteger,
  type ErrorHook,
  type LiveBlock,
  liveBlocks as liveBlocksOf,
  type ValidateOptions,
} from '@shmalloc/allocator-api';
import { liveBlocks, visit } from './generations.ts';
import { GlobalPage } from './global-page.ts';
import * as at from './header.ts';
import { isUnmarked } from './page-map.ts';
import { type AxStats, footprintOf, generationsOf, sumOf } from './stats.ts';
import { View } from './thread-view.ts';
import { countOf, type TrackedBlock, trackedBlocks } from './tracking.ts';
import { counterOf, type PageUsage, type Usages, usagesOf } from './usages.ts';
import { validateAll } from './validate.ts';

/**
 * Pages beside the byte heaps, and what can be asked of both.
 * @public
 */
export abstract class AxPages extends View {
  /** The algorithm that new blocks come from. */
  abstract get name(): string;

  // ── Pages ──

  /** Bytes of a page. */
  get pageSize(): number {
    return this.pages.pageSize;
  }

  /**
   * As the page part's.
   * @param usage - what they are for: see {@link AxPages.usages}
   */
  allocPages(count: number, align: number, usage: PageUsage = 'global'): Address {
    this.demandOpen();
    const counter = counterOf(usage);
    return this.used(counter, count, this.pages.allocPages(count, align));
  }

  /** As the page part's. */
  allocPagesAt(base: Address, count: number, align: number, usage: PageUsage = 'global'): Address {
    this.demandOpen();
    const counter = counterOf(usage);
    return this.used(counter, count, this.pages.allocPagesAt(base, count, align));
  }

  /** `allocPages` of pages that hold zeros. O(bytes). */
  allocZeroedPages(count: number, align: number, usage: PageUsage = 'global'): Address {
    const address = this.allocPages(count, align, usage);
    const end = address + count * this.pageSize;
    if (end > this.memory.byteLength) this.memory.refresh();
    this.memory.u8.fill(0, address, end);
    return address;
  }

  /** Counts pages that a program has got now. */
  private used(counter: number, count: number, address: Address): Address {
    Atomics.add(this.i32, this.header + counter, count);
    return address;
  }

  /**
   * As the page part's; pages of heaps and of the allocator itself are refused.
   * @param usage - what they were taken for
   * @throws AllocError `NotAllocated`
   */
  deallocPages(address: Address, count: number, usage: PageUsage = 'global'): void {
    this.demandOpen();
    const counter = counterOf(usage);
    checkInteger('address', address);
    checkInteger('count', count);
    if (!isUnmarked(this, address, count))
      throw new AllocError(
        'NotAllocated',
        `deallocPages(${address}, ${count}): some of these pages belong to a heap`,
      );
    this.pages.deallocPages(address, count);
    Atomics.sub(this.i32, this.header + counter, count);
  }

  /**
   * Bytes by what they are used for: of blocks, and of pages as their callers have said. O(heaps).
   */
  usages(): Usages {
    return usagesOf(this, this.usedBytes());
  }

  /**
   * Pages that go back when their scope ends.
   * @param count - pages
   * @param align - bytes, a power of two and a multiple of the page size. Default: a page
   * @throws AllocError `NoMemory`, `InvalidParam`
   */
  page(count: number, align: number = this.pages.pageSize): GlobalPage {
    this.demandOpen();
    return new GlobalPage(this, this.memory, count, align);
  }

  /** Pages under management. */
  totalPages(): number {
    this.demandOpen();
    return this.pages.totalPages();
  }

  /** Pages that are handed out: to programs, to heaps, and to the allocator itself. */
  usedPages(): number {
    this.demandOpen();
    return this.pages.usedPages();
  }

  /** Pages that are not. */
  availablePages(): number {
    this.demandOpen();
    return this.pages.availablePages();
  }

  // ── Looking ──

  /** Bytes that the byte heaps manage, the old ones included. */
  totalBytes(): number {
    return sumOf(this, 'totalBytes');
  }

  /** Bytes in blocks that are handed out, of all heaps, rounding included. */
  usedBytes(): number {
    return sumOf(this, 'usedBytes');
  }

  /** Bytes of the heaps that are in no block. The page part has more. */
  availableBytes(): number {
    return sumOf(this, 'availableBytes');
  }

  /** Bytes that were ever touched, as far as the heaps tell, of the heaps that there are. */
  footprintBytes(): number {
    return footprintOf(this);
  }

  /**
   * Calls back for each live block of all heaps; the visitor must not call the allocator. What other threads
   * do meanwhile may be missed.
   * @param visitor - returns false to see no more. Threads have other names in the heaps, so it is shown 0
   */
  visitBlocks(visitor: BlockVisitor): void {
    this.demandOpen();
    let more = true;
    for (let slot = 1; more && slot <= this.geometry.generations; slot++)
      visit(this, slot, (heap) =>
        heap.visitBlocks((address, size, tag) => {
          more = visitor(address, size, tag, 0) !== false;
          return more;
        }),
      );
  }

  /** The live blocks of all heaps, largest first; with `tracking`, with the places that allocated them. */
  leaks(): LiveBlock[] {
    return liveBlocksOf(this, (address) => this.sites?.of(address)?.site ?? null);
  }

  /**
   * How many allocations there were: the number that the next one gets. Modulo 2³².
   * @throws AllocError `Unsupported` without `tracking`
   */
  allocationCount(): number {
    return countOf(this);
  }

  /**
   * The live blocks that were allocated between two moments, in that order: what a part of a program has not
   * freed. What other threads do meanwhile may be missed. O(blocks · log blocks).
   * @param from - what `allocationCount` was at the first moment
   * @param to - what it was at the second. Default: now
   * @throws AllocError `Unsupported` without `tracking`
   */
  allocationsIn(from: number, to: number = countOf(this)): TrackedBlock[] {
    return trackedBlocks(this, checkInteger('from', from), checkInteger('to', to));
  }

  /** Blocks that are handed out, of all heaps. Exact when no other thread is at work. */
  liveBlocks(): number {
    this.demandOpen();
    let live = 0;
    for (let slot = 1; slot <= this.geometry.generations; slot++) live += liveBlocks(this, slot);
    return live;
  }

  /**
   * Walks everything: the map, the generations, each heap, the page part. Other threads may be at work: what
   * is told then was seen unchanged.
   * @param options - with `quiet`, for a moment when no other thread is inside, everything is checked
   * @throws AllocError `Corrupted` with the first broken invariant, or what a heap or the page part throws
   */
  validate(options: ValidateOptions = {}): void {
    validateAll(this, options.quiet === true);
  }

  /** Figures, as of one moment when no other thread is at work. */
  stats(): AxStats {
    const generations = generationsOf(this);
    const count = (field: number): number => this.i32[this.header + field] >>> 0;
    return {
      algorithm: at.ALGORITHM,
      name: this.name,
      totalBytes: this.totalBytes(),
      usedBytes: this.usedBytes(),
      availableBytes: this.availableBytes(),
      totalPages: this.totalPages(),
      usedPages: this.usedPages(),
      availablePages: this.availablePages(),
      statePages: alignUp(this.places.bytes, this.pageSize) / this.pageSize,
      swaps: count(at.SWAPS),
      growths: count(at.GROWTHS),
      failures: count(at.FAILURES),
      errors: count(at.ERRORS),
      generations,
    };
  }

  /**
   * Says where wrong calls go, in this thread. The default prints them.
   * @param hook - may use the allocator
   */
  registerError(hook: ErrorHook): void {
    this.onError = checkHook('hook', hook);
  }
}
