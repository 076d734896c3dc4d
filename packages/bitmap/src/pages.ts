/**
 * Pages of a shared region.
 *
 * ```
 *  0            start                                   end        limit
 *  ├────────────┼──────────────┬──────────────────────────┼╌╌╌╌╌╌╌╌╌╌┤
 *  │ not ours   │ header, maps │ pages                    │ memory   │
 *  │            │              │ │  │  │  │  │  │  │  │  │ to come  │
 *  └────────────┴──────────────┴──────────────────────────┴╌╌╌╌╌╌╌╌╌╌┘
 *               │◀──────── the maps have a bit for each page ──────▶│
 * ```
 */

import {
  type Address,
  AllocError,
  alignDown,
  alignUp,
  checkAlign,
  checkInteger,
  checkOptions,
  checkRange,
  type Handle,
  isPowerOfTwo,
  MAX_BYTES,
  openRegion,
  type PageAllocator,
  type SharedMemory,
} from '@shmalloc/allocator-api';
import {
  Bitmap,
  type BitmapAttachOptions,
  type BitmapOptions,
  checkCount,
  crossingsOf,
  OWN_OPTIONS,
  openMaps,
  publish,
} from './bitmap.ts';
import { type Geometry, type Kind, writeHeader } from './header.ts';

const KIND: Kind = {
  algorithm: 'bitmap-pages',
  code: 'BMPG',
  isUnit: (bytes) => isPowerOfTwo(bytes) && bytes >= 16,
};

/**
 * What a page allocator is made of.
 * @public
 */
export interface BitmapPagesOptions extends BitmapOptions {
  /** Bytes of a page, a power of two from 16. Default 4096. */
  pageSize?: number | undefined;
  /**
   * How far memory may be added: the maps have a bit for each page below this address. Default `maxBytes`, or
   * the region's end.
   */
  limit?: Address | undefined;
}

/**
 * A page allocator that any number of threads use at once without a lock.
 *
 * Progress of every call: lock-free; nothing here waits, so it may be used where blocking is forbidden. A
 * thread that is terminated inside a call loses at most the pages of that call, and stops no thread.
 *
 * @example
 * ```ts
 * const pages = BitmapPages.create({ bytes: 16 << 20 });
 * const run = pages.allocPages(16, 65536); // 64 KiB, aligned to 64 KiB
 * worker.postMessage(pages.share()); // there: BitmapPages.attach(handle).deallocPages(run, 16)
 * ```
 * @public
 */
export class BitmapPages extends Bitmap implements PageAllocator {
  /** Bytes of a page. */
  readonly pageSize: number;
  /** The page of the map's first bit. */
  private readonly base: number;
  /** The page behind the map's last bit. */
  private readonly limit: number;
  /** The first page that is not NULL's. */
  private readonly least: number;

  /** @internal Use `create` or `attach`. */
  constructor(memory: SharedMemory, geometry: Geometry, options: BitmapAttachOptions) {
    super(memory, KIND, geometry, options);
    this.pageSize = geometry.unit;
    this.base = geometry.base;
    this.limit = geometry.base + geometry.bits;
    this.least = Math.max(1, Math.ceil((geometry.nullWords * 4) / geometry.unit));
  }

  /**
   * Makes a page allocator over a region; its maps lie at the region's start, the rest is its first pages.
   * @param options - the region, the page's size
   * @throws TypeError, RangeError or AllocError, naming the option
   */
  static create(options: BitmapPagesOptions = {}): BitmapPages {
    checkOptions(options, ['pageSize', 'limit', ...OWN_OPTIONS]);
    const { pageSize = 4096 } = options;
    if (!KIND.isUnit(checkInteger('pageSize', pageSize)))
      throw new AllocError('InvalidParam', `pageSize must be a power of two from 16, got ${pageSize}`);
    const { limit: given, maxBytes } = options;
    if (given !== undefined && checkInteger('limit', given) > MAX_BYTES)
      throw new AllocError('InvalidParam', `limit must be at most 4 GiB, got ${given}`);
    const memory = openRegion(options);
    const limit = given ?? Math.max(memory.end, options.memory === undefined ? (maxBytes ?? 0) : 0);
    if (limit < memory.end)
      throw new AllocError(
        'InvalidParam',
        `limit (${limit}) must not lie below the region's end (${memory.end})`,
      );
    crossingsOf(memory, options.crossings); // refused before a byte is written
    const base = alignDown(Math.floor(memory.start / pageSize), 32);
    const bits = Math.max(0, Math.floor(limit / pageSize) - base);
    const geometry = writeHeader(memory, KIND, [base, bits, pageSize]);
    const pages = new BitmapPages(memory, geometry, options);
    const start = alignUp(geometry.end * 4, pageSize);
    pages.init(start, memory.end - start);
    publish(pages);
    return pages;
  }

  /**
   * Attaches to a page allocator that another thread has made.
   * @param handle - what its `share()` returned
   * @throws TypeError or AllocError `InvalidParam` when no such allocator lies there
   */
  static attach(handle: Handle, options: BitmapAttachOptions = {}): BitmapPages {
    return new BitmapPages(...openMaps(handle, KIND, options));
  }

  /**
   * Forgets everything and manages the whole pages of `[start, start + size)` alone. No other thread may be
   * at work.
   * @throws AllocError `InvalidParam` when the range does not fit or has no whole page, `MemoryOverlap` when
   *   it covers the allocator's own state; then nothing has changed
   */
  init(start: Address, size: number): void {
    const [first, count] = this.checkRange(start, size);
    this.map.clear();
    this.map.manage(first, count);
  }

  /**
   * Manages the whole pages of `[start, start + size)` as well. Other threads may be at work, and get them at
   * once.
   * @throws AllocError `InvalidParam` when the range does not fit or has no whole page, `MemoryOverlap` when
   *   one of its pages is managed already or it covers the allocator's own state; then nothing has changed
   */
  addMemory(start: Address, size: number): void {
    const [first, count] = this.checkRange(start, size);
    this.tellNullWrite();
    if (this.map.manage(first, count)) return;
    throw new AllocError('MemoryOverlap', `some pages of [${start}, ${start + size}) are managed already`);
  }

  /**
   * Hands out pages in a row. Lock-free.
   *
   * Cost: of one page, a handful of words while the map's summary is right. Of a run, one word for each 32
   * pages that are looked through, for runs of 63 and more one for each ⌊(count − 31) / 32⌋ · 32.
   * @param count - pages
   * @param align - bytes, a power of two and a multiple of the page size
   * @throws AllocError `NoMemory` when there was no such run at the moment when each place was looked at,
   *   `InvalidParam`
   */
  allocPages(count: number, align: number): Address {
    checkCount(count);
    const pages = this.checkPageAlign(align);
    const { map } = this;
    const bit = count === 1 && pages === 1 ? map.takeOne() : this.takeRun(count, pages);
    if (bit < 0) {
      this.tellNullWrite();
      throw new AllocError('NoMemory', `no ${count} pages in a row aligned to ${align} are free`);
    }
    return (bit + this.base) * this.pageSize;
  }

  /** Runs that no map can have are not sought. */
  private takeRun(count: number, pages: number): number {
    return count > this.limit - this.base ? -1 : this.map.takeRun(count, pages);
  }

  /**
   * Hands out these pages. Lock-free.
   * @param base - bytes, where the first page shall lie: a multiple of `align`
   * @param count - pages
   * @param align - bytes, a power of two and a multiple of the page size
   * @returns `base`
   * @throws AllocError `NoMemory` when one of them is in use or not managed, `InvalidParam`
   */
  allocPagesAt(base: Address, count: number, align: number): Address {
    checkInteger('base', base);
    checkCount(count);
    this.checkPageAlign(align);
    if (base % align !== 0)
      throw new AllocError('InvalidParam', `base must be a multiple of ${align}, got ${base}`);
    const first = base / this.pageSize;
    if (!this.covers(first, count) || !this.map.takeAt(first - this.base, count))
      throw new AllocError('NoMemory', `not all ${count} pages at ${base} are free`);
    return base;
  }

  /**
   * Takes pages back: a whole run, or any part of what was handed out. Lock-free.
   *
   * All or nothing, also against other threads: of several returns of one page exactly one succeeds.
   * @param address - the first page
   * @param count - pages
   * @throws AllocError `NotAllocated` when one of them is not handed out; then nothing has changed
   */
  deallocPages(address: Address, count: number): void {
    checkInteger('address', address);
    checkCount(count);
    const first = address / this.pageSize;
    if (Number.isInteger(first) && this.covers(first, count) && this.map.give(first - this.base, count))
      return;
    this.map; // a detached instance says so
    throw new AllocError(
      'NotAllocated',
      `deallocPages(${address}, ${count}): not all of these pages are handed out`,
    );
  }

  /** Whether the page at an address, or around it, is handed out. */
  isAllocated(address: Address): boolean {
    const page = Math.floor(checkInteger('address', address) / this.pageSize);
    return this.covers(page, 1) && this.map.isUsed(page - this.base);
  }

  /** Pages under management. Cost, of this and the next two: a look at a word for each 32 pages. */
  totalPages(): number {
    return this.map.countManaged();
  }

  /** Pages that are handed out. */
  usedPages(): number {
    return this.map.countUsed();
  }

  /**
   * Pages that may be had. While threads are in the middle of calls, their pages are neither used nor
   * available.
   */
  availablePages(): number {
    return this.map.countFree();
  }

  private covers(first: number, count: number): boolean {
    return first >= this.base && first + count <= this.limit;
  }

  /** Demands an alignment of pages. @returns it in pages */
  private checkPageAlign(align: number): number {
    if (checkAlign('align', align) < this.pageSize)
      throw new AllocError(
        'InvalidParam',
        `align must be a multiple of the page size ${this.pageSize}, got ${align}`,
      );
    return align / this.pageSize;
  }

  /**
   * Demands a range of memory that leaves the allocator's own state alone.
   * @returns its whole pages, as bits
   */
  private checkRange(start: Address, size: number): [first: number, count: number] {
    const { memory, pageSize } = this;
    this.map; // a detached instance says so
    const end = checkRange(memory, start, size);
    const range = `[${start}, ${end})`;
    if (start < this.stateEnd && end > this.stateStart)
      throw new AllocError(
        'MemoryOverlap',
        `${range} overlaps the allocator's own state [${this.stateStart}, ${this.stateEnd})`,
      );
    // Address 0 is NULL: its page, and those of the pattern that stands there, are never managed.
    const first = Math.max(this.least, Math.ceil(start / pageSize));
    const behind = Math.floor(end / pageSize);
    if (first >= behind)
      throw new AllocError('RegionTooSmall', `${range} has no whole page of ${pageSize} bytes`);
    if (!this.covers(first, behind - first))
      throw new AllocError(
        'InvalidParam',
        `${range} leaves [${this.base * pageSize}, ${this.limit * pageSize}), for which there are maps: see limit`,
      );
    return [first - this.base, behind - first];
  }
}
