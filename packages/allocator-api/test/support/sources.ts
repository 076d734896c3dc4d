import type { RegionOptions, ScalarType } from '@shmalloc/allocator-api';

export const KIB = 1024;
export const GIB: number = 2 ** 30;

/** The three kinds of memory that a region can lie in: 128 KiB each, and up to 1 MiB where it can grow. */
export const BACKINGS: Readonly<Record<string, RegionOptions>> = {
  'a SharedArrayBuffer': { bytes: 128 * KIB, backing: 'sab' },
  'a growable SharedArrayBuffer': { bytes: 128 * KIB, maxBytes: 1024 * KIB, backing: 'sab' },
  'a WebAssembly.Memory': { bytes: 128 * KIB, maxBytes: 1024 * KIB, backing: 'wasm' },
};

/** Values that only survive if the view has the right width, sign and kind. */
export const SAMPLES: Readonly<Record<ScalarType, number | bigint>> = {
  i8: -0x7b,
  u8: 0xab,
  i16: -0x7bcd,
  u16: 0xabcd,
  i32: -0x7bcdef01,
  u32: 0xabcdef01,
  i64: -0x7bcd_ef01_2345_6789n,
  u64: 0xabcd_ef01_2345_6789n,
  f32: -1.5e30,
  f64: Math.PI,
};
