/**
 * What a two-level allocator is told, and what of it is refused.
 */

import {
  type Address,
  AllocError,
  checkInteger,
  type ErrorHook,
  type HeapAlgorithm,
  isPowerOfTwo,
  type SharedPages,
} from '@shmalloc/allocator-api';
import type { AxHandle } from './contract.ts';
import { demandText } from './generation.ts';
import type { GrowthPolicy } from './policy.ts';

/**
 * What a two-level allocator is made of.
 * @public
 */
export interface AxAllocOptions {
  /** The page part. It stays the caller's: `detach` leaves it alone. */
  readonly pages: SharedPages;
  /** The byte algorithms that can be chosen. */
  readonly algorithms: readonly HeapAlgorithm[];
  /** Which of them comes first. Default: the first of the list. */
  readonly algorithm?: string | undefined;
  /** How heaps grow. */
  readonly policy?: Partial<GrowthPolicy> | undefined;
  /** How many threads can be attached at one time, 1 … 255. Default 16. */
  readonly threads?: number | undefined;
  /**
   * How many heaps there can be at one time, the current one and old ones that still hold blocks, 2 … 126.
   * Default 64.
   */
  readonly maxGenerations?: number | undefined;
  /**
   * Whether it remembers where and when each block was allocated, for an eighth of the memory and some
   * microseconds a call: see `leaks`, `allocationsIn`. Default false.
   */
  readonly tracking?: boolean | undefined;
  /** Where errors go that are not thrown, in this thread. Default: the console. */
  readonly onError?: ErrorHook | undefined;
  /**
   * How far in memory heaps may lie: address behind the last page. Default: the end of the page part's region
   * as it is.
   */
  readonly limit?: Address | undefined;
}

/**
 * How a thread attaches: with the same parts as the thread that has made the allocator.
 * @public
 */
export interface AxAttachOptions {
  /** Attaches to the page part. */
  attachPages(handle: AxHandle['pages']): SharedPages;
  /** The same algorithms by the same names. */
  readonly algorithms: readonly HeapAlgorithm[];
  /** Where errors go that are not thrown, in this thread. Default: the console. */
  readonly onError?: ErrorHook | undefined;
}

export function namesOf(algorithms: readonly HeapAlgorithm[]): ReadonlyMap<string, HeapAlgorithm> {
  return new Map(algorithms.map((algorithm) => [algorithm.algorithm, algorithm]));
}

/**
 * Looks at the algorithms, and finds the one that is asked for.
 * @throws TypeError or AllocError `InvalidParam`
 */
export function firstOf(algorithms: readonly HeapAlgorithm[], name: string | undefined): HeapAlgorithm {
  if (!Array.isArray(algorithms))
    throw new TypeError(`algorithms must be an array, got ${Object.prototype.toString.call(algorithms)}`);
  for (const algorithm of algorithms) {
    demandText("an algorithm's name", algorithm?.algorithm);
    if (typeof algorithm.create !== 'function' || typeof algorithm.attach !== 'function')
      throw new TypeError(`the algorithm ${algorithm.algorithm} must have create and attach`);
  }
  const names = algorithms.map((algorithm) => algorithm.algorithm);
  if (new Set(names).size !== names.length || names.length === 0)
    throw new AllocError(
      'InvalidParam',
      `algorithms must have different names, got ${names.join(', ') || 'none'}`,
    );
  return algorithms[names.indexOf(checkName(name ?? names[0], names))];
}

export function checkName(name: string, names: readonly string[]): string {
  if (typeof name !== 'string')
    throw new TypeError(`algorithm must be a name, got ${String(name)} (${typeof name})`);
  if (!names.includes(name))
    throw new AllocError(
      'InvalidParam',
      `algorithm must be one of ${names.join(', ')}; got ${JSON.stringify(name)}`,
    );
  return name;
}

export function demandPages(pages: SharedPages): void {
  if (typeof pages?.allocPages !== 'function' || typeof pages.share !== 'function')
    throw new TypeError(`pages must be a page allocator, got ${Object.prototype.toString.call(pages)}`);
  if (!isPowerOfTwo(pages.pageSize) || pages.pageSize < 64)
    throw new AllocError(
      'InvalidParam',
      `pages must have a power of two of bytes from 64, got ${pages.pageSize}`,
    );
}

export function demandRange(name: string, value: number, least: number, most: number): void {
  if (checkInteger(name, value) < least || value > most)
    throw new AllocError('InvalidParam', `${name} must lie between ${least} and ${most}, got ${value}`);
}
