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
import { backOff } from '@shmalloc/atomic-cell';
import { Frames, PAGE_BYTES } from './frames.ts';
import {
  BUSY,
  CLOCK,
  DROPPED,
  EVICTED,
  FREEABLE,
  FREEINGS,
  freeableSince,
  LENT,
  NONE,
  PAGES,
  PEAK,
  REFUSED,
  RESERVED,
  RESIDENT,
  STATE_MASK,
  toTick,
  USED,
} from './page-table.ts';

/**
 * What `madvise` is told about pages.
 *
 * - `DONTNEED`: drop them now; they read as zeros
 * - `FREE`: take them when frames run out, unless they are touched again first
 * @public
 */
export type Advice = 'DONTNEED' | 'FREE';

/** How often a page has to look broken in the same way. */
const LOOKS = 4;

const ADVICE: readonly Advice[] = ['DONTNEED', 'FREE'];

/**
 * Where a {@link VmAccount} lies. Every thread gives the same.
 * @public
 */
export interface VmAccountOptions {
  /**
   * First byte of the account's table, a multiple of 4; {@link VmAccount.tableBytes} bytes of zeros when the
   * account is new.
   */
  readonly table: Address;
  /** First byte of page 0, a multiple of 4096. All pages hold zeros when the account is new. */
  readonly start: Address;
  /** How many pages of 4096 bytes. */
  readonly pages: number;
  /** How many of them may be resident at once. */
  readonly frames: number;
  /**
   * How long a call waits for a CPU that holds one page, in milliseconds, before the page counts as damaged.
   * Default 20,000.
   */
  readonly patienceMs?: number | undefined;
}

/**
 * Figures of a {@link VmAccount}, in pages.
 * @public
 */
export interface VmStats {
  /** Pages that the account is about. */
  readonly pages: number;
  /** How many of them are reserved. */
  readonly reserved: number;
  /** How many hold a frame, those that may be taken included. */
  readonly resident: number;
  /** The most that have. */
  readonly peakResident: number;
  /** How many hold a frame that may be taken. */
  readonly freeable: number;
  /** How many may be resident. */
  readonly frames: number;
  /** Frames that were taken under pressure, so far. */
  readonly evicted: number;
  /** Frames that DONTNEED and release have given back, so far. */
  readonly dropped: number;
  /** Pages that got no frame, so far. */
  readonly refused: number;
}

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
  private readonly patienceMs: number;

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
    this.patienceMs = checkInteger('patienceMs', options.patienceMs ?? 20_000);
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
      if (word === NONE || (word === LENT && this.clean(page))) continue;
      this.release(address, (page - first) * PAGE_BYTES);
      throw new AllocError(
        'MemoryOverlap',
        `reserve of [${address}, ${address + length}): ${this.nameOf(page)} is reserved`,
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
        throw new AllocError('MemoryOverlap', `lend: ${this.nameOf(page)} is reserved`);
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
      throw this.notReserved('release', this.pageNumber(address) + released);
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
    for (let page = first; page < end; page++) if (!this.drop(page, NONE)) return page - first;
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
      if (words[PAGES + page] !== RESIDENT && !this.commit(page)) return false;
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
    if (advice === 'FREE') return this.free(first, end);
    let dropped = 0;
    for (let page = first; page < end; page++) if (this.drop(page, RESERVED)) dropped++;
    return dropped;
  }

  /**
   * Whether the page of this byte has a frame. Another CPU may change that at any time.
   */
  isResident(address: Address): boolean {
    this.checkInside('isResident', address, 1);
    const state = this.stateOf(Math.floor((address - this.start) / PAGE_BYTES));
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
      const state = this.stateOf(page);
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
      let broken = this.brokenAt(page, quiet);
      for (let look = 1; look < LOOKS && broken !== ''; look++)
        if (this.brokenAt(page, quiet) !== broken) broken = '';
      if (broken !== '') throw new AllocError('Corrupted', broken);
      const state = this.stateOf(page);
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

  /** What is wrong with a page at this look; '' when nothing is. */
  private brokenAt(page: number, quiet: boolean): string {
    const { words, bytes } = this.frames;
    const word = Atomics.load(words, PAGES + page);
    const state = word & STATE_MASK;
    if (state === BUSY && quiet) return `${this.nameOf(page)} is held by a CPU (its word is ${word})`;
    if (state > LENT || (state !== FREEABLE && word !== state))
      return `the word of ${this.nameOf(page)} is ${word}`;
    if (state !== NONE && state !== RESERVED) return '';
    const wrong = firstNonZero(this.memory.i32, bytes, page);
    // It may have got a frame, and what was written, since the look at its word.
    return wrong === -1 || Atomics.load(words, PAGES + page) !== word
      ? ''
      : `${this.nameOf(page)} has no frame, and byte ${wrong} of it is not 0`;
  }

  /** Gives a page a frame, or makes sure of the one that it has. */
  private commit(page: number): boolean {
    const { frames } = this;
    const { words } = frames;
    const wait: Wait = { round: 0, until: 0 };
    for (;;) {
      const word = Atomics.load(words, PAGES + page);
      switch (word & STATE_MASK) {
        case RESIDENT:
          return true;
        case FREEABLE:
          // Against the CPU that takes it under pressure: if that one wins, this page is BUSY now, and soon
          // RESERVED.
          if (Atomics.compareExchange(words, PAGES + page, word, RESIDENT) === word) return true;
          break;
        case BUSY:
          this.waitFor(page, wait);
          break;
        case RESERVED: {
          // Claimed before a frame is sought: two CPUs that touch the page at once must not take the last two
          // frames for it, nor may one of them be refused because the other holds the frame that both are to
          // have. Acquire: pairs with the store that ended the last drop, and finds its zeros.
          if (Atomics.compareExchange(words, PAGES + page, word, BUSY) !== word) break;
          const taken = frames.take();
          Atomics.store(words, PAGES + page, taken ? RESIDENT : RESERVED);
          if (!taken) Atomics.add(words, REFUSED, 1);
          return taken;
        }
        default:
          throw this.notReserved('touch', page);
      }
    }
  }

  /**
   * Pauses, since a CPU holds this page for as long as it takes to write 4096 zeros. It waits for nothing: a
   * page that is held for very much longer is held by none.
   * @throws AllocError `Corrupted`
   */
  private waitFor(page: number, wait: Wait): void {
    wait.round = backOff(wait.round);
    const now = performance.now();
    wait.until ||= now + this.patienceMs;
    if (now > wait.until)
      throw new AllocError('Corrupted', `${this.nameOf(page)} is held, and no CPU lets go of it`);
  }

  /**
   * Takes a page's frame away, if it has one, and leaves it in state `then`.
   * @returns whether something has changed
   */
  private drop(page: number, then: typeof NONE | typeof RESERVED): boolean {
    const { frames } = this;
    const { words } = frames;
    const wait: Wait = { round: 0, until: 0 };
    for (;;) {
      const word = Atomics.load(words, PAGES + page);
      const state = word & STATE_MASK;
      if (state === NONE || state === LENT || word === then) return false;
      if (state === BUSY) {
        // Also when it is being dropped: after this call it has to read as zeros.
        this.waitFor(page, wait);
      } else if (
        Atomics.compareExchange(words, PAGES + page, word, state === RESERVED ? then : BUSY) === word
      ) {
        if (state === RESERVED) return true;
        frames.wipe(page);
        // Release: pairs with the exchange of the thread that commits or reserves the page next.
        Atomics.store(words, PAGES + page, then);
        frames.giveBack();
        Atomics.add(words, DROPPED, 1);
        return true;
      }
    }
  }

  /**
   * Lets pages be taken. A page that may be taken already keeps its age; one that has no frame, or is just
   * getting one, is left.
   */
  private free(first: number, end: number): number {
    const { words } = this.frames;
    const since = freeableSince(toTick(Atomics.add(words, CLOCK, 1) + 1));
    let freed = 0;
    for (let page = first; page < end; page++) {
      // Release: pairs with the exchange of the CPU that takes it, whose zeros come after what was written
      // here.
      if (Atomics.compareExchange(words, PAGES + page, RESIDENT, since) === RESIDENT) freed++;
    }
    // After the pages: see Frames.take.
    if (freed > 0) Atomics.add(words, FREEINGS, 1);
    return freed;
  }

  /** Makes a page that was lent one that is reserved; false when another CPU does. */
  private clean(page: number): boolean {
    const { frames } = this;
    const { words } = frames;
    if (Atomics.compareExchange(words, PAGES + page, LENT, BUSY) !== LENT) return false;
    frames.wipe(page);
    // Release: pairs with the exchange of the thread that commits the page next.
    Atomics.store(words, PAGES + page, RESERVED);
    return true;
  }

  private stateOf(page: number): number {
    return Atomics.load(this.frames.words, PAGES + page) & STATE_MASK;
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
      const state = this.stateOf(page);
      if (state === NONE || state === LENT) throw this.notReserved(name, page);
    }
  }

  private notReserved(name: string, page: number): AllocError {
    return new AllocError('NotAllocated', `${name}: ${this.nameOf(page)} is not reserved`);
  }

  private nameOf(page: number): string {
    return `the page at ${this.start + page * PAGE_BYTES}`;
  }
}

/** How long a call has waited for one page. */
interface Wait {
  round: number;
  /** When it is long enough; 0 before the first pause. */
  until: number;
}

/**
 * The first byte of a page that is not 0; −1 when all are. By words: a whole memory may have to be looked
 * through.
 * @param i32 - the memory
 * @param bytes - the pages
 */
function firstNonZero(i32: Int32Array, bytes: Uint8Array, page: number): number {
  const at = page * PAGE_BYTES;
  const first = (bytes.byteOffset + at) / 4;
  for (let word = first; word < first + PAGE_BYTES / 4; word++) {
    if (i32[word] !== 0) return bytes.subarray(at, at + PAGE_BYTES).findIndex((byte) => byte !== 0);
  }
  return -1;
}

function invalid(message: string): AllocError {
  return new AllocError('InvalidParam', message);
}
