/**
 * The layer between the allocator and the owner of the memory.
 *
 * ```
 *   reserve          commit                 decommit / reset
 *   ───────▶ address ──────▶ memory behind  ────────────────▶ address space only, reads as zeros or as anything
 *            space           it, readable                     (MADV_DONTNEED)       (MADV_FREE)
 * ```
 *
 * JavaScript cannot give memory back to the operating system, so the default only counts; the counts are what
 * an owner with real page tables (a kernel, an emulator) would have had to provide. Calls come from slow
 * paths only, in whole OS pages of 4096 bytes.
 */

import type { Address, SharedMemory } from '@shmalloc/allocator-api';

/**
 * The owner of the memory. Every method may be called from any thread that was given this object; a thread
 * has its own.
 * @public
 */
export interface Os {
  /**
   * More address space for the heap, outside what it has.
   * @param bytes - at least so many
   * @returns the address and length of new memory inside the same `SharedMemory`, or null when there is none
   */
  reserve(bytes: number): { readonly start: Address; readonly size: number } | null;
  /**
   * Memory behind a range: from now on it can be read and written.
   * @returns false when there is none; the allocation that wanted it fails, and nothing else
   */
  commit(address: Address, bytes: number): boolean;
  /**
   * The range's contents are of no interest any more and it must not cost memory (`MADV_DONTNEED`). It is
   * committed again before use.
   */
  decommit(address: Address, bytes: number): void;
  /** The same, but the owner may take the memory whenever it likes, or not at all (`MADV_FREE`). */
  reset(address: Address, bytes: number): void;
  /** Milliseconds that empty pages and segments wait before they are purged; 0 at once, -1 never. */
  readonly purgeDelay: number;
  /** A clock in milliseconds, the same for all threads; only differences count. */
  now(): number;
}

/** What memory grows by. */
const WASM_PAGE = 65_536;

/** Milliseconds an empty stretch waits: mimalloc's own default. */
export const DEFAULT_PURGE_DELAY = 10;

/**
 * The default: grows the memory when it may, commits nothing because the engine does that, and counts.
 * @public
 */
export class AccountingOs implements Os {
  readonly purgeDelay: number;
  readonly #memory: SharedMemory;
  readonly #grow: boolean;

  /**
   * @param memory - the region's memory
   * @param grow - whether `reserve` may make it longer
   * @param purgeDelay - milliseconds
   */
  constructor(memory: SharedMemory, grow: boolean, purgeDelay: number = DEFAULT_PURGE_DELAY) {
    this.#memory = memory;
    this.#grow = grow;
    this.purgeDelay = purgeDelay;
  }

  /**
   * Grows the memory, in pages of WebAssembly where there is room for a whole one. Each of several threads
   * that do so gets a range of its own.
   */
  reserve(bytes: number): { readonly start: Address; readonly size: number } | null {
    const memory = this.#memory;
    const left = memory.maxByteLength - memory.byteLength;
    if (!this.#grow || bytes > left) return null;
    const pages = Math.ceil(bytes / WASM_PAGE) * WASM_PAGE;
    const size = pages <= left ? pages : bytes;
    try {
      return { start: memory.grow(size), size };
    } catch {
      return null;
    }
  }

  /** Nothing to do: the engine backs memory when it is touched. */
  commit(): boolean {
    return true;
  }

  /** Nothing to do: no engine takes memory back. */
  decommit(): void {}

  /** Nothing to do. */
  reset(): void {}

  /** Wall time that goes evenly, since the process's start or the epoch. */
  now(): number {
    return performance.timeOrigin + performance.now();
  }
}
