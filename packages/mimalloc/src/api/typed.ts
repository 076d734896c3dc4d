/**
 * Blocks as typed arrays. The view's byte offset is the block's address, so a view can be freed like an
 * address.
 */

import {
  type Address,
  AllocError,
  checkChoice,
  checkInteger,
  MAX_BYTES,
  type MemorySource,
  SCALAR_BYTES,
  type ScalarType,
  type ViewTypes,
} from '@shmalloc/allocator-api';
import type { Tld } from '../thread/thread-view.ts';
import type { MallocFamily } from './malloc-family.ts';

/**
 * Buffers that were made of a memory: one that has grown answers with another, and the views over the old
 * ones go on.
 */
const MEMORIES: WeakMap<ArrayBufferLike, MemorySource> = new WeakMap();

/** A new block as a typed array; null when there is no memory. */
export function allocateAs<T extends ScalarType>(
  { memory }: Tld,
  family: MallocFamily,
  type: T,
  length: number,
): ViewTypes[T] | null {
  checkChoice('type', type, Object.keys(SCALAR_BYTES));
  const address = family.malloc(Math.min(SCALAR_BYTES[type] * checkInteger('length', length), MAX_BYTES));
  if (address === 0) return null;
  const view = memory.view(type, address, length);
  MEMORIES.set(view.buffer, memory.source);
  return view;
}

/**
 * The address of a view's first byte.
 * @throws TypeError for what is no view, AllocError `InvalidParam` for a view of other memory
 */
export function addressOfView({ memory }: Tld, view: ArrayBufferView): Address {
  if (!ArrayBuffer.isView(view)) return checkInteger('address', view);
  const { buffer } = view;
  if (buffer !== memory.buffer && MEMORIES.get(buffer) !== memory.source) {
    throw new AllocError(
      'InvalidParam',
      `address must be a block of this heap, got a view of other memory (${buffer.byteLength} bytes)`,
    );
  }
  return view.byteOffset;
}
