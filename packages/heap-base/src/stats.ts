import type { LockKind } from './header.ts';

/**
 * What `stats` tells.
 * @public
 */
export interface HeapStats {
  readonly algorithm: string;
  readonly lock: LockKind;
  /** Bytes under management. */
  readonly totalBytes: number;
  /** Bytes in blocks that are handed out, headers and rounding included. */
  readonly usedBytes: number;
  readonly availableBytes: number;
  /** Bytes of the region that were ever touched, the allocator's state included: what the system had to back with memory. */
  readonly footprintBytes: number;
  readonly pools: number;
  /** Requests answered with 0. */
  readonly failures: number;
  /** Wrong frees that were reported. */
  readonly errors: number;
  /** How often this thread, through this instance, has found the lock taken and had to wait. */
  readonly lockWaits: number;
}
