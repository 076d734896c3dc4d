/**
 * What the oracle found, in a form that threads can share: a violation is a row of numbers in a bounded
 * table, and its sentence is made when it is read.
 *
 * ```
 *  words  │ count │ refused │ ready[0] │ ready[1] │ …                   count is exact, also beyond the table
 *  rows   │ kind · operation · thread · address · size · other's thread, address, size · detail · detail │ × maxViolations
 * ```
 */

import type { Address } from '@shmalloc/allocator-api';
import type { LiveBlock } from './shadow.ts';

/**
 * What is wrong:
 *
 * - `outside`: a block that is not inside the region (or no address at all)
 * - `overlap`: a block that covers bytes of a live one
 * - `misaligned`: an address that is no multiple of what was asked for, or of 8
 * - `contents`: a live block's bytes have changed, or `realloc` has not carried them over
 * - `usable`: `usableSize` is below the size asked for
 * - `not-zeroed`: a byte of a `calloc` block is not 0
 * - `not-live`: a block given back that the oracle does not know with this size
 * - `lost`: memory that was given back cannot be allocated again
 * - `refused`: NULL although there is room
 * - `threw`: the allocator threw on good input
 * @public
 */
export type ViolationKind =
  | 'outside'
  | 'overlap'
  | 'misaligned'
  | 'contents'
  | 'usable'
  | 'not-zeroed'
  | 'not-live'
  | 'lost'
  | 'refused'
  | 'threw';

/** Every kind; its position is what the shared table holds. */
const KINDS: readonly ViolationKind[] = [
  'outside',
  'overlap',
  'misaligned',
  'contents',
  'usable',
  'not-zeroed',
  'not-live',
  'lost',
  'refused',
  'threw',
];

/**
 * The operation at which something was found.
 * @public
 */
export type Operation = 'malloc' | 'calloc' | 'realloc' | 'alignedAlloc' | 'free';

const OPERATIONS: readonly Operation[] = ['malloc', 'calloc', 'realloc', 'alignedAlloc', 'free'];

/**
 * One broken promise.
 * @public
 */
export interface Violation {
  /** What is wrong. */
  readonly kind: ViolationKind;
  /** The thread that found it, as its caller numbered it. */
  readonly thread: number;
  /** The block in question, in bytes; NaN when the allocator gave something that is no number. */
  readonly address: Address;
  /** What was asked for, in bytes. */
  readonly size: number;
  /** For an overlap: the block that was there before; thread −1 when its claim was still under way. */
  readonly other?: LiveBlock;
  /** One sentence with all of it. */
  readonly message: string;
}

/**
 * A violation as it is reported to {@link Oracle.report}.
 * @public
 */
export interface Finding {
  /** What is wrong. */
  kind: ViolationKind;
  /** During which operation. */
  operation: Operation;
  /** The thread that found it. */
  thread: number;
  /** The block in question, in bytes. */
  address: Address;
  /** What was asked for, in bytes. */
  size: number;
  /** For an overlap: the block that was there before. */
  other?: LiveBlock | undefined;
  /**
   * outside: start of the region · misaligned: what was asked for · contents, not-zeroed: offset of the byte
   * · usable: what it said · lost: how many blocks before · refused: bytes available
   */
  detail?: number;
  /**
   * outside: end of the region · contents: the byte, and above bit 8 the expected one · not-zeroed: the byte
   * · lost: how many after
   */
  more?: number;
}

const COUNT = 0;
const REFUSED = 1;
const READY = 2;
const FIELDS = 10;

/** The shared table of violations. */
export class ViolationLog {
  readonly buffer: SharedArrayBuffer;
  readonly #capacity: number;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #rows: Float64Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer, capacity: number) {
    this.buffer = buffer;
    this.#capacity = capacity;
    this.#rows = new Float64Array(buffer, 0, capacity * FIELDS);
    this.#words = new Int32Array(buffer, capacity * FIELDS * 8, READY + capacity);
  }

  /** @param capacity - how many violations are kept in full; all are counted */
  static create(capacity: number): ViolationLog {
    return new ViolationLog(new SharedArrayBuffer(capacity * FIELDS * 8 + (READY + capacity) * 4), capacity);
  }

  /** How many there are, over all threads. */
  get count(): number {
    return Atomics.load(this.#words, COUNT);
  }

  /** Whether another violation would only be counted: then its details need not be found out. */
  get isFull(): boolean {
    return this.count >= this.#capacity;
  }

  /** Remembers that a block was handed out which the oracle did not take up. */
  refuse(): void {
    Atomics.add(this.#words, REFUSED, 1);
  }

  /**
   * Whether a block that the oracle does not know may be one that it refused; each refused block excuses one.
   */
  excuse(): boolean {
    for (let left = Atomics.load(this.#words, REFUSED); left > 0; ) {
      const seen = Atomics.compareExchange(this.#words, REFUSED, left, left - 1);
      if (seen === left) return true;
      left = seen;
    }
    return false;
  }

  /** Counts a violation, and keeps it while there is room. Lock-free. */
  add(finding: Finding): void {
    const index = Atomics.add(this.#words, COUNT, 1);
    if (index >= this.#capacity) return;
    const { kind, operation, thread, address, size, other, detail = 0, more = 0 } = finding;
    this.#rows.set(
      [
        KINDS.indexOf(kind),
        OPERATIONS.indexOf(operation),
        thread,
        address,
        size,
        other?.thread ?? -1,
        other?.address ?? -1,
        other?.size ?? 0,
        detail,
        more,
      ],
      index * FIELDS,
    );
    Atomics.store(this.#words, READY + index, 1);
  }

  /** Those that are kept, in the order they were counted. */
  list(): Violation[] {
    const found: Violation[] = [];
    for (let index = 0; index < Math.min(this.count, this.#capacity); index++) {
      if (Atomics.load(this.#words, READY + index) === 1) found.push(this.#read(index));
    }
    return found;
  }

  #read(index: number): Violation {
    const row = this.#rows.subarray(index * FIELDS, (index + 1) * FIELDS);
    const [kind, operation, thread, address, size, otherThread, otherAddress, otherSize, detail, more] = row;
    const other = { thread: otherThread, address: otherAddress, size: otherSize };
    const finding: Finding = {
      kind: KINDS[kind],
      operation: OPERATIONS[operation],
      thread,
      address,
      size,
      other: otherAddress < 0 ? undefined : other,
      detail,
      more,
    };
    const violation = { kind: finding.kind, thread, address, size, message: sentence(finding) };
    return finding.kind === 'overlap' ? { ...violation, other } : violation;
  }
}

function span(address: Address, size: number): string {
  return `[${address}, ${address + size})`;
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}

function sentence(finding: Finding): string {
  const { kind, operation, thread, address, size, other, detail = 0, more = 0 } = finding;
  const where = `thread ${thread}: ${operation}`;
  const block = span(address, size);
  switch (kind) {
    case 'outside':
      return `${where} of ${size} bytes gave ${block}, which is not inside the region [${detail}, ${more})`;
    case 'overlap':
      return `${where} gave ${block}, which overlaps ${
        other === undefined
          ? 'a block that another thread is just taking'
          : `${span(other.address, other.size)} of thread ${other.thread}`
      }`;
    case 'misaligned':
      return `${where} of ${size} bytes gave ${address}, which is no multiple of ${detail}`;
    case 'contents':
      return `${where}: byte ${detail} of the block ${block} is ${hex(more & 255)}, it was ${hex(more >>> 8)}`;
    case 'usable':
      return `${where} of ${size} bytes gave ${address}, and usableSize says ${detail} there`;
    case 'not-zeroed':
      return `${where}: byte ${detail} of the block ${block} is ${hex(more & 255)}, not 0`;
    case 'not-live':
      return `${where} of ${address} with ${size} bytes: no such block is live`;
    case 'lost':
      return `${where} filled the memory with ${detail} blocks, and after all were freed with ${more}`;
    case 'refused':
      return `${where} of ${size} bytes gave NULL with ${detail} bytes available`;
    case 'threw':
      return `${where} of ${size} bytes threw an error`;
  }
}
