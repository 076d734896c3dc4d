/**
 * What a thread puts in front of a step's allocator when it wants its blocks all the same: it tries again
 * until no other thread is inside.
 */

import type { Address, SharedMemory } from '@shmalloc/allocator-api';
import { BorrowMutError } from '@shmalloc/atomic-cell';
import type { Allocator } from './step.ts';

/** A thread's access to a step's allocator, for programs that know nothing of borrows. */
export class Client {
  /** How often another thread was inside. */
  refused: number;
  /** What the first refusal said. */
  firstRefusal: string;
  /** Allocations that were given up. */
  givenUp: number;
  private readonly allocator: Allocator;
  private readonly patient: boolean;

  /**
   * @param patient - whether a refused `malloc` is tried again; if not, it gives 0. A refused `free` always
   *   is: no other thread has the block.
   */
  constructor(allocator: Allocator, patient: boolean) {
    this.allocator = allocator;
    this.patient = patient;
    this.refused = 0;
    this.firstRefusal = '';
    this.givenUp = 0;
  }

  /** For the oracle, which looks where blocks lie. */
  get memory(): SharedMemory {
    return this.allocator.heap.memory;
  }

  malloc(size: number): Address {
    for (;;) {
      try {
        return this.allocator.malloc(size);
      } catch (error) {
        this.count(error);
        if (this.patient) continue;
        this.givenUp++;
        return 0;
      }
    }
  }

  free(address: Address): void {
    for (;;) {
      try {
        this.allocator.free(address);
        return;
      } catch (error) {
        this.count(error);
      }
    }
  }

  private count(error: unknown): void {
    if (!(error instanceof BorrowMutError)) throw error;
    if (this.refused++ === 0) this.firstRefusal = error.message;
  }

  // ── What else a checked allocator has, and these programs do not use ──

  usableSize(): number {
    return Number.MAX_SAFE_INTEGER;
  }
  calloc(): Address {
    return 0;
  }
  realloc(): Address {
    return 0;
  }
  alignedAlloc(): Address {
    return 0;
  }
}
