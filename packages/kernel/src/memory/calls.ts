/**
 * What a program does with pages: `vmalloc` and its relatives, on the CPU that it runs on. They need a
 * machine that was booted with `paged`.
 */

import type { Address } from '@shmalloc/allocator-api';
import { heapOfCpu } from '../cpu.ts';
import type { Advice } from '../vm/vm-types.ts';

/**
 * Reserves whole pages: see {@link PhysicalMemory.vmalloc}. Lock-free.
 * @param address - where, a multiple of 4096; 0 for anywhere
 * @param length - bytes, a multiple of 4096 and not 0
 * @returns the first byte, of pages that read as zeros; 0 when there are not so many in a row, or not there
 * @throws AllocError `InvalidParam` for what is no multiple; KernelError `NotPaged` on a machine without
 *   pages
 * @public
 */
export function vmalloc(address: Address, length: number): Address {
  return heapOfCpu('vmalloc()').physical.vmalloc(address, length);
}

/**
 * Gives pages of {@link vmalloc} back, on any CPU. Lock-free.
 * @throws AllocError `NotAllocated` when one of them is not `vmalloc`'s; then nothing has changed
 * @public
 */
export function vmfree(address: Address, length: number): void {
  heapOfCpu('vmfree()').physical.vmfree(address, length);
}

/**
 * Says what will become of pages of {@link vmalloc}: see {@link VmAccount.madvise}.
 * @returns how many pages it changed
 * @public
 */
export function madvise(address: Address, length: number, advice: Advice): number {
  return heapOfCpu('madvise()').physical.madvise(address, length, advice);
}

/**
 * Says that bytes in pages of {@link vmalloc} are about to be written: their first use, which gives them
 * frames. See {@link VmAccount.touch}.
 * @returns false when there is no frame: the pages are reserved as before, and must not be written
 * @public
 */
export function touch(address: Address, length: number): boolean {
  return heapOfCpu('touch()').physical.touch(address, length);
}

/**
 * Chooses another byte allocator while all CPUs go on: see {@link Machine.swap}.
 * @param name - one that the machine was booted with: its `allocator`, or one of `paged.swap`
 * @public
 */
export function swap(name: string): void {
  heapOfCpu('swap()').swap(name);
}
