import { MAX_BYTES } from './address.ts';
import { checkAlign, checkChoice, checkInteger } from './check.ts';
import { AllocError } from './error.ts';

/**
 * The size and the alignment of a block, both validated: what Rust calls `core::alloc::Layout`.
 *
 * @example
 * ```ts
 * const point = Layout.of('f64', 2);      // 16 bytes, aligned to 8
 * const line = point.repeat(2).padTo(64); // one cache line
 * allocator.alloc(line.size, line.align);
 * ```
 * @public
 */
export class Layout {
  /** Bytes, 0 … 2^32. */
  readonly size: number;
  /** Bytes, a power of two. */
  readonly align: number;

  /**
   * @param size - bytes
   * @param align - bytes, a power of two; 16 when left out (8 below 16 bytes), as `malloc` aligns
   * @throws TypeError, RangeError or AllocError `InvalidParam`, naming the argument
   */
  constructor(size: number, align?: number) {
    this.size = checkInteger('size', size);
    this.align = align === undefined ? defaultAlign(size) : checkAlign('align', align);
    if (this.paddedSize > MAX_BYTES) {
      throw new AllocError('InvalidParam', `size ${size} rounded up to align ${this.align} exceeds 4 GiB`);
    }
  }

  /**
   * The layout of an array of machine values.
   * @param type - the element, as in {@link SharedMemory.view}
   * @param length - how many
   * @throws TypeError, RangeError or AllocError `InvalidParam`, naming the argument
   */
  static of(type: ScalarType, length = 1): Layout {
    const bytes = SCALAR_BYTES[checkChoice('type', type, SCALAR_TYPES)];
    return new Layout(bytes * checkInteger('length', length), bytes);
  }

  /**
   * The size rounded up to a multiple of the alignment, in bytes: the distance between neighbours in an
   * array.
   */
  get paddedSize(): number {
    return Math.ceil(this.size / this.align) * this.align;
  }

  /**
   * The layout of `count` such blocks side by side, each aligned.
   * @throws TypeError or RangeError when `count` is no non-negative integer, AllocError `InvalidParam` when
   *   the whole exceeds 4 GiB
   */
  repeat(count: number): Layout {
    return new Layout(this.paddedSize * checkInteger('count', count), this.align);
  }

  /**
   * The same size with at least this alignment.
   * @param align - bytes, a power of two
   * @throws TypeError, RangeError or AllocError `InvalidParam`, naming the argument
   */
  alignTo(align: number): Layout {
    return new Layout(this.size, Math.max(this.align, checkAlign('align', align)));
  }

  /**
   * The size rounded up to a multiple of `align`, with at least that alignment.
   * @param align - bytes, a power of two
   * @throws TypeError, RangeError or AllocError `InvalidParam`, naming the argument or a whole above 4 GiB
   */
  padTo(align: number): Layout {
    const aligned = this.alignTo(align);
    return new Layout(aligned.paddedSize, aligned.align);
  }
}

/**
 * The machine values that a region can be viewed as.
 * @public
 */
export type ScalarType = 'i8' | 'u8' | 'i16' | 'u16' | 'i32' | 'u32' | 'i64' | 'u64' | 'f32' | 'f64';

/**
 * The bytes of each machine value.
 * @public
 */
export const SCALAR_BYTES: Readonly<Record<ScalarType, number>> = {
  i8: 1,
  u8: 1,
  i16: 2,
  u16: 2,
  i32: 4,
  u32: 4,
  i64: 8,
  u64: 8,
  f32: 4,
  f64: 8,
};

/** Their names, for messages. */
export const SCALAR_TYPES: ScalarType[] = Object.keys(SCALAR_BYTES) as ScalarType[];

/**
 * What `malloc` aligns a block of this size to, in bytes.
 * @param size - bytes
 * @public
 */
export function defaultAlign(size: number): number {
  return size >= 16 ? 16 : 8;
}
