/**
 * The oracle: the shadow of the live blocks and the list of what was found, shared by all threads of a test.
 */

import { type Address, checkInteger, MAX_BYTES } from '@shmalloc/allocator-api';
import { type LiveBlock, Shadow, type ShadowBuffers } from './shadow.ts';
import { type Finding, type Violation, ViolationLog } from './violation.ts';

/**
 * What {@link Oracle.create} takes.
 * @public
 */
export interface OracleOptions {
  /**
   * How far addresses reach: the bytes of the whole buffer that the region lies in, at most 4 GiB. For memory
   * that grows, what it can grow to: a block beyond is a violation (`outside`).
   */
  bytes: number;
  /** How many violations are kept with their details. All are counted. Default 64. */
  maxViolations?: number | undefined;
}

/**
 * What one thread posts to another so that both consult one oracle. Structured-cloneable.
 * @public
 */
export interface OracleHandle extends ShadowBuffers {
  /** How far addresses reach. */
  readonly bytes: number;
  /** How many violations are kept with their details. */
  readonly maxViolations: number;
  /** The violations. */
  readonly log: SharedArrayBuffer;
}

/**
 * The set of live blocks H = \{[l, r)\}, kept apart from the allocator under test, and the violations found.
 * Lock-free; any number of threads may use it through {@link CheckedAllocator}, one for each thread.
 *
 * @example
 * ```ts
 * const oracle = Oracle.create({ bytes: heap.memory.byteLength });
 * const checked = new CheckedAllocator(heap, oracle, 0);
 * const block = checked.malloc(100);
 * checked.free(block, 100);
 * console.log(oracle.violationCount, oracle.violations());
 * ```
 * @public
 */
export class Oracle {
  /** How far addresses reach. */
  readonly bytes: number;
  readonly #maxViolations: number;
  readonly #shadow: Shadow;
  readonly #log: ViolationLog;

  private constructor(bytes: number, maxViolations: number, shadow: Shadow, log: ViolationLog) {
    this.bytes = bytes;
    this.#maxViolations = maxViolations;
    this.#shadow = shadow;
    this.#log = log;
  }

  /**
   * Makes an oracle with no live blocks. It reserves about half of `bytes`, and the system commits what is
   * touched: some 64 bytes a page under large blocks, up to 2 KiB a page under small ones.
   * @throws TypeError or RangeError for a wrong number
   */
  static create(options: OracleOptions): Oracle {
    const bytes = checkInteger('bytes', options.bytes);
    const maxViolations = checkInteger('maxViolations', options.maxViolations ?? 64);
    if (bytes > MAX_BYTES) throw new RangeError(`bytes must be at most 4 GiB, got ${bytes}`);
    return new Oracle(bytes, maxViolations, Shadow.create(bytes), ViolationLog.create(maxViolations));
  }

  /** What to post to another thread. */
  share(): OracleHandle {
    const { bytes } = this;
    return { bytes, maxViolations: this.#maxViolations, log: this.#log.buffer, ...this.#shadow.buffers };
  }

  /** Takes what {@link Oracle.share} returned in another thread. */
  static attach(handle: OracleHandle): Oracle {
    const { bytes, maxViolations, log, pages, bits, records } = handle;
    const shadow = new Shadow({ pages, bits, records });
    return new Oracle(bytes, maxViolations, shadow, new ViolationLog(log, maxViolations));
  }

  /** How many violations all threads have found, also those beyond the list. */
  get violationCount(): number {
    return this.#log.count;
  }

  /** The first of them, with their details, by whichever thread. */
  violations(): Violation[] {
    return this.#log.list();
  }

  /** Every live block in the order of addresses. For a moment when no thread allocates. */
  liveBlocks(): IterableIterator<LiveBlock> {
    return this.#shadow.blocks();
  }

  /**
   * Adds a block to H.
   * @returns −1, or an address of it that another live block covers; then nothing has changed
   * @internal
   */
  claim(thread: number, address: Address, size: number): number {
    return this.#shadow.claim(thread, address, size);
  }

  /**
   * Takes a block out of H.
   * @returns whether it was there
   * @internal
   */
  release(address: Address, size: number): boolean {
    return this.#shadow.release(address, size);
  }

  /**
   * Whether a block is in H.
   * @internal
   */
  has(address: Address, size: number): boolean {
    return this.#shadow.has(address, size);
  }

  /**
   * The live block at an address. Walks back to its start: for messages.
   * @internal
   */
  ownerOf(address: Address): LiveBlock | undefined {
    return this.#log.isFull ? undefined : this.#shadow.ownerOf(address);
  }

  /**
   * Counts a violation and keeps it while there is room. For checks of one's own; {@link CheckedAllocator}
   * reports what it finds.
   */
  report(finding: Finding): void {
    this.#log.add(finding);
  }

  /**
   * Remembers that a block is at large which H cannot hold; its `free` will then be no violation of its own.
   * @internal
   */
  refuse(): void {
    this.#log.refuse();
  }

  /**
   * Whether an unknown block may be one of those.
   * @internal
   */
  excuse(): boolean {
    return this.#log.excuse();
  }
}
