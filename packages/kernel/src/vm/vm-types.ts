/** What a virtual-memory account is told, and what it tells. */

import type { Address } from '@shmalloc/allocator-api';
import type { VmAccount } from './vm-account.ts';

/**
 * What `madvise` is told about pages.
 *
 * - `DONTNEED`: drop them now; they read as zeros
 * - `FREE`: take them when frames run out, unless they are touched again first
 * @public
 */
export type Advice = 'DONTNEED' | 'FREE';

/**
 * Where a {@link VmAccount} lies. Every thread gives the same.
 * @public
 */
export interface VmAccountOptions {
  /**
   * First byte of the account's table, a multiple of 4; {@link VmAccount.tableBytes} bytes of zeros when the
   * account is new.
   */
  readonly table: Address;
  /** First byte of page 0, a multiple of 4096. All pages hold zeros when the account is new. */
  readonly start: Address;
  /** How many pages of 4096 bytes. */
  readonly pages: number;
  /** How many of them may be resident at once. */
  readonly frames: number;
  /**
   * How long a call waits for a CPU that holds one page, in milliseconds, before the page counts as damaged.
   * Default 20,000.
   */
  readonly patienceMs?: number | undefined;
}

/**
 * Figures of a {@link VmAccount}, in pages.
 * @public
 */
export interface VmStats {
  /** Pages that the account is about. */
  readonly pages: number;
  /** How many of them are reserved. */
  readonly reserved: number;
  /** How many hold a frame, those that may be taken included. */
  readonly resident: number;
  /** The most that have. */
  readonly peakResident: number;
  /** How many hold a frame that may be taken. */
  readonly freeable: number;
  /** How many may be resident. */
  readonly frames: number;
  /** Frames that were taken under pressure, so far. */
  readonly evicted: number;
  /** Frames that DONTNEED and release have given back, so far. */
  readonly dropped: number;
  /** Pages that got no frame, so far. */
  readonly refused: number;
}
