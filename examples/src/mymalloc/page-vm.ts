/**
 * `vmalloc` and `vmfree` as small as can be: a byte for each page, behind one spin lock, at the start of the memory. It stands in for a kernel's
 * page allocator, whose two calls look the same.
 *
 * ```
 *  0      4      8                        pages + 8
 *  ├──────┼──────┼────────────────────────┼───────┬──────────────┬──────────────┬───
 *  │ lock │ used │ a byte a page: 1 taken │ ▒▒▒▒▒ │ page         │ page         │ …
 *  └──────┴──────┴────────────────────────┴───────┴──────────────┴──────────────┴───
 *                                                 ▲ the first that can be handed out
 * ```
 */

import type { SharedMemory } from '@shmalloc/allocator-api';
import { SpinLock } from '@shmalloc/atomic-cell';
import type { Vm } from './mymalloc.ts';

const PAGE = 4096;
const USED = 1;
const TAKEN_AT = 8;

/** The pages of one memory, in one thread. Zeroed memory is one of which nothing is taken. */
export class PageVm implements Vm {
  readonly memory: SharedMemory;
  private readonly lock: SpinLock;
  private readonly taken: Uint8Array;
  private readonly first: number;

  constructor(memory: SharedMemory) {
    const pages = memory.byteLength / PAGE;
    this.memory = memory;
    this.lock = new SpinLock(memory, 0);
    this.taken = memory.u8.subarray(TAKEN_AT, TAKEN_AT + pages);
    this.first = Math.ceil((TAKEN_AT + pages) / PAGE);
  }

  /** Pages that are handed out. */
  get usedPages(): number {
    return Atomics.load(this.memory.i32, USED);
  }

  /** The address of `length` bytes, at `address` unless that is 0; 0 when they are not free. */
  vmalloc(address: number, length: number): number {
    const count = this.pagesOf(address, length);
    const wanted = address / PAGE;
    this.lock.lock();
    const page = address === 0 ? this.findFree(count) : this.isRun(wanted, count, 0) ? wanted : 0;
    if (page !== 0) {
      this.taken.fill(1, page, page + count);
      this.memory.i32[USED] += count;
    }
    this.lock.unlock();
    return page * PAGE;
  }

  /** Takes pages back. */
  vmfree(address: number, length: number): void {
    const count = this.pagesOf(address, length);
    const page = address / PAGE;
    this.lock.lock();
    const wereTaken = this.isRun(page, count, 1);
    if (wereTaken) {
      this.taken.fill(0, page, page + count);
      this.memory.i32[USED] -= count;
    }
    this.lock.unlock();
    if (!wereTaken) throw new Error(`vmfree(${address}, ${length}): not all of these pages are taken`);
  }

  private pagesOf(address: number, length: number): number {
    if (address % PAGE !== 0 || length % PAGE !== 0 || length <= 0)
      throw new RangeError(`address and length must be multiples of ${PAGE}, got ${address} and ${length}`);
    return length / PAGE;
  }

  /** Whether so many pages can be handed out, and all are free (0) or taken (1). */
  private isRun(page: number, count: number, state: number): boolean {
    if (page < this.first) return false;
    for (let at = page; at < page + count; at++) if (this.taken[at] !== state) return false;
    return true;
  }

  private findFree(count: number): number {
    const { taken } = this;
    let run = 0;
    for (let page = this.first; page < taken.length; page++) {
      run = taken[page] === 0 ? run + 1 : 0;
      if (run === count) return page + 1 - count;
    }
    return 0;
  }
}
