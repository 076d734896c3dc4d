/**
 * How much a byte heap starts with, and how it grows. Numbers, not a function: they stand in the header, so
 * that every thread grows the heap alike.
 */

import { AllocError, checkInteger, MAX_BYTES } from '@shmalloc/allocator-api';

/**
 * How a byte heap grows out of the page allocator. All sizes in bytes, rounded up to pages.
 *
 * A heap that runs dry gets `max(percent % of its total, the request)`, not less than `leastBytes` and
 * (unless the request is larger) not more than `mostBytes`, rounded up to a power of two of pages. If there
 * is no such run, just what the request needs.
 * @public
 */
export interface GrowthPolicy {
  /**
   * What a heap starts with; an algorithm that needs more gets the next power of two that it can live with.
   * Default 32 KiB.
   */
  readonly initialBytes: number;
  /** Growth in percent of the total so far; 0 grows by what is requested. Default 100. */
  readonly percent: number;
  /** The smallest growth. Default a page. */
  readonly leastBytes: number;
  /** The largest growth that the total alone asks for. Default 4 GiB: no limit. */
  readonly mostBytes: number;
}

/** ArceOS's. */
const USUAL: GrowthPolicy = { initialBytes: 32 * 1024, percent: 100, leastBytes: 0, mostBytes: MAX_BYTES };

/**
 * Fills in what was not said.
 * @throws TypeError, RangeError or AllocError `InvalidParam`, naming the option
 */
export function policyOf(given: Partial<GrowthPolicy> = {}): GrowthPolicy {
  const policy = { ...USUAL };
  for (const name of Object.keys(given) as (keyof GrowthPolicy)[]) {
    if (!(name in USUAL))
      throw new AllocError(
        'InvalidParam',
        `unknown growth policy ${name}; known are ${Object.keys(USUAL).join(', ')}`,
      );
    const value = given[name];
    if (value === undefined) continue;
    if (checkInteger(`policy.${name}`, value) > MAX_BYTES)
      throw new AllocError('InvalidParam', `policy.${name} must be at most 2^32, got ${value}`);
    policy[name] = value;
  }
  if (policy.leastBytes > policy.mostBytes)
    throw new AllocError(
      'InvalidParam',
      `policy.leastBytes (${policy.leastBytes}) must not exceed policy.mostBytes (${policy.mostBytes})`,
    );
  return policy;
}

/**
 * Pages that a heap which has run dry should get, when there are so many.
 * @param total - bytes that it has
 * @param request - bytes that were asked for, with what the heap needs around them
 * @returns a power of two
 */
export function growthPages(policy: GrowthPolicy, total: number, request: number, pageSize: number): number {
  const usual = Math.min(policy.mostBytes, Math.max((total * policy.percent) / 100, policy.leastBytes));
  return powerOfTwoPages(Math.max(usual, request), pageSize);
}

/** Pages for so many bytes, rounded up to a power of two. */
export function powerOfTwoPages(bytes: number, pageSize: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, Math.ceil(bytes / pageSize))));
}
