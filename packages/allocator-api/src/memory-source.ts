/**
 * What a region can lie in: a `SharedArrayBuffer`, or a shared `WebAssembly.Memory`.
 */

import { type Address, MAX_BYTES } from './address.ts';
import { checkChoice, checkInteger } from './check.ts';
import { AllocError } from './error.ts';

/** Bytes in a page of WebAssembly memory; a `WebAssembly.Memory` comes in these. */
export const WASM_PAGE = 65536;

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
  /**
   * Size of a new region in bytes. Rounded up to 64 KiB for WebAssembly memory. Default 16 MiB, or `maxBytes`
   * if that is less.
   */
  bytes?: number | undefined;
  /** How far a new region may grow, in bytes. Default: `bytes`. */
  maxBytes?: number | undefined;
  /**
   * What to make: a shared `WebAssembly.Memory`, or a `SharedArrayBuffer`. Default `'wasm'` where there is
   * WebAssembly.
   */
  backing?: 'wasm' | 'sab' | undefined;
  /** Existing memory to use instead of making some; excludes `bytes`, `maxBytes` and `backing`. */
  memory?: MemorySource | undefined;
  /** First byte of the region. Default 0. */
  start?: Address | undefined;
  /** End of the region, one past its last byte. Default: the end of the memory. */
  end?: Address | undefined;
}

export function isWasm(source: MemorySource): source is WebAssembly.Memory {
  return typeof WebAssembly !== 'undefined' && source instanceof WebAssembly.Memory;
}

/** A `WebAssembly.Memory` that has grown answers with a new buffer, in every thread. */
export function bufferOf(source: MemorySource): SharedArrayBuffer {
  return isWasm(source) ? (source.buffer as unknown as SharedArrayBuffer) : source;
}

/** Lengthens a buffer that no other thread is lengthening. */
export function lengthen(source: SharedArrayBuffer, bytes: number): Address {
  const old = source.byteLength;
  source.grow(old + bytes);
  return old;
}

/**
 * Makes a buffer at least so long. Another thread may have made it longer than that already, or do so
 * meanwhile.
 */
export function reach(source: SharedArrayBuffer, bytes: number): void {
  try {
    source.grow(bytes);
  } catch (error) {
    if (source.byteLength < bytes) throw error;
  }
}

/** Demands memory that threads can share. */
export function checkSource(source: MemorySource): MemorySource {
  if (source instanceof SharedArrayBuffer) return source;
  if (isWasm(source) && bufferOf(source) instanceof SharedArrayBuffer) return source;
  const found = isWasm(source)
    ? 'a WebAssembly.Memory that is not shared'
    : Object.prototype.toString.call(source);
  throw new TypeError(`memory must be a SharedArrayBuffer or a shared WebAssembly.Memory, got ${found}`);
}

/** Makes new memory. */
export function newSource(options: RegionOptions): MemorySource {
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
