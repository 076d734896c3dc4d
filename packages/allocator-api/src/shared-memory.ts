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
 * Views always span the whole buffer, so that an index is an address divided by the element's size whatever `start` is. A view
 * never changes its length: when the buffer has grown, here or in another thread, `refresh()` replaces the views. An old view
 * stays valid for the bytes it covers.
 */

import { type Address, MAX_BYTES } from './address.ts';
import { checkChoice, checkInteger } from './check.ts';
import { AllocError } from './error.ts';
import { SCALAR_BYTES, SCALAR_TYPES, type ScalarType } from './layout.ts';

/** Bytes in a page of WebAssembly memory; a `WebAssembly.Memory` comes in these. */
const WASM_PAGE = 65536;

/** A region of which nothing is said. */
const DEFAULT_BYTES = 16 * 1024 * 1024;

/**
 * What a region can lie in. Both can be posted to a worker.
 * @public
 */
export type MemorySource = SharedArrayBuffer | WebAssembly.Memory;

/**
 * Where a region comes from: new memory of `bytes`, or (a part of) memory that exists.
 * @public
 */
export interface RegionOptions {
  /** Size of a new region in bytes. Rounded up to 64 KiB for WebAssembly memory. Default 16 MiB, or `maxBytes` if that is less. */
  bytes?: number | undefined;
  /** How far a new region may grow, in bytes. Default: `bytes`. */
  maxBytes?: number | undefined;
  /** What to make: a shared `WebAssembly.Memory`, or a `SharedArrayBuffer`. Default `'wasm'` where there is WebAssembly. */
  backing?: 'wasm' | 'sab' | undefined;
  /** Existing memory to use instead of making some; excludes `bytes`, `maxBytes` and `backing`. */
  memory?: MemorySource | undefined;
  /** First byte of the region. Default 0. */
  start?: Address | undefined;
  /** End of the region, one past its last byte. Default: the end of the memory. */
  end?: Address | undefined;
}

/**
 * The typed array of each machine value, over shared memory.
 * @public
 */
export interface ViewTypes {
  /** Bytes, signed. */
  i8: Int8Array<SharedArrayBuffer>;
  /** Bytes. */
  u8: Uint8Array<SharedArrayBuffer>;
  /** 16-bit integers, signed. */
  i16: Int16Array<SharedArrayBuffer>;
  /** 16-bit integers. */
  u16: Uint16Array<SharedArrayBuffer>;
  /** 32-bit integers, signed; what `Atomics.wait` takes. */
  i32: Int32Array<SharedArrayBuffer>;
  /** 32-bit integers. */
  u32: Uint32Array<SharedArrayBuffer>;
  /** 64-bit integers, signed. */
  i64: BigInt64Array<SharedArrayBuffer>;
  /** 64-bit integers. */
  u64: BigUint64Array<SharedArrayBuffer>;
  /** 32-bit floating-point numbers. */
  f32: Float32Array<SharedArrayBuffer>;
  /** 64-bit floating-point numbers. */
  f64: Float64Array<SharedArrayBuffer>;
}

type ViewConstructors = {
  readonly [T in ScalarType]: new (
    buffer: SharedArrayBuffer,
    offset: number,
    length: number,
  ) => ViewTypes[T];
};

const CONSTRUCTORS: ViewConstructors = {
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
  f32: Float32Array,
  f64: Float64Array,
};

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

  /** The end that was asked for; without one the region ends where the buffer does. */
  readonly #end: Address | undefined;

  private constructor(source: MemorySource, start: Address, end: Address | undefined) {
    this.source = source;
    this.start = start;
    this.#end = end;
    const bytes = bufferOf(source).byteLength;
    if (bytes > MAX_BYTES)
      throw new AllocError('InvalidParam', `a region has at most 4 GiB, got ${bytes} bytes`);
    this.#makeViews();
    if (start > this.end || this.end > bytes) {
      throw new AllocError(
        'InvalidParam',
        `region [${start}, ${this.end}) does not fit into memory of ${bytes} bytes`,
      );
    }
  }

  /**
   * Makes new memory, or takes what `options.memory` gives.
   * @throws RangeError or TypeError for a wrong kind of argument, AllocError `InvalidParam` for a region that does not fit, `NoMemory` when
   *   the engine refuses that much
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
    // Not the buffer's own: a growable SharedArrayBuffer tells a new length while the views still have the old one.
    return this.u8.byteLength;
  }

  /** How many bytes the buffer can grow to. A `WebAssembly.Memory` does not tell its maximum: then 4 GiB. */
  get maxByteLength(): number {
    if (isWasm(this.source)) return MAX_BYTES;
    return this.source.growable ? this.source.maxByteLength : this.source.byteLength;
  }

  /**
   * Adds memory at the end of the buffer. Other threads see it after their next `refresh()`. Two threads may grow a
   * `WebAssembly.Memory` at once and each gets its own part; growth of a `SharedArrayBuffer` has no such answer, so there only
   * one thread may grow at a time.
   * @param bytes - how many; rounded up to 64 KiB for WebAssembly memory
   * @returns the address where the new memory starts
   * @throws AllocError `NoMemory` when it cannot grow that far
   */
  grow(bytes: number): Address {
    checkInteger('bytes', bytes);
    try {
      if (isWasm(this.source)) return this.source.grow(Math.ceil(bytes / WASM_PAGE)) * WASM_PAGE;
      const old = this.source.byteLength;
      this.source.grow(old + bytes);
      return old;
    } catch {
      const old = bufferOf(this.source).byteLength;
      throw new AllocError('NoMemory', `cannot grow ${old} bytes of memory by ${bytes}: see maxBytes`);
    } finally {
      this.refresh();
    }
  }

  /**
   * Looks whether the buffer has grown, here or in another thread, and replaces the views if so.
   * @returns whether it had
   */
  refresh(): boolean {
    if (bufferOf(this.source).byteLength === this.byteLength) return false;
    this.#makeViews();
    return true;
  }

  /**
   * A typed array over a block: no copy, and writes are seen by every thread.
   * @param type - the element: `'i8'`, `'u8'`, … `'f64'`
   * @param address - bytes, a multiple of the element's size
   * @param length - elements
   * @throws RangeError when the address is not aligned or the view leaves the buffer
   */
  view<T extends ScalarType>(type: T, address: Address, length: number): ViewTypes[T] {
    checkChoice('type', type, SCALAR_TYPES);
    checkInteger('address', address);
    checkInteger('length', length);
    const bytes = SCALAR_BYTES[type];
    if (address % bytes !== 0)
      throw new RangeError(`address ${address} is not a multiple of ${bytes}, as ${type} needs`);
    if (address + length * bytes > this.byteLength) this.refresh();
    if (address + length * bytes > this.byteLength) {
      throw new RangeError(`${length} × ${type} at ${address} leave the memory of ${this.byteLength} bytes`);
    }
    return new CONSTRUCTORS[type](this.buffer, address, length);
  }

  #makeViews(): void {
    const buffer = bufferOf(this.source);
    const { byteLength } = buffer;
    this.buffer = buffer;
    // An explicit length: without one, a view over a growable buffer follows it, and every access pays for that.
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

function isWasm(source: MemorySource): source is WebAssembly.Memory {
  return typeof WebAssembly !== 'undefined' && source instanceof WebAssembly.Memory;
}

/** A `WebAssembly.Memory` that has grown answers with a new buffer, in every thread. */
function bufferOf(source: MemorySource): SharedArrayBuffer {
  return isWasm(source) ? (source.buffer as unknown as SharedArrayBuffer) : source;
}

/** Demands memory that threads can share. */
function checkSource(source: MemorySource): MemorySource {
  if (source instanceof SharedArrayBuffer) return source;
  if (isWasm(source) && bufferOf(source) instanceof SharedArrayBuffer) return source;
  const found = isWasm(source)
    ? 'a WebAssembly.Memory that is not shared'
    : Object.prototype.toString.call(source);
  throw new TypeError(`memory must be a SharedArrayBuffer or a shared WebAssembly.Memory, got ${found}`);
}

/** Makes new memory. */
function newSource(options: RegionOptions): MemorySource {
  const most = options.maxBytes === undefined ? MAX_BYTES : checkInteger('maxBytes', options.maxBytes);
  const bytes = checkInteger('bytes', options.bytes ?? Math.min(DEFAULT_BYTES, most));
  const maxBytes = options.maxBytes ?? bytes;
  const wasm = typeof WebAssembly !== 'undefined';
  const backing = checkChoice('backing', options.backing ?? (wasm ? 'wasm' : 'sab'), [
    'wasm',
    'sab',
  ] as const);
  if (bytes > maxBytes || maxBytes > MAX_BYTES) {
    throw new AllocError('InvalidParam', `bytes (${bytes}) ≤ maxBytes (${maxBytes}) ≤ 4 GiB must hold`);
  }
  try {
    if (backing === 'wasm') {
      const pages = Math.ceil(bytes / WASM_PAGE);
      return new WebAssembly.Memory({
        initial: pages,
        maximum: Math.ceil(maxBytes / WASM_PAGE),
        shared: true,
      });
    }
    return maxBytes > bytes
      ? new SharedArrayBuffer(bytes, { maxByteLength: maxBytes })
      : new SharedArrayBuffer(bytes);
  } catch (cause) {
    throw new AllocError(
      'NoMemory',
      `the engine cannot make a region of ${bytes} (up to ${maxBytes}) bytes: ${cause}`,
    );
  }
}
