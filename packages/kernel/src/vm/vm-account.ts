/**
 * The virtual-memory account: which pages are reserved, which have a frame, and which of those may lose it.
 *
 * **What it models, and how.** A processor traps at the first access of a page; JavaScript cannot. So
 *
 * - the thread that is about to **write** says so with `touch` (or takes a `view`, which does it): that is
 *   the page fault. A page that has a frame already costs one load.
 * - the thread that **reads** says nothing: a page without a frame holds zeros, as if all such pages were
 *   mapped to one page of zeros.
 * - writing without `touch` is a mistake of the program, as is using freed memory; `validate` finds what it
 *   left on pages without a frame.
 *
 * After `madvise(FREE)` a page keeps its contents until its frame is needed, and reads as what it was or as
 * zeros, whole. Only `touch` makes it sure again; what is written without it can be lost.
 */

import {
  type Address,
  AllocError,
  checkChoice,
  checkInteger,
  checkOptions,
  isAligned,
  SharedMemory,
  type ViewTypes,
} from '@shmalloc/allocator-api';
import { Frames, PAGE_BYTES } from './frames.ts';
import { PageStates } from './page-states.ts';
import {
  DROPPED,
  EVICTED,
  FREEABLE,
  LENT,
  NONE,
  PAGES,
  PEAK,
  REFUSED,
  RESERVED,
  RESIDENT,
  USED,
} from './page-table.ts';
import type { Advice, VmAccountOptions, VmStats } from './vm-types.ts';

/** How often a page has to look broken in the same way. */
const LOOKS = 4;

const ADVICE: readonly Advice[] = ['DONTNEED', 'FREE'];

/**
 * A virtual-memory account over a range of shared memory, for any number of threads. All of its state is in
 * the memory.
 *
 * Progress: a call waits only for a CPU that is just giving a frame to, or taking it from, the same page; no
 * lock guards the rest. A thread that is terminated at that moment leaves the one page behind, and a call
 * that needs it is told after `patienceMs`: in a machine that cannot be, since there the death of a CPU stops
 * all.
 *
 * @example
 * ```ts
 * const vm = new VmAccount(memory, { table: 4096, start: 1 << 20, pages: 1024, frames: 256 });
 * vm.reserve(1 << 20, 8 * 4096);
 * const row = vm.view('f64', 1 << 20, 512); // a page becomes resident; null: no frame
 * vm.madvise(1 << 20, 4096, 'DONTNEED');    // and is dropped: row[0] is 0
 * ```
 * @public
 */
export class VmAccount {
  /** What it lies in. */
  readonly memory: SharedMemory;
  /** First byte of page 0. */
  readonly start: Address;
  /** One past the last byte of the last page. */
  readonly end: Address;
  private readonly frames: Frames;
  private readonly states: PageStates;

  /**
   * Makes the account, or comes to one that another thread has made.
   * @throws TypeError or RangeError for a wrong kind of argument; AllocError `InvalidParam` for a place that
   *   cannot be
   */
  constructor(memory: SharedMemory, options: VmAccountOptions) {
    if (!(memory instanceof SharedMemory)) {
      throw new TypeError(`memory must be a SharedMemory, got ${Object.prototype.toString.call(memory)}`);
    }
    checkOptions(options, ['table', 'start', 'pages', 'frames', 'patienceMs'], []);
    const patienceMs = checkInteger('patienceMs', options.patienceMs ?? 20_000);
    const table = checkInteger('table', options.table);
    const start = checkInteger('start', options.start);
    const pages = checkInteger('pages', options.pages);
    const limit = checkInteger('frames', options.frames);
    const tableEnd = table + VmAccount.tableBytes(pages);
    const end = start + pages * PAGE_BYTES;
    if (!isAligned(table, 4)) throw invalid(`table must be a multiple of 4, got ${table}`);
    if (!isAligned(start, PAGE_BYTES))
      throw invalid(`start must be a multiple of ${PAGE_BYTES}, got ${start}`);
    if (Math.max(end, tableEnd) > memory.byteLength) memory.refresh();
    if (Math.max(end, tableEnd) > memory.byteLength) {
      throw invalid(
        `pages [${start}, ${end}) and table [${table}, ${tableEnd}) leave the memory of ${memory.byteLength} bytes`,
      );
    }
    if (table < end && start < tableEnd) {
      throw invalid(`the table [${table}, ${tableEnd}) lies in the pages [${start}, ${end})`);
    }
    this.memory = memory;
    this.start = start;
    this.end = end;
    this.frames = new Frames(
      memory.i32.subarray(table / 4, tableEnd / 4),
      memory.u8.subarray(start, end),
      limit,
    );
    this.states = new PageStates(this.frames, memory.i32, start, patienceMs);
  }

  /**
   * Bytes of the table for so many pages.
   */
  static tableBytes(pages: number): number {
    return (PAGES + pages) * 4;
  }

  /**
   * Reserves pages: they are the caller's, read as zeros and have no frame yet. O(pages).
   * @param address - of the first page
   * @param length - bytes, a multiple of 4096
   * @throws AllocError `MemoryOverlap` when one of them is reserved already; then none has been
   */
  reserve(address: Address, length: number): void {
    const first = this.pageAt('reserve', address, length);
    const end = first + length / PAGE_BYTES;
    const { words } = this.frames;
    for (let page = first; page < end; page++) {
      // Of two CPUs that reserve the same page one finds NONE, or LENT.
      const word = Atomics.compareExchange(words, PAGES + page, NONE, RESERVED);
      if (word === NONE || (word === LENT && this.states.clean(page))) continue;
      this.release(address, (page - first) * PAGE_BYTES);
      throw new AllocError(
        'MemoryOverlap',
        `reserve of [${address}, ${address + length}): ${this.states.nameOf(page)} is reserved`,
      );
    }
  }

  /**
   * Says that pages will be used without this account's knowledge: until another thread reserves them again,
   * and then gets zeros, they may hold anything. For pages that the caller alone has. O(pages).
   * @param address - of the first page
   * @param length - bytes, a multiple of 4096
   * @throws AllocError `MemoryOverlap` when one of them is reserved; those before it have been lent
   */
  lend(address: Address, length: number): void {
    const first = this.pageAt('lend', address, length);
    const { words } = this.frames;
    for (let page = first; page < first + length / PAGE_BYTES; page++) {
      const word = Atomics.compareExchange(words, PAGES + page, NONE, LENT);
      if (word !== NONE && word !== LENT)
        throw new AllocError('MemoryOverlap', `lend: ${this.states.nameOf(page)} is reserved`);
    }
  }

  /**
   * Gives pages up: their frames go back, and they are no thread's. O(pages).
   * @param address - of the first page
   * @param length - bytes, a multiple of 4096
   * @throws AllocError `NotAllocated` when one of them is not reserved; then nothing has changed, unless
   *   another CPU has released it meanwhile
   */
  release(address: Address, length: number): void {
    const released = this.releaseRun('release', address, length);
    if (released < length / PAGE_BYTES)
      throw this.states.notReserved('release', this.pageNumber(address) + released);
  }

  /**
   * The same, for the thread that keeps a second account of these pages.
   * @returns how many pages it has released: fewer than all when another CPU has released one of them
   *   meanwhile
   * @throws as `release`, when nothing has changed
   * @internal
   */
  releaseRun(name: string, address: Address, length: number): number {
    const first = this.pageAt(name, address, length);
    const end = first + length / PAGE_BYTES;
    this.checkReserved(name, first, end);
    for (let page = first; page < end; page++) if (!this.states.drop(page, NONE)) return page - first;
    return end - first;
  }

  /**
   * Says that bytes are about to be written: their pages get frames, and those that were given up by `FREE`
   * and not taken yet are kept. A page that is resident already costs a load.
   * @param address - of the first byte
   * @param length - bytes
   * @returns false when there is no frame, nor a page to take one from; the pages before that one are
   *   resident
   * @throws AllocError `NotAllocated` when one of the pages is not reserved
   */
  touch(address: Address, length: number): boolean {
    this.checkInside('touch', address, length);
    if (length === 0) return true;
    const { words } = this.frames;
    const end = Math.ceil((address + length - this.start) / PAGE_BYTES);
    for (let page = Math.floor((address - this.start) / PAGE_BYTES); page < end; page++) {
      // A plain look. Another CPU may be giving the page up just now: that is as if it did so after this
      // touch.
      if (words[PAGES + page] !== RESIDENT && !this.states.commit(page)) return false;
    }
    return true;
  }

  /**
   * A typed array over bytes that were touched.
   * @param type - the element
   * @param address - bytes, a multiple of the element's size
   * @param length - elements
   * @returns null when there is no frame
   * @throws what {@link VmAccount.touch} and `SharedMemory.view` throw
   */
  view<T extends keyof ViewTypes>(type: T, address: Address, length: number): ViewTypes[T] | null {
    const view = this.memory.view(type, address, length);
    return this.touch(address, view.byteLength) ? view : null;
  }

  /**
   * Says what will become of pages: see {@link Advice}. O(pages), and 4096 bytes are zeroed for each page
   * that is dropped.
   * @param address - of the first page
   * @param length - bytes, a multiple of 4096
   * @returns how many pages it changed: dropped, or given up
   * @throws AllocError `NotAllocated` when one of them is not reserved, and nothing has changed;
   *   `InvalidParam` for another advice
   */
  madvise(address: Address, length: number, advice: Advice): number {
    const first = this.pageAt('madvise', address, length);
    const end = first + length / PAGE_BYTES;
    checkChoice('advice', advice, ADVICE);
    this.checkReserved('madvise', first, end);
    if (advice === 'FREE') return this.states.free(first, end);
    let dropped = 0;
    for (let page = first; page < end; page++) if (this.states.drop(page, RESERVED)) dropped++;
    return dropped;
  }

  /**
   * Whether the page of this byte has a frame. Another CPU may change that at any time.
   */
  isResident(address: Address): boolean {
    this.checkInside('isResident', address, 1);
    const state = this.states.stateOf(Math.floor((address - this.start) / PAGE_BYTES));
    return state === RESIDENT || state === FREEABLE;
  }

  /** How many pages hold a frame, or are just getting one. */
  get residentPages(): number {
    return Atomics.load(this.frames.words, USED);
  }

  /**
   * Figures; exact while no thread is inside a call. O(pages).
   */
  stats(): VmStats {
    const { words, pages, limit } = this.frames;
    let reserved = 0;
    let freeable = 0;
    for (let page = 0; page < pages; page++) {
      const state = this.states.stateOf(page);
      if (state !== NONE && state !== LENT) reserved++;
      if (state === FREEABLE) freeable++;
    }
    return {
      pages,
      reserved,
      resident: this.residentPages,
      peakResident: Atomics.load(words, PEAK),
      freeable,
      frames: limit,
      evicted: Atomics.load(words, EVICTED),
      dropped: Atomics.load(words, DROPPED),
      refused: Atomics.load(words, REFUSED),
    };
  }

  /**
   * Walks every page. Threads may be at work: what is told then was seen unchanged more than once. O(bytes of
   * the pages without a frame).
   * @param options - with `quiet`, for a moment when no thread is inside a call, a page that is held, and
   *   frames that are counted wrongly, are told too
   * @throws AllocError `Corrupted` with the first invariant that is broken
   */
  validate(options: { readonly quiet?: boolean | undefined } = {}): void {
    const { pages, limit } = this.frames;
    const quiet = options.quiet === true;
    let resident = 0;
    for (let page = 0; page < pages; page++) {
      let broken = this.states.brokenAt(page, quiet);
      for (let look = 1; look < LOOKS && broken !== ''; look++)
        if (this.states.brokenAt(page, quiet) !== broken) broken = '';
      if (broken !== '') throw new AllocError('Corrupted', broken);
      const state = this.states.stateOf(page);
      if (state === RESIDENT || state === FREEABLE) resident++;
    }
    if (!quiet) return;
    const { residentPages } = this;
    if (resident !== residentPages) {
      throw new AllocError(
        'Corrupted',
        `${resident} pages have frames, and ${residentPages} frames are counted`,
      );
    }
    if (resident > limit)
      throw new AllocError('Corrupted', `${resident} pages have frames, of which there are ${limit}`);
  }

  /**
   * The number of the page at an address, after a look whether the range consists of pages of this account.
   */
  private pageAt(name: string, address: Address, length: number): number {
    this.checkInside(name, address, length);
    if (!isAligned(address, PAGE_BYTES) || !isAligned(length, PAGE_BYTES)) {
      throw invalid(
        `${name}: address and length must be multiples of ${PAGE_BYTES}, got ${address} and ${length}`,
      );
    }
    return this.pageNumber(address);
  }

  private pageNumber(address: Address): number {
    return (address - this.start) / PAGE_BYTES;
  }

  private checkInside(name: string, address: Address, length: number): void {
    checkInteger(`${name}: address`, address);
    checkInteger(`${name}: length`, length);
    if (address < this.start || address + length > this.end) {
      throw invalid(
        `${name} of [${address}, ${address + length}), which leaves the pages [${this.start}, ${this.end})`,
      );
    }
  }

  private checkReserved(name: string, first: number, end: number): void {
    for (let page = first; page < end; page++) {
      const state = this.states.stateOf(page);
      if (state === NONE || state === LENT) throw this.states.notReserved(name, page);
    }
  }
}

function invalid(message: string): AllocError {
  return new AllocError('InvalidParam', message);
}
