/** Small integers out of the same maps: process ids, descriptors, slots of a table. */

import {
  AllocError,
  checkAlign,
  checkInteger,
  checkOptions,
  type Handle,
  type IdAllocator,
  openRegion,
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
import { type Geometry, type Kind, stateBytes, writeHeader } from './header.ts';

const KIND: Kind = { algorithm: 'bitmap-ids', code: 'BMID', isUnit: (bytes) => bytes === 1 };

/** The most ids there can be: their maps take 400 MiB. */
const MOST_IDS = 2 ** 30;

/**
 * What an id allocator is made of.
 * @public
 */
export interface BitmapIdsOptions extends BitmapOptions {
  /** The first id. Default 0. */
  first?: number | undefined;
  /** How many ids there are to begin with. Default 65536. */
  ids?: number | undefined;
  /** How far ids may be added: the maps have a bit for each id below. Default: the end of the first ids. */
  limit?: number | undefined;
}

/**
 * An id allocator that any number of threads use at once without a lock.
 *
 * Progress of every call: lock-free. A thread that is terminated inside a call loses at most the ids of that
 * call, and stops no thread.
 *
 * @example
 * ```ts
 * const pids = BitmapIds.create({ first: 1, ids: 32768 });
 * const pid = pids.allocId(1, 1);
 * pids.deallocId(pid, 1);
 * ```
 * @public
 */
export class BitmapIds extends Bitmap implements IdAllocator {
  private readonly limit: number;

  /** @internal Use `create` or `attach`. */
  constructor(memory: SharedMemory, geometry: Geometry, options: BitmapAttachOptions) {
    super(memory, KIND, geometry, options);
    this.limit = geometry.bits;
  }

  /**
   * Makes an id allocator, by default in memory of its own that is as large as it needs.
   * @param options - the region, how many ids
   * @throws TypeError, RangeError or AllocError, naming the option
   */
  static create(options: BitmapIdsOptions = {}): BitmapIds {
    checkOptions(options, ['first', 'ids', 'limit', ...OWN_OPTIONS]);
    const { first = 0, ids = 65536, memory: given, bytes, maxBytes } = options;
    const end = checkInteger('first', first) + checkInteger('ids', ids);
    const limit = checkInteger('limit', options.limit ?? end);
    if (ids === 0) throw new AllocError('InvalidParam', 'ids must be at least 1, got 0');
    if (limit < end || limit > MOST_IDS)
      throw new AllocError('InvalidParam', `first + ids (${end}) ≤ limit (${limit}) ≤ 2^30 must hold`);
    const own = given === undefined && bytes === undefined && maxBytes === undefined;
    // Room for the zone of NULL in front of the header, and to align that.
    const memory = openRegion(
      own ? { ...options, bytes: (options.start ?? 0) + stateBytes(limit) + 1024 + 64 } : options,
    );
    crossingsOf(memory, options.crossings); // refused before a byte is written
    const pool = new BitmapIds(memory, writeHeader(memory, KIND, [0, limit, 1]), options);
    pool.init(first, ids);
    publish(pool);
    return pool;
  }

  /**
   * Attaches to an id allocator that another thread has made.
   * @param handle - what its `share()` returned
   * @throws TypeError or AllocError `InvalidParam` when no such allocator lies there
   */
  static attach(handle: Handle, options: BitmapAttachOptions = {}): BitmapIds {
    return new BitmapIds(...openMaps(handle, KIND, options));
  }

  /**
   * Forgets everything and manages the ids `[start, start + size)` alone. No other thread may be at work.
   * @throws AllocError `InvalidParam` for an empty range or one beyond the limit; then nothing has changed
   */
  init(start: number, size: number): void {
    this.checkRange(start, size);
    this.map.clear();
    this.map.manage(start, size);
  }

  /**
   * Manages the ids `[start, start + size)` as well. Other threads may be at work, and get them at once.
   * @throws AllocError `InvalidParam` for an empty range or one beyond the limit, `MemoryOverlap` when one of
   *   them is managed already; then nothing has changed
   */
  addMemory(start: number, size: number): void {
    this.checkRange(start, size);
    this.tellNullWrite();
    if (this.map.manage(start, size)) return;
    throw new AllocError('MemoryOverlap', `some ids of [${start}, ${start + size}) are managed already`);
  }

  /**
   * Takes ids in a row. Lock-free.
   * @param count - how many in a row
   * @param align - a power of two that the first is a multiple of
   * @returns the first of them
   * @throws AllocError `NoMemory` when there was no such run at the moment when each place was looked at,
   *   `InvalidParam`
   */
  allocId(count: number, align: number): number {
    checkCount(count);
    checkAlign('align', align);
    const { map } = this;
    const fits = count <= this.limit;
    const first = count === 1 && align === 1 ? map.takeOne() : fits ? map.takeRun(count, align) : -1;
    if (first >= 0) return first;
    this.tellNullWrite();
    throw new AllocError('NoMemory', `no ${count} ids in a row from a multiple of ${align} are free`);
  }

  /**
   * Takes this id. Lock-free.
   * @throws AllocError `NoMemory` when it is taken, or is none of the allocator's
   */
  allocFixedId(id: number): void {
    const { map } = this;
    if (checkInteger('id', id) < this.limit && map.takeAt(id, 1)) return;
    throw new AllocError('NoMemory', `the id ${id} is not free`);
  }

  /**
   * Gives ids back: a whole run, or any part of what was taken. Lock-free, all or nothing.
   * @param first - the first id
   * @param count - how many in a row
   * @throws AllocError `NotAllocated` when one of them is not taken; then nothing has changed
   */
  deallocId(first: number, count: number): void {
    const { map } = this;
    const end = checkInteger('first', first) + checkCount(count);
    if (end <= this.limit && map.give(first, count)) return;
    throw new AllocError('NotAllocated', `deallocId(${first}, ${count}): not all of these ids are taken`);
  }

  /** Whether this id is taken. */
  isAllocated(id: number): boolean {
    const { map } = this;
    return checkInteger('id', id) < this.limit && map.isUsed(id);
  }

  /** Ids under management. Cost, of this and the next two: a look at a word for each 32 ids. */
  size(): number {
    return this.map.countManaged();
  }

  /** Ids that are taken. */
  used(): number {
    return this.map.countUsed();
  }

  /** Ids that are not. */
  available(): number {
    return this.map.countFree();
  }

  private checkRange(start: number, size: number): void {
    this.map; // a detached instance says so
    const end = checkInteger('start', start) + checkInteger('size', size);
    if (size === 0) throw new AllocError('InvalidParam', `the range [${start}, ${end}) has no id`);
    if (end > this.limit)
      throw new AllocError(
        'InvalidParam',
        `the range [${start}, ${end}) goes beyond the limit ${this.limit}`,
      );
  }
}
