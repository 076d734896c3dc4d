/**
 * Heaps that look at themselves: after each call of a method, the whole region is validated.
 */

import { type MiHeap, MiMalloc, type MiMallocOptions } from '@shmalloc/mimalloc';
import { CoreHeap } from '../../dist/api/core-heap.js';
import { tldOf } from './inside.ts';

/** A small region. */
export const SMALL = { bytes: 1 << 20, grow: false } as const;

function validated<T extends MiMalloc | MiHeap>(object: T, root: MiMalloc): T {
  return new Proxy(object, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function' || name === 'constructor') return value;
      return (...values: unknown[]) => {
        const result: unknown = value.apply(target, values);
        if (!tldOf(root).closed) root.validate({ quiet: true });
        return result instanceof CoreHeap ? validated(result as unknown as MiHeap, root) : result;
      };
    },
  });
}

/** A heap that is validated after every call. Wrong calls are kept in `errors`. */
export function validatedHeap(options: MiMallocOptions = SMALL): { heap: MiMalloc; errors: string[] } {
  const root = MiMalloc.create(options);
  const errors: string[] = [];
  root.registerError((error) => errors.push(`${error.code}: ${error.message}`));
  return { heap: validated(root, root), errors };
}

/** Fills a block with bytes that depend on their place. */
export function write(heap: MiMalloc, address: number, from: number, to: number): void {
  for (let at = from; at < to; at++) heap.memory.u8[address + at] = pattern(at);
}

/** The first byte of `[from, to)` that is not what {@link write} wrote; −1 when all are. */
export function firstDamaged(heap: MiMalloc, address: number, from: number, to: number): number {
  for (let at = from; at < to; at++) if (heap.memory.u8[address + at] !== pattern(at)) return at;
  return -1;
}

/** The first byte of `[from, to)` that is not 0; −1 when all are. */
export function firstNonZero(heap: MiMalloc, address: number, from: number, to: number): number {
  for (let at = from; at < to; at++) if (heap.memory.u8[address + at] !== 0) return at;
  return -1;
}

function pattern(at: number): number {
  return (at * 7 + 13) & 0xff || 0x55;
}

/** Numbers below a limit, the same for the same seed. */
export function random(seed: number): (limit: number) => number {
  let state = seed >>> 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}
