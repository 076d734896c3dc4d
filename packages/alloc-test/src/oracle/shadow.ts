/**
 * The shadow: which bytes of the region belong to a live block, and to whose, kept apart from the allocator.
 *
 * ```
 *  the region    ├ 4 KiB page ──────────────────┼ 4 KiB page ──────────────────┼ 4 KiB page ───────┤
 *  blocks           ├ A ──┤├ B ─────────────────────────────────────────────────────────┤├ C ─┤
 *
 *  pages         1 word a page                                                    4 KiB → 4 bytes
 *                │ 2 parts (A, B)               │ WHOLE (B)                    │ 2 parts (B, C)    │
 *  bits          1 bit a granule of 8 bytes, for parts of pages only              4 KiB → 64 bytes
 *                │···1111111111111111111│       ·                              │1111·11111·········│
 *  records       1 word a granule, written where a block starts (and next to it)  4 KiB → 2 KiB
 *                │  A     B s                   ·                                       C          │
 *                   └ thread + 1: 12 bits, size: 20 bits; or 0xfffff, and the size is in the word s
 * ```
 *
 * A block that covers a page whole takes it with one compare-exchange 0 → WHOLE; every other piece adds 1 to
 * the page's word and sets its bits with one `Atomics.or` for 256 bytes. So a small block costs two atomic
 * operations, and a large one costs one a page. Of two claims that overlap at least one sees the other,
 * whatever their interleaving: each bit is taken by one atomic operation, and so is the page's word, which
 * tells whole claims from parts. Records are plain stores: they only name owners, in messages. The memory is
 * reserved and the system commits what is touched.
 */

import { type Address, MAX_BYTES } from '@shmalloc/allocator-api';

/** Bytes in a granule: every block starts at a multiple of it. */
export const GRANULE = 8;
const GRANULE_SHIFT = 3;
/** Granules in a page, and in a word of bits. */
const PAGE_SHIFT = 9;
const PAGE_GRANULES = 1 << PAGE_SHIFT;
const WORD_SHIFT = 5;
const WORD_GRANULES = 1 << WORD_SHIFT;

/** In a page's word: one block covers the whole page. Below it: how many blocks cover parts. */
const WHOLE = 0x40000000;

const SIZE_BITS = 20;
const SIZE_MASK = (1 << SIZE_BITS) - 1;
/** Threads are numbered 0 … 4094. */
export const MAX_THREADS: number = 2 ** (32 - SIZE_BITS) - 1;

/** How often a look-up waits for the record of a claim that another thread is just making. */
const PATIENCE = 1000;

/**
 * A live block as the oracle knows it.
 * @public
 */
export interface LiveBlock {
  /** The thread that allocated it, as numbered by the caller. */
  readonly thread: number;
  /** Where it starts, in bytes. */
  readonly address: Address;
  /** What was asked for, in bytes. */
  readonly size: number;
}

/**
 * The shared buffers of a shadow.
 * @public
 */
export interface ShadowBuffers {
  /** A word for each page of 4 KiB. */
  readonly pages: SharedArrayBuffer;
  /** A bit for each granule of 8 bytes. */
  readonly bits: SharedArrayBuffer;
  /** A word for each granule, to name owners. */
  readonly records: SharedArrayBuffer;
}

/** Granules of a block; a block of 0 bytes has one, its address is unique. */
function granulesOf(size: number): number {
  return size <= GRANULE ? 1 : ((size - 1) >>> GRANULE_SHIFT) + 1;
}

/** The bits `[from, to)` of the word that they share. */
function maskOf(from: number, to: number): number {
  const count = to - from;
  return (count === WORD_GRANULES ? -1 : (1 << count) - 1) << (from & (WORD_GRANULES - 1));
}

/**
 * The set H of live blocks, shared by threads. Lock-free; claims cost O(1) for small blocks, O(pages) for
 * large ones.
 */
export class Shadow {
  readonly buffers: ShadowBuffers;
  readonly #pages: Int32Array<SharedArrayBuffer>;
  readonly #bits: Int32Array<SharedArrayBuffer>;
  readonly #records: Int32Array<SharedArrayBuffer>;

  constructor(buffers: ShadowBuffers) {
    this.buffers = buffers;
    this.#pages = new Int32Array(buffers.pages);
    this.#bits = new Int32Array(buffers.bits);
    this.#records = new Int32Array(buffers.records);
  }

  /** @param bytes - how far addresses reach, at most 4 GiB */
  static create(bytes: number): Shadow {
    const pages = Math.ceil(Math.min(bytes, MAX_BYTES) / (GRANULE * PAGE_GRANULES));
    return new Shadow({
      pages: new SharedArrayBuffer(pages * 4),
      bits: new SharedArrayBuffer(pages * (PAGE_GRANULES / 8)),
      records: new SharedArrayBuffer(pages * PAGE_GRANULES * 4),
    });
  }

  /**
   * Adds `[address, address + size)` to H, or changes nothing.
   * @returns −1, or an address at which another block lies
   */
  claim(thread: number, address: Address, size: number): number {
    const first = address >>> GRANULE_SHIFT;
    const end = first + granulesOf(size);
    for (let at = first; at < end; ) {
      const page = at >>> PAGE_SHIFT;
      const to = Math.min(end, (page + 1) << PAGE_SHIFT);
      const taken = this.#claimPart(page, at, to);
      if (taken !== -1) {
        this.#releaseParts(first, at);
        return taken * GRANULE;
      }
      at = to;
    }
    if (size < SIZE_MASK) this.#records[first] = ((thread + 1) << SIZE_BITS) | size;
    else {
      this.#records[first + 1] = size;
      this.#records[first] = ((thread + 1) << SIZE_BITS) | SIZE_MASK;
    }
    return -1;
  }

  /**
   * Takes the block out of H.
   * @returns whether it was there with this size; of two threads that release it at once, one gets true
   */
  release(address: Address, size: number): boolean {
    if (!this.has(address, size)) return false;
    const first = address / GRANULE;
    const record = this.#records[first];
    if (record === 0) return false; // another thread was faster
    if (Atomics.compareExchange(this.#records, first, record, 0) !== record) return false;
    if (size >= SIZE_MASK) this.#records[first + 1] = 0;
    this.#releaseParts(first, first + granulesOf(size));
    return true;
  }

  /** Whether a block of this size that starts here is in H; any number may be asked for. */
  has(address: Address, size: number): boolean {
    const first = address / GRANULE;
    // Between granules and outside the shadow there is no record: `undefined`.
    return this.#records[first] !== undefined && this.#startsAt(first) && this.#sizeAt(first) === size;
  }

  /** The block that covers this address; waits a moment when another thread is just claiming it. */
  ownerOf(address: Address): LiveBlock | undefined {
    for (let turn = 0; turn < PATIENCE; turn++) {
      const owner = this.#lookUp(address >>> GRANULE_SHIFT);
      if (owner !== undefined) return owner;
    }
    return undefined;
  }

  /**
   * Every live block in the order of addresses. Meant for a moment when no thread allocates. Cost: O(pages +
   * blocks · 512).
   */
  *blocks(): Generator<LiveBlock> {
    for (let page = 0; page < this.#pages.length; page++) {
      const word = this.#pages[page];
      if (word === 0) continue;
      const first = page << PAGE_SHIFT;
      const end = word & WHOLE ? first + 1 : first + PAGE_GRANULES;
      for (let at = first; at < end; at++) if (this.#startsAt(at)) yield this.#blockAt(at);
    }
  }

  /** Takes granules `[from, to)` of one page, all or none. Returns −1 or a granule that is taken. */
  #claimPart(page: number, from: number, to: number): number {
    const pages = this.#pages;
    if (to - from === PAGE_GRANULES) {
      const word = Atomics.compareExchange(pages, page, 0, WHOLE);
      return word === 0 ? -1 : word & WHOLE ? from : this.#firstTaken(from, to);
    }
    if (Atomics.add(pages, page, 1) & WHOLE) {
      Atomics.sub(pages, page, 1);
      return from;
    }
    for (let at = from; at < to; ) {
      const stop = Math.min(to, (at | (WORD_GRANULES - 1)) + 1);
      const mask = maskOf(at, stop);
      const taken = Atomics.or(this.#bits, at >>> WORD_SHIFT, mask) & mask;
      if (taken !== 0) {
        Atomics.and(this.#bits, at >>> WORD_SHIFT, ~(mask & ~taken));
        this.#clearBits(from, at);
        Atomics.sub(pages, page, 1);
        return (at & ~(WORD_GRANULES - 1)) + (31 - Math.clz32(taken & -taken));
      }
      at = stop;
    }
    return -1;
  }

  /** Gives granules back that were claimed; `from` is where their block starts. */
  #releaseParts(from: number, end: number): void {
    for (let at = from; at < end; ) {
      const page = at >>> PAGE_SHIFT;
      const to = Math.min(end, (page + 1) << PAGE_SHIFT);
      if (to - at === PAGE_GRANULES) Atomics.sub(this.#pages, page, WHOLE);
      else {
        this.#clearBits(at, to);
        Atomics.sub(this.#pages, page, 1);
      }
      at = to;
    }
  }

  #clearBits(from: number, to: number): void {
    for (let at = from; at < to; ) {
      const stop = Math.min(to, (at | (WORD_GRANULES - 1)) + 1);
      Atomics.and(this.#bits, at >>> WORD_SHIFT, ~maskOf(at, stop));
      at = stop;
    }
  }

  /**
   * The first granule of `[from, to)` whose bit is set; `from` when the claim that is under way has set none
   * yet.
   */
  #firstTaken(from: number, to: number): number {
    for (let at = from; at < to; at += WORD_GRANULES) {
      const word = Atomics.load(this.#bits, at >>> WORD_SHIFT);
      if (word !== 0) return at + (31 - Math.clz32(word & -word));
    }
    return from;
  }

  /** Walks back from a granule to where its block starts. */
  #lookUp(granule: number): LiveBlock | undefined {
    for (let at = granule; at >= 0; at--) {
      const word = Atomics.load(this.#pages, at >>> PAGE_SHIFT);
      if (word === 0) return undefined;
      // Inside a page that one block covers whole, only the first granule can be a start.
      if (word & WHOLE) at &= ~(PAGE_GRANULES - 1);
      if (!this.#startsAt(at)) continue;
      const end = at + granulesOf(this.#sizeAt(at));
      return end > granule ? this.#blockAt(at) : undefined;
    }
    return undefined;
  }

  /** Whether the record here is a block's start and not the second word of one. */
  #startsAt(granule: number): boolean {
    if (this.#records[granule] === 0) return false;
    return granule === 0 || (this.#records[granule - 1] & SIZE_MASK) !== SIZE_MASK;
  }

  #sizeAt(granule: number): number {
    const size = this.#records[granule] & SIZE_MASK;
    return size === SIZE_MASK ? this.#records[granule + 1] >>> 0 : size;
  }

  #blockAt(granule: number): LiveBlock {
    const thread = (this.#records[granule] >>> SIZE_BITS) - 1;
    return { thread, address: granule * GRANULE, size: this.#sizeAt(granule) };
  }
}
