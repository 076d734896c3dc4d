/**
 * mymalloc: a freestanding parallel allocator. It stands on `vmalloc` and `vmfree` alone, which give and take
 * whole pages, also for its own state, and has its own spin locks.
 *
 * **What it does.** Let H = {[l₀, r₀), [l₁, r₁), …} be the set of live blocks.
 *
 *     mymalloc(s) returns l    H' = H ∪ {[l, r)}     r − l ≥ s, 8 divides l, [l, r) overlaps no block of H;
 *                              H' = H                l = 0: there was no room
 *     myfree(l)                H' = H \ {[l, r)}     where [l, r) ∈ H; myfree(0) leaves H as it is
 *
 * Every call takes effect at one moment between its begin and its end, while it holds the lock of the list
 * that the block belongs to (large blocks: inside `vmalloc` and `vmfree`).
 *
 * **How.** Up to 2 KiB a block is one of many of its size in a *span* of 64 KiB. Each CPU has an *arena*,
 * with a list of spans and a spin lock for each of 16 sizes: CPUs that allocate wait for each other only
 * where one frees what another has allocated. Above that, a block is whole pages. The *map* has a word for
 * each page of the memory, so that from an address its span is found in one step.
 *
 * ```
 *  root   ┌───────────────────────────────┬────────────────────────────────────────────────────────────┐
 *         │ arenas × sizes: lock · spans  │ map: 0 not ours · n: of the span on page n · −n: n pages   │
 *         └───────────────────────────────┴────────────────────────────────────────────────────────────┘
 *  span   ┌─────────────────────────────────────────────────────────┬───────┬───────┬───────┬╌╌╌╌╌╌╌╌╌╌╌┐
 *         │ list · size · free · fresh · end · used · next · prev   │ block │ block │ block │ not yet   │
 *         └─────────────────────────────────────────────────────────┴───────┴───────┴───────┴╌╌╌╌╌╌╌╌╌╌╌┘
 *          32 bytes; free: a list of blocks that were freed, linked by their first words      ▲ fresh      ▲ end
 * ```
 *
 * Invariants, whenever a list's lock is free: a span is on its list if and only if a block can be taken from
 * it; `used` is the number of its blocks in H; what `free` links and what lies in [fresh, end) is in no block
 * of H.
 */

import type { SharedMemory } from '@shmalloc/allocator-api';

/** What it stands on. `length` is a multiple of 4096; `vmalloc(0, length)` returns 0 when it cannot. */
export interface Vm {
  readonly memory: SharedMemory;
  vmalloc(address: number, length: number): number;
  vmfree(address: number, length: number): void;
}

const PAGE = 4096;
const SPAN_PAGES = 16;
const SIZES = [8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048] as const;
const LARGEST_SMALL = 2048;
/** The size for every multiple of 8 up to the largest. */
const SIZE_OF = Uint8Array.from({ length: 257 }, (_, n) => SIZES.findIndex((size) => size >= n * 8));

// Words of a list. Those of one arena fill cache lines of their own.
const [LOCK, SPANS, LIST_WORDS] = [0, 1, 4];
const ARENAS = 8;
const LISTS = ARENAS * SIZES.length;
const MAP = LISTS * LIST_WORDS;

// Words of a span.
const [LIST, SIZE, FREE, FRESH, END, USED, NEXT, PREV, HEADER_WORDS] = [0, 1, 2, 3, 4, 5, 6, 7, 8];

/** The allocator as one CPU sees it. Places are counted in words of 4 bytes. */
export class MyMalloc {
  /** Where its state lies: what another CPU needs to join. */
  readonly root: number;
  private readonly vm: Vm;
  private readonly words: Int32Array;
  private readonly lists: number;
  private readonly map: number;
  private readonly arena: number;

  /** The first CPU gives no root, all others give that of the first. The memory must not grow any more. */
  constructor(vm: Vm, cpu: number, root = 0) {
    this.vm = vm;
    this.words = vm.memory.i32;
    const bytes = (MAP + Math.ceil(this.words.length / (PAGE / 4))) * 4;
    this.root = root || vm.vmalloc(0, toPages(bytes) * PAGE);
    if (this.root === 0) throw new Error(`there are no ${toPages(bytes)} pages to begin with`);
    this.lists = this.root / 4;
    this.map = this.lists + MAP;
    this.arena = cpu % ARENAS;
    if (root === 0) this.words.fill(0, this.lists, this.lists + bytes / 4);
  }

  /** A block of at least `size` bytes at a multiple of 8; 0 when there is no room. May spin. */
  mymalloc(size: number): number {
    if (!Number.isInteger(size) || size < 0)
      throw new RangeError(`size must be a non-negative integer, got ${size}`);
    // Empty spans are kept for what comes next: when pages run out, they are the reserve.
    const get = size > LARGEST_SMALL ? 'getLarge' : 'getSmall';
    return this[get](size) || (this.mytrim() > 0 ? this[get](size) : 0);
  }

  /**
   * Takes a block back, on whichever CPU. 0 is ignored. May spin. As in C, no thread notices that a small
   * block is freed twice.
   */
  myfree(address: number): void {
    if (address === 0) return;
    const entry = this.entryOf(address);
    const span = entry * (PAGE / 4);
    const offset = address / 4 - span - HEADER_WORDS;
    if (entry < 0 && address % PAGE === 0) this.putLarge(address, -entry);
    // A span's size does not change while one of its blocks is live, and this one is.
    else if (entry > 0 && offset >= 0 && offset % this.words[span + SIZE] === 0)
      this.putSmall(span, address / 4);
    else throw new Error(`myfree(${address}): no block has been handed out there`);
  }

  /** Bytes that the block at this address has. */
  mysize(address: number): number {
    const entry = this.entryOf(address);
    return entry < 0 ? -entry * PAGE : this.words[entry * (PAGE / 4) + SIZE] * 4;
  }

  /**
   * Gives all empty spans back, and returns how many there were. Afterwards only live blocks and the root
   * hold pages.
   */
  mytrim(): number {
    let trimmed = 0;
    for (let index = 0; index < LISTS; index++) {
      const list = this.lists + index * LIST_WORDS;
      this.lock(list);
      let next = 0;
      for (let span = this.words[list + SPANS]; span !== 0; span = next) {
        next = this.words[span + NEXT];
        if (this.words[span + USED] > 0) continue;
        this.giveBack(list, span);
        trimmed++;
      }
      this.unlock(list);
    }
    return trimmed;
  }

  /** The map's word for the page of an address. */
  private entryOf(address: number): number {
    const page = Math.floor(address / PAGE);
    return page >= 0 && page < this.words.length / (PAGE / 4) ? this.words[this.map + page] : 0;
  }

  private getLarge(size: number): number {
    const pages = toPages(size);
    const address = this.vm.vmalloc(0, pages * PAGE);
    // The map belongs to one that has the page: no other thread looks at this word before the address has
    // been passed on.
    if (address !== 0) this.words[this.map + address / PAGE] = -pages;
    return address;
  }

  private putLarge(address: number, pages: number): void {
    this.words[this.map + address / PAGE] = 0;
    this.vm.vmfree(address, pages * PAGE);
  }

  /** From the own arena, which may grow; when it cannot, from what other arenas have left. */
  private getSmall(size: number): number {
    const index = SIZE_OF[(size + 7) >>> 3];
    for (let arena = 0; arena < ARENAS; arena++) {
      const list = this.lists + (((this.arena + arena) % ARENAS) * SIZES.length + index) * LIST_WORDS;
      this.lock(list);
      // A list's lock is taken before that of vmalloc and never after it, so no thread waits in a circle.
      const span = this.words[list + SPANS] || (arena === 0 ? this.newSpan(list, SIZES[index] / 4) : 0);
      const block = span === 0 ? 0 : this.take(list, span);
      this.unlock(list);
      if (block !== 0) return block * 4;
    }
    return 0;
  }

  /** One block of a span that has one; the caller holds the lock. */
  private take(list: number, span: number): number {
    const words = this.words;
    const size = words[span + SIZE];
    let block = words[span + FREE];
    if (block !== 0) words[span + FREE] = words[block];
    else {
      block = words[span + FRESH];
      words[span + FRESH] = block + size;
    }
    words[span + USED]++;
    if (words[span + FREE] === 0 && words[span + FRESH] + size > words[span + END]) this.unlink(list, span);
    return block;
  }

  private putSmall(span: number, block: number): void {
    const words = this.words;
    const list = words[span + LIST];
    this.lock(list);
    const wasFull = words[span + FREE] === 0 && words[span + FRESH] + words[span + SIZE] > words[span + END];
    words[block] = words[span + FREE];
    words[span + FREE] = block;
    words[span + USED]--;
    if (wasFull) this.link(list, span);
    // One empty span stays, so that a CPU at the edge does not fetch and return pages with every block.
    if (words[span + USED] === 0 && (words[span + NEXT] !== 0 || words[list + SPANS] !== span))
      this.giveBack(list, span);
    this.unlock(list);
  }

  /**
   * A span from `vmalloc`, on its list; when 64 KiB are too much, a single page. The caller holds the lock.
   */
  private newSpan(list: number, size: number): number {
    const words = this.words;
    let pages = SPAN_PAGES;
    let address = this.vm.vmalloc(0, pages * PAGE);
    if (address === 0) address = this.vm.vmalloc(0, (pages = 1) * PAGE);
    if (address === 0) return 0;
    const first = address / PAGE;
    words.fill(first, this.map + first, this.map + first + pages);
    const span = address / 4;
    words.fill(0, span, span + HEADER_WORDS);
    words[span + LIST] = list;
    words[span + SIZE] = size;
    words[span + FRESH] = span + HEADER_WORDS;
    words[span + END] = span + pages * (PAGE / 4);
    this.link(list, span);
    return span;
  }

  /** Returns an empty span's pages. The caller holds the lock. */
  private giveBack(list: number, span: number): void {
    this.unlink(list, span);
    const bytes = (this.words[span + END] - span) * 4;
    const entry = this.map + (span * 4) / PAGE;
    this.words.fill(0, entry, entry + bytes / PAGE);
    this.vm.vmfree(span * 4, bytes);
  }

  /** Puts a span first on its list. */
  private link(list: number, span: number): void {
    const words = this.words;
    const next = words[list + SPANS];
    words[span + NEXT] = next;
    words[span + PREV] = 0;
    if (next !== 0) words[next + PREV] = span;
    words[list + SPANS] = span;
  }

  private unlink(list: number, span: number): void {
    const words = this.words;
    const next = words[span + NEXT];
    const prev = words[span + PREV];
    if (next !== 0) words[next + PREV] = prev;
    if (prev !== 0) words[prev + NEXT] = next;
    else words[list + SPANS] = next;
  }

  private lock(list: number): void {
    // Acquire: pairs with the store in unlock. While it is taken, looks only: they leave the holder its cache
    // line.
    while (Atomics.compareExchange(this.words, list + LOCK, 0, 1) !== 0)
      while (Atomics.load(this.words, list + LOCK) !== 0);
  }

  private unlock(list: number): void {
    Atomics.store(this.words, list + LOCK, 0);
  }
}

const toPages = (bytes: number): number => Math.ceil(bytes / PAGE);
