/**
 * Where the allocator asks secure mode: whether a region has it, and what it has found. What it does at each
 * block and list is the `Guard` that a thread's `Tld` carries.
 */

import { AllocError } from '@shmalloc/allocator-api';
import { Field } from '../layout/header.ts';
import { notAllocated } from '../layout/lookup.ts';
import type { Guard, GuardMaker } from '../thread/guard.ts';
import type { Tld } from '../thread/thread-view.ts';

/**
 * @throws AllocError `InvalidParam` when a heap of this level cannot be made or attached to without secure
 *   mode
 */
export function demandMaker(level: number, maker: GuardMaker | null): void {
  if (level === 0 || maker !== null) return;
  throw new AllocError(
    'InvalidParam',
    `secure: ${level} needs all of the package: import MiMalloc from '@shmalloc/mimalloc', not from '@shmalloc/mimalloc/core'`,
  );
}

/**
 * Secure mode for one thread's view of a region, as its header says.
 * @returns null when it is off
 * @throws AllocError `InvalidParam` when the header is damaged, or when this program does not have secure
 *   mode
 */
export function guardFor(tld: Tld, maker: GuardMaker | null): Guard | null {
  const { i32, header } = tld;
  const level = i32[header + Field.secure];
  // Only a header of secure mode has a checksum: a level that was overwritten with 0 does not switch it off.
  const isOff = level === 0 && i32[header + Field.checksum] === 0;
  if (!isOff) demandMaker(level || 1, maker);
  return isOff || maker === null ? null : maker(tld);
}

/** The error for an address that no block was handed out by, with as much detail as there is. */
export function refusal(tld: Tld, operation: string, address: number): AllocError {
  return tld.guard === null ? notAllocated(operation, address) : tld.guard.refuse(tld, operation, address);
}

/** Reports whatever secure mode finds. The heap must be consistent. */
export function inspectHeap(tld: Tld): void {
  if (tld.guard === null) return;
  // All of it is found before the first is told: the hook may use the heap, or detach.
  for (const error of tld.guard.inspect(tld, true)) tld.report(error);
}

/** @throws AllocError for the first thing that secure mode finds */
export function demandIntact(tld: Tld): void {
  if (tld.guard === null) return;
  for (const error of tld.guard.inspect(tld, false)) throw error;
}
