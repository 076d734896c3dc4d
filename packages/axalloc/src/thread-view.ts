/**
 * What one thread knows of a two-level allocator: where things lie, which thread it is, which heaps it has
 * attached to. Everything that counts is in the region itself. The functions of this package take a `View`
 * first; {@link AxAlloc} is one.
 */

import {
  type Address,
  AllocError,
  type ErrorHook,
  type Heap,
  type HeapAlgorithm,
  type SharedMemory,
  type SharedPages,
  SiteTable,
  type Word,
} from '@shmalloc/allocator-api';
import * as at from './header.ts';
import type { GrowthPolicy } from './policy.ts';

/** What a detached thread looks at: every read is `undefined`, which equals nothing. */
export const NO_WORDS: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(0));
const NO_BYTES: Uint8Array<SharedArrayBuffer> = new Uint8Array(NO_WORDS.buffer);

/**
 * One thread's view.
 * @public
 */
export abstract class View {
  /** The region. */
  readonly memory: SharedMemory;
  /** @internal */
  i32: Int32Array<SharedArrayBuffer>;
  /** @internal */
  u8: Uint8Array<SharedArrayBuffer>;
  /** @internal */
  readonly pages: SharedPages;
  /** @internal */
  readonly algorithms: ReadonlyMap<string, HeapAlgorithm>;
  /** @internal */
  readonly header: Word;
  /** @internal */
  readonly geometry: at.Geometry;
  /** @internal */
  readonly places: at.Places;
  /** @internal */
  readonly policy: GrowthPolicy;
  /** @internal */
  readonly pageShift: number;
  /** @internal */
  readonly firstPage: number;
  /** @internal */
  readonly mapPages: number;
  /** The map's first byte. @internal */
  readonly map: Address;
  /** Where blocks were allocated; null without tracking. @internal */
  readonly sites: SiteTable | null;
  /** This thread's line, counted from 1; 0 none. @internal */
  cpu = 0;
  /** This thread among those attached; never 0, and never used again. Another thread gives it to `reap`. */
  threadId = 0;
  /** This thread's line. @internal */
  line: Word = 0;
  /** What CURRENT was when this thread looked last. @internal */
  seen = -1;
  /** The slot that this thread announces; −1 none, which no map byte is. @internal */
  slot = -1;
  /** The heap of that slot. @internal */
  heap!: Heap;
  /** This thread's tally in that slot. @internal */
  tally: Word = 0;
  /** Heaps by slot, and the id of the generation that each is of. @internal */
  readonly heaps: (Heap | null)[];
  /** @internal */
  readonly ids: number[];

  /** Where visits are shown: VISITED, or within an error hook VISITED_INSIDE. @internal */
  visited: Word = at.VISITED;
  /** Whether an error hook is running. @internal */
  reporting = false;
  private readonly unreported: AllocError[] = [];
  /** @internal */
  onError: ErrorHook = (error) => console.error(`${error.name} ${error.code}: ${error.message}`);

  /** @internal */
  constructor(
    memory: SharedMemory,
    header: Word,
    pages: SharedPages,
    algorithms: ReadonlyMap<string, HeapAlgorithm>,
  ) {
    this.memory = memory;
    this.i32 = memory.i32;
    this.u8 = memory.u8;
    this.pages = pages;
    this.algorithms = algorithms;
    this.header = header;
    this.geometry = at.geometryOf(memory, header);
    this.places = at.placesOf(this.geometry);
    this.policy = at.readPolicy(memory, header);
    this.pageShift = this.geometry.pageShift;
    this.firstPage = this.geometry.firstPage;
    this.mapPages = this.geometry.mapPages;
    this.map = header * 4 + this.places.mapBytes;
    const { siteWords } = this.geometry;
    this.sites =
      siteWords === 0
        ? null
        : new SiteTable(memory.buffer, { table: header + this.places.sites, words: siteWords });
    this.heaps = new Array(this.geometry.generations + 1).fill(null);
    this.ids = new Array(this.geometry.generations + 1).fill(0);
  }

  /** Whether `detach` has been called. @internal */
  get closed(): boolean {
    return this.i32 === NO_WORDS;
  }

  /** @throws AllocError `InvalidParam` when this thread has detached @internal */
  demandOpen(): void {
    if (this.closed) throw new AllocError('InvalidParam', `this ${at.ALGORITHM} allocator is detached`);
  }

  /** @internal */
  close(): void {
    this.i32 = NO_WORDS;
    this.u8 = NO_BYTES;
  }

  /** @internal */
  entry(slot: number): Word {
    return at.entryAt(this.header, this.places, slot);
  }

  /** Counts in the header. @internal */
  count(field: number): void {
    Atomics.add(this.i32, this.header + field, 1);
  }

  /** Tells a write through NULL that no thread has told of yet. For slow paths. @internal */
  lookAtNull(): void {
    const error = this.pages.takeNullWrite?.() ?? null;
    if (error !== null) this.report(error);
  }

  // ── Wrong calls ──

  /**
   * Tells the error hook. It may use the allocator: meanwhile this thread stays in its generation (see
   * `settle`) and shows visits in another word, because the heap that reports is still being used. What goes
   * wrong within the hook is told after it.
   * @internal
   */
  report(error: AllocError): void {
    this.count(at.ERRORS);
    if (this.reporting) {
      this.unreported.push(error);
      return;
    }
    const { visited } = this;
    this.reporting = true;
    this.visited = at.VISITED_INSIDE;
    try {
      this.onError(error);
      for (let next = this.unreported.shift(); next !== undefined; next = this.unreported.shift())
        this.onError(next);
    } finally {
      this.unreported.length = 0;
      this.visited = visited;
      this.reporting = false;
    }
  }

  /**
   * All bytes of the memory, at least up to here.
   * @internal
   */
  protected bytesFor(address: Address, bytes: number): Uint8Array {
    if (address + bytes > this.memory.byteLength) this.memory.refresh();
    return this.memory.u8;
  }
}
