/**
 * One region of shared memory with its typed views.
 *
 * ```
 *  0         start                               end          buffer.byteLength        maxBytes
 *  ├───────────┼───────────────────────────────────┼───────────────────┼╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┤
 *  │ not ours  │  the region: [start, end)         │  not ours         │  reserved, by grow()  │
 *  └───────────┴───────────────────────────────────┴───────────────────┴╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┘
 * ```
 *
 * Views always span the whole buffer, so that an index is an address divided by the element's size whatever
 * `start` is. A view never changes its length: when the buffer has grown, here or in another thread,
 * `refresh()` replaces the views. An old view stays valid for the bytes it covers.
 */

import { type Address, MAX_BYTES } from './address.ts';
import { checkChoice, checkInteger } from './check.ts';
import { AllocError } from './error.ts';
import { SCALAR_BYTES, SCALAR_TYPES, type ScalarType } from './layout.ts';
import {
  bufferOf,
  checkSource,
  isWasm,
  lengthen,
  type MemorySource,
  newSource,
  type RegionOptions,
  reach,
  WASM_PAGE,
} from './memory-source.ts';
import type { SitePlace } from './site-table.ts';
import { CONSTRUCTORS, type ViewTypes } from './views.ts';

/**
 * A region of shared memory: the buffer, its views, and the sub-range that is ours.
 *
 * @example
 * ```ts
 * const memory = SharedMemory.create({ bytes: 1 << 20, maxBytes: 1 << 24 });
 * memory.i32[16 >> 2] = 7;                 // the word at address 16
 * const row = memory.view('f64', 64, 128); // 128 doubles from address 64
 * worker.postMessage(memory.source);       // there: SharedMemory.from(source)
 * ```
 * @public
 */
export class SharedMemory {
  /** What to post to another thread. */
  readonly source: MemorySource;
  /** First byte of the region. */
  readonly start: Address;
  /** The buffer as this thread last saw it. */
  buffer!: SharedArrayBuffer;
  /** The whole buffer, as this thread last saw it, as bytes, signed: `i8[address]`. */
  i8!: Int8Array<SharedArrayBuffer>;
  /** The whole buffer, as this thread last saw it, as bytes: `u8[address]`. */
  u8!: Uint8Array<SharedArrayBuffer>;
  /** The whole buffer, as this thread last saw it, as 16-bit integers, signed: `i16[address / 2]`. */
  i16!: Int16Array<SharedArrayBuffer>;
  /** The whole buffer, as this thread last saw it, as 16-bit integers: `u16[address / 2]`. */
  u16!: Uint16Array<SharedArrayBuffer>;
  /** The whole buffer, as this thread last saw it, as 32-bit integers, signed: `i32[address / 4]`. */
  i32!: Int32Array<SharedArrayBuffer>;
  /** The whole buffer, as this thread last saw it, as 32-bit integers: `u32[address / 4]`. */
  u32!: Uint32Array<SharedArrayBuffer>;
  /** The whole buffer, as this thread last saw it, as 64-bit integers, signed: `i64[address / 8]`. */
  i64!: BigInt64Array<SharedArrayBuffer>;
  /** The whole buffer, as this thread last saw it, as 64-bit integers: `u64[address / 8]`. */
  u64!: BigUint64Array<SharedArrayBuffer>;
  /** The whole buffer, as this thread last saw it, as 32-bit floating-point numbers: `f32[address / 4]`. */
  f32!: Float32Array<SharedArrayBuffer>;
  /** The whole buffer, as this thread last saw it, as 64-bit floating-point numbers: `f64[address / 8]`. */
  f64!: Float64Array<SharedArrayBuffer>;

  /**
   * Where the region keeps where blocks were allocated: see `site-table.ts`; null where it does not.
   * @internal
   */
  sites: SitePlace | null = null;

  /** The end that was asked for; without one the region ends where the buffer does. */
  readonly #end: Address | undefined;
  /**
   * The word by which threads agree on one that gets which part of a `SharedArrayBuffer` that grows; −1
   * without one.
   */
  #growthWord = -1;
  /** Whether address 0 is NULL for the users of this memory, so that no view starts there. */
  #hasNull = false;

  private constructor(source: MemorySource, start: Address, end: Address | undefined) {
    this.source = source;
    this.start = start;
    this.#end = end;
    // One look at the length: another thread may be growing the memory.
    const buffer = bufferOf(source);
    const bytes = buffer.byteLength;
    if (bytes > MAX_BYTES)
      throw new AllocError('InvalidParam', `a region has at most 4 GiB, got ${bytes} bytes`);
    this.#makeViews(buffer, bytes);
    if (start > this.end || this.end > bytes) {
      throw new AllocError(
        'InvalidParam',
        `region [${start}, ${this.end}) does not fit into memory of ${bytes} bytes`,
      );
    }
  }

  /**
   * Makes new memory, or takes what `options.memory` gives.
   * @throws RangeError or TypeError for a wrong kind of argument, AllocError `InvalidParam` for a region that
   *   does not fit, `NoMemory` when the engine refuses that much
   */
  static create(options: RegionOptions = {}): SharedMemory {
    const { memory, start = 0, end } = options;
    checkInteger('start', start);
    if (end !== undefined) checkInteger('end', end);
    if (memory === undefined) return new SharedMemory(newSource(options), start, end);
    for (const name of ['bytes', 'maxBytes', 'backing'] as const) {
      if (options[name] !== undefined) {
        throw new AllocError(
          'InvalidParam',
          `${name} (${options[name]}) cannot be given together with memory`,
        );
      }
    }
    return new SharedMemory(checkSource(memory), start, end);
  }

  /**
   * Takes existing memory, usually in another thread.
   * @param source - what {@link SharedMemory.source} was where it was made
   */
  static from(source: MemorySource, start: Address = 0, end?: Address): SharedMemory {
    return SharedMemory.create({ memory: source, start, end });
  }

  /** End of the region in bytes, one past its last byte. */
  get end(): Address {
    return this.#end ?? this.byteLength;
  }

  /** Bytes of the whole buffer, as this thread last saw it. */
  get byteLength(): number {
    // Not the buffer's own: a growable SharedArrayBuffer tells a new length while the views still have the
    // old one.
    return this.u8.byteLength;
  }

  /** How many bytes the buffer can grow to. A `WebAssembly.Memory` does not tell its maximum: then 4 GiB. */
  get maxByteLength(): number {
    if (isWasm(this.source)) return MAX_BYTES;
    return this.source.growable ? this.source.maxByteLength : this.source.byteLength;
  }

  /**
   * Adds memory at the end of the buffer. Other threads see it after their next `refresh()`. Any number of
   * threads may grow the same memory at the same time, and each gets a part of its own: the engine sees to
   * that for a `WebAssembly.Memory`, and the word that {@link SharedMemory.agreeOnGrowth} names for a
   * `SharedArrayBuffer`. Every heap names one for its `memory`; without one, one thread at a time may grow a
   * `SharedArrayBuffer`. Lock-free.
   * @param bytes - how many; rounded up to 64 KiB for WebAssembly memory
   * @returns the address where the new memory starts
   * @throws AllocError `NoMemory` when it cannot grow that far
   */
  grow(bytes: number): Address {
    checkInteger('bytes', bytes);
    try {
      if (isWasm(this.source)) return this.source.grow(Math.ceil(bytes / WASM_PAGE)) * WASM_PAGE;
      return this.#growthWord < 0 ? lengthen(this.source, bytes) : this.#growShared(this.source, bytes);
    } catch {
      const old = bufferOf(this.source).byteLength;
      throw new AllocError('NoMemory', `cannot grow ${old} bytes of memory by ${bytes}: see maxBytes`);
    } finally {
      this.refresh();
    }
  }

  /**
   * Names the word by which threads agree on growth of a `SharedArrayBuffer`: all of them name the same one.
   * It holds how many words of the buffer have been given out. A `WebAssembly.Memory` needs none. All heaps
   * that grow one buffer have to share one word: two heaps in one `SharedArrayBuffer` must not both grow it.
   * @param word - an index of 32-bit words, 0 where memory was never grown with it
   */
  agreeOnGrowth(word: number): void {
    this.#growthWord = checkInteger('word', word);
  }

  /**
   * The engine lengthens a `SharedArrayBuffer` to a length, and does not tell by how much: two threads that
   * ask for the same length are both told that it worked. So a range is claimed first, by an exchange on the
   * growth word, and then the buffer is made to reach its end. A thread that ends in between leaves a range
   * that no thread has, and the next claim begins behind it.
   */
  #growShared(source: SharedArrayBuffer, bytes: number): Address {
    const { i32 } = this;
    const word = this.#growthWord;
    for (;;) {
      // Acquire: pairs with the exchange below, in any thread.
      const given = Atomics.load(i32, word);
      const from = Math.max(given >>> 0, Math.ceil(source.byteLength / 4));
      const to = from + Math.ceil(bytes / 4);
      if (to * 4 > source.maxByteLength) throw new RangeError('beyond the maximum');
      if (Atomics.compareExchange(i32, word, given, to | 0) !== given) continue;
      reach(source, to * 4);
      return from * 4;
    }
  }

  /**
   * Says that address 0 is NULL for the users of this memory: `view` refuses to start there. Every heap says
   * so of its `memory`.
   */
  reserveNull(): void {
    this.#hasNull = true;
  }

  /**
   * Looks whether the buffer has grown, here or in another thread, and replaces the views if so.
   * @returns whether it had
   */
  refresh(): boolean {
    const buffer = bufferOf(this.source);
    const bytes = buffer.byteLength;
    if (bytes === this.byteLength) return false;
    this.#makeViews(buffer, bytes);
    return true;
  }

  /**
   * A typed array over a block: no copy, and writes are seen by every thread.
   * @param type - the element: `'i8'`, `'u8'`, … `'f64'`
   * @param address - bytes, a multiple of the element's size
   * @param length - elements
   * @throws RangeError when the address is not aligned or the view leaves the buffer, and when a view of a
   *   heap's memory is to start at 0, which is no block but the answer of an allocation that failed
   */
  view<T extends ScalarType>(type: T, address: Address, length: number): ViewTypes[T] {
    checkChoice('type', type, SCALAR_TYPES);
    checkInteger('address', address);
    checkInteger('length', length);
    const bytes = SCALAR_BYTES[type];
    if (address === 0 && length > 0 && this.#hasNull) {
      throw new RangeError(
        `view('${type}', 0, ${length}): address 0 is NULL and no block lies there; did an allocation answer 0?`,
      );
    }
    if (address % bytes !== 0)
      throw new RangeError(`address ${address} is not a multiple of ${bytes}, as ${type} needs`);
    if (address + length * bytes > this.byteLength) this.refresh();
    if (address + length * bytes > this.byteLength) {
      throw new RangeError(`${length} × ${type} at ${address} leave the memory of ${this.byteLength} bytes`);
    }
    return new CONSTRUCTORS[type](this.buffer, address, length);
  }

  /**
   * `byteLength` is the length that was seen: the buffer's own may have moved on, and all views must be of
   * one length.
   */
  #makeViews(buffer: SharedArrayBuffer, byteLength: number): void {
    this.buffer = buffer;
    // An explicit length: without one, a view over a growable buffer follows it, and every access pays for
    // that.
    this.i8 = new Int8Array(buffer, 0, byteLength);
    this.u8 = new Uint8Array(buffer, 0, byteLength);
    this.i16 = new Int16Array(buffer, 0, Math.floor(byteLength / 2));
    this.u16 = new Uint16Array(buffer, 0, Math.floor(byteLength / 2));
    this.i32 = new Int32Array(buffer, 0, Math.floor(byteLength / 4));
    this.u32 = new Uint32Array(buffer, 0, Math.floor(byteLength / 4));
    this.i64 = new BigInt64Array(buffer, 0, Math.floor(byteLength / 8));
    this.u64 = new BigUint64Array(buffer, 0, Math.floor(byteLength / 8));
    this.f32 = new Float32Array(buffer, 0, Math.floor(byteLength / 4));
    this.f64 = new Float64Array(buffer, 0, Math.floor(byteLength / 8));
  }
}
