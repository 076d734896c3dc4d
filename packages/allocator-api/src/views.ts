/**
 * Typed arrays over shared memory.
 */

import type { ScalarType } from './layout.ts';

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

export const CONSTRUCTORS: ViewConstructors = {
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
