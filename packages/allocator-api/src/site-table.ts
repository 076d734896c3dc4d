/**
 * Where blocks were allocated: the stacks of calls, in the region, so that any thread can print them.
 *
 * ```
 *  words of the table, at the end of the region
 *   0  MAGIC    "SITE"
 *   1  WORDS    of the whole table
 *   2  NUMBER   allocations that were noted
 *   3  TEXTED   words of texts in use
 *   4  ┌──────────────┐
 *      │ index        │  a word for each place: a text's first word, by the text's hash; 0 free
 *      ├──────────────┤
 *      │ entries      │  ADDRESS · SITE · NUMBER, in buckets of 8 by the address's hash; address 0: free
 *      ├──────────────┤
 *      │ texts        │  HASH · BYTES · the text in UTF-8
 *      └──────────────┘
 * ```
 *
 * An entry belongs to the thread that has the block: from when the block is handed out until it is freed no
 * other thread writes it, and the allocator orders the threads that have a block one after the other. So only
 * the claim of a free entry is an exchange. A block whose bucket is full has no site, and so has each new
 * place when there is no room for texts; nothing waits, and nothing else is lost.
 *
 * The table may have been written over, like all of the region: whatever lies there, nothing is read or
 * written outside it.
 */

import { type Address, alignDown } from './address.ts';
import type { Word } from './bits.ts';

const MAGIC = 0x53495445;

const Field = { magic: 0, words: 1, number: 2, texted: 3 } as const;
const HEAD_WORDS = 4;

/** Fields of an entry. */
const ADDRESS = 0;
const SITE = 1;
const NUMBER = 2;
const ENTRY_WORDS = 3;
const BUCKET = 8;

/** Fields of a text. */
const HASH = 0;
const BYTES = 1;
const TEXT = 2;

/** A region below this has no table. */
const LEAST_REGION = 1 << 17;
const MOST_BYTES = 1 << 25;

/** A table begins and ends at a multiple of so many bytes, from the region on. */
export const SITES_ALIGN = 64;

/** One MiB: some thousands of stacks, of which no program has many. */
const MOST_TEXT_WORDS = 1 << 18;

/** Calls of a stack that are kept. */
const DEPTH = 8;

/**
 * Bytes that a region's table has: an eighth of it, 32 MiB at the most; 0 for a region below 128 KiB.
 * @param bytes - of the region
 */
export function siteTableBytes(bytes: number): number {
  return bytes < LEAST_REGION ? 0 : alignDown(Math.min(Math.floor(bytes / 8), MOST_BYTES), SITES_ALIGN);
}

/** Where a table lies. */
export interface SitePlace {
  readonly table: Word;
  /** How long it is. */
  readonly words: number;
}

/** Makes a table, all of it free, where no other thread looks yet. */
export function laySites(i32: Int32Array, { table, words }: SitePlace): void {
  i32.fill(0, table, table + words);
  i32[table + Field.words] = words;
  i32[table + Field.magic] = MAGIC;
}

/**
 * The table that a word of a header names; null when there is none, or what lies there cannot be one.
 * @param i32 - the memory
 */
export function findSites(i32: Int32Array, table: Word): SitePlace | null {
  if (table <= 0 || i32[table + Field.magic] !== MAGIC) return null;
  const words = i32[table + Field.words];
  return words < LEAST_REGION / 32 || table + words > i32.length ? null : { table, words };
}

/** What is known of where a block was allocated. */
export interface Noted {
  /** A stack, one line a call. */
  readonly site: string | null;
  /** Which allocation it was of those that were noted, from 0 on, modulo 2³². */
  readonly number: number;
}

/** FNV-1a. */
function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}

/** V8 can leave out the calls above a function. */
type Capture = (target: object, above: unknown) => void;

/**
 * The calls that have led here, one a line.
 * @param above - a function on the stack: it and what it has called are left out, where the engine can do so
 */
export function stackAbove(above: unknown): string {
  const { captureStackTrace, stackTraceLimit } = Error as {
    captureStackTrace?: Capture;
    stackTraceLimit?: number;
  };
  if (captureStackTrace === undefined) return new Error('allocated').stack ?? '';
  const holder: { stack?: string } = {};
  // `Reflect`: where `Error` is frozen, the limit is what it is.
  Reflect.set(Error, 'stackTraceLimit', DEPTH);
  captureStackTrace(holder, above);
  Reflect.set(Error, 'stackTraceLimit', stackTraceLimit);
  const lines = (holder.stack ?? '').split('\n').slice(1);
  return lines.map((line) => line.trim()).join('\n');
}

/** One thread's access to a table. */
export class SiteTable {
  private readonly i32: Int32Array;
  private readonly u8: Uint8Array;
  private readonly table: Word;
  private readonly buckets: number;
  private readonly places: number;
  private readonly entries: Word;
  private readonly texts: Word;
  private readonly end: Word;
  /** The texts that this thread has met. */
  private readonly known = new Map<string, Word>();

  /** @param buffer - the memory: a view that does not follow its growth will do */
  constructor(buffer: SharedArrayBuffer, { table, words }: SitePlace) {
    this.i32 = new Int32Array(buffer, 0, table + words);
    this.u8 = new Uint8Array(buffer, 0, (table + words) * 4);
    this.table = table;
    // A stack takes half a kilobyte, an entry 12 bytes. A word in 33 of those for texts is the index's.
    const texts = Math.min(Math.floor(words / 2), MOST_TEXT_WORDS);
    this.places = Math.floor(texts / 33);
    this.buckets = Math.floor((words - texts - HEAD_WORDS) / (BUCKET * ENTRY_WORDS));
    this.entries = table + HEAD_WORDS + this.places;
    this.texts = this.entries + this.buckets * BUCKET * ENTRY_WORDS;
    this.end = table + words;
  }

  /** How many allocations were noted, modulo 2³². */
  get number(): number {
    return Atomics.load(this.i32, this.table + Field.number) >>> 0;
  }

  /**
   * Notes where a block was allocated that this thread has just got.
   * @param above - as in `stackAbove`
   */
  note(address: Address, above: unknown): void {
    const number = Atomics.add(this.i32, this.table + Field.number, 1);
    this.put(address, this.intern(stackAbove(above)), number);
  }

  /** Notes for a block what was taken of another, or of itself. */
  put(address: Address, site: Word, number: number): void {
    const { i32 } = this;
    const entry = this.entryOf(address) || this.claim(address);
    if (entry === 0) return;
    i32[entry + SITE] = site;
    i32[entry + NUMBER] = number;
  }

  /**
   * Forgets a block that this thread is about to free.
   * @returns what was noted, for `put`; null when nothing was
   */
  take(address: Address): { site: Word; number: number } | null {
    const { i32 } = this;
    const entry = this.entryOf(address);
    if (entry === 0) return null;
    const taken = { site: i32[entry + SITE], number: i32[entry + NUMBER] };
    i32[entry + SITE] = 0;
    // Release: pairs with the exchange in `claim`. What this thread has written there is over.
    Atomics.store(i32, entry + ADDRESS, 0);
    return taken;
  }

  /** Forgets all blocks. No other thread may be at the table. */
  clear(): void {
    this.i32.fill(0, this.entries, this.texts);
  }

  /** What is known of a live block. While other threads work, it may be another block's. */
  of(address: Address): Noted | null {
    const entry = this.entryOf(address);
    if (entry === 0) return null;
    return { site: this.textAt(this.i32[entry + SITE]), number: this.i32[entry + NUMBER] >>> 0 };
  }

  // ── Entries ──

  private bucketOf(address: Address): Word {
    // Fibonacci hashing: the upper bits spread addresses that lie in a row.
    const hash = Math.imul(address >>> 3, 0x9e3779b1) >>> 0;
    return this.entries + Math.floor((hash / 2 ** 32) * this.buckets) * BUCKET * ENTRY_WORDS;
  }

  /** A block's entry; 0 when it has none. */
  private entryOf(address: Address): Word {
    const bucket = this.bucketOf(address);
    const end = bucket + BUCKET * ENTRY_WORDS;
    // A plain look would do for the block's own thread; the others get what was whole at some moment.
    for (let entry = bucket; entry < end; entry += ENTRY_WORDS)
      if (Atomics.load(this.i32, entry + ADDRESS) === (address | 0)) return entry;
    return 0;
  }

  /** Takes a free entry for a block; 0 when the bucket has none. */
  private claim(address: Address): Word {
    const bucket = this.bucketOf(address);
    const end = bucket + BUCKET * ENTRY_WORDS;
    // Of two threads that claim an entry one gets it. Acquire: pairs with the store in `take`.
    for (let entry = bucket; entry < end; entry += ENTRY_WORDS)
      if (Atomics.compareExchange(this.i32, entry + ADDRESS, 0, address | 0) === 0) return entry;
    return 0;
  }

  // ── Texts ──

  /** A text's word, the same for the same text; 0 when there is no room for it. */
  private intern(text: string): Word {
    const known = this.known.get(text);
    if (known !== undefined) return known;
    const bytes = new TextEncoder().encode(text);
    const hash = hashOf(bytes);
    const { i32, places } = this;
    const index = this.table + HEAD_WORDS;
    let found = 0;
    for (let probe = 0; found === 0 && probe < places; probe++) {
      const place = index + (((hash >>> 0) + probe) % places);
      // Acquire: pairs with the exchange below; a text is whole before the index has it.
      const there = Atomics.load(i32, place);
      if (there === 0) {
        found = this.write(bytes, hash);
        // Release: the text. When another thread was first, ours is good all the same, and known to us alone.
        if (found !== 0) Atomics.compareExchange(i32, place, 0, found);
        break;
      }
      if (this.isText(there, hash, text)) found = there;
    }
    this.known.set(text, found);
    return found;
  }

  private isText(at: Word, hash: number, text: string): boolean {
    return this.i32[at + HASH] === hash && this.textAt(at) === text;
  }

  /** Writes a text where none is; 0 when there is no room. */
  private write(bytes: Uint8Array, hash: number): Word {
    const { i32 } = this;
    const words = TEXT + Math.ceil(bytes.length / 4);
    const used = Atomics.add(i32, this.table + Field.texted, words);
    const at = this.texts + used;
    if (used < 0 || at + words > this.end) {
      Atomics.sub(i32, this.table + Field.texted, words);
      return 0;
    }
    i32[at + HASH] = hash;
    i32[at + BYTES] = bytes.length;
    this.u8.set(bytes, (at + TEXT) * 4);
    return at;
  }

  private textAt(at: Word): string | null {
    if (at < this.texts || at + TEXT > this.end) return null;
    const start = (at + TEXT) * 4;
    const bytes = this.i32[at + BYTES];
    if (bytes < 0 || start + bytes > this.end * 4) return null;
    // A copy: decoders take no shared memory.
    return new TextDecoder().decode(this.u8.slice(start, start + bytes));
  }
}
