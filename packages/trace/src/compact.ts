/**
 * The compact format: a trace as a file, two to four bytes an operation on real programs.
 *
 * ```
 *   byte 0        4         5          9          13
 *   ┌────────────┬─────────┬──────────┬──────────┬────────────┬─────────┬─────────┬────────────────────────┐
 *   │ "SHMT"     │ version │ length   │ checksum │ operations │ threads │ blocks  │ operations, one after  │
 *   │ 53 48 4D 54│ 02      │ of all behind, 4 │ varint     │ varint  │ varint  │ the other, to the end  │
 *   │            │         │ bytes each, LE   │            │         │         │                        │
 *   └────────────┴─────────┴──────────┴──────────┴────────────┴─────────┴─────────┴────────────────────────┘
 *
 *   An operation:
 *       7     5   4   3       0
 *     ┌────────┬────┬──────────┐┌ ─ ─ ─ ─ ─ ─ ─ ─ ┐┌ ─ ─ ─ ─ ─ ┐
 *     │  kind  │more│ value    │  value, bits 4 …    size         value = bits 0–3, and bits 4 … as a varint
 *     │        │    │ bits 0–3 ││ if more = 1      ││            │  when `more` is set
 *     └────────┴────┴──────────┘└ ─ varint ─ ─ ─ ─ ┘└ ─ varint ─ ┘
 *
 *     kind       value                                    then
 *     0 malloc   size, bytes                              —          the block's number is implied: the next one
 *     1 calloc   size, bytes                              —          likewise
 *     2 realloc  distance of the old block, 0 for NULL    size       likewise
 *     3 aligned  logarithm of the alignment               size       likewise
 *     4 free     distance of the block, 0 for NULL        —
 *     5 exit     0                                        —          a switch follows, unless this is the end
 *     6 switch   number of the thread                     —          no operation of its own: what follows is that thread's
 * ```
 *
 * The distance of a block is how many allocations lie between it and now: 1 for the youngest. Programs free
 * what is young, so most distances take one byte or two. The checksum is the CRC-32 of gzip, over everything
 * from byte 13 on. A varint is LEB128: seven bits a byte, the lowest first, the top bit set on all but the
 * last. The thread before the first switch is 0. Blocks are numbered from 1.
 */

import { crc32 } from './crc32.ts';
import {
  MAX_SIZE,
  OP_ALIGNED,
  OP_EXIT,
  OP_FREE,
  OP_REALLOC,
  type Trace,
  TraceError,
  type TraceErrorReason,
} from './normal-form.ts';

/** "SHMT". */
const MAGIC = [0x53, 0x48, 0x4d, 0x54] as const;
const VERSION = 2;
const AT_VERSION = 4;
const AT_LENGTH = 5;
const AT_CHECKSUM = 9;
const AT_BODY = 13;

const KIND_SHIFT = 5;
const MORE = 0x10;
const LOW_BITS = 4;
const LOW_MASK = 0x0f;
/** The kind that is no operation. The others are the normal form's codes. */
const SWITCH = 6;

/**
 * The longest operation with the switch before it: twice a head and four more bytes of value, and five of
 * size.
 */
const MAX_OPERATION_BYTES = 16;
const MAX_COUNTS_BYTES = 15;

/**
 * Whether these bytes begin like a trace in the compact format.
 * @public
 */
export function isCompact(bytes: Uint8Array): boolean {
  return bytes.length >= MAGIC.length && MAGIC.every((byte, index) => bytes[index] === byte);
}

/**
 * Writes a trace in the compact format.
 * @param trace - in normal form
 * @returns the file's bytes
 * @public
 */
export function writeTrace(trace: Trace): Uint8Array {
  const { operations, op, thread, id, size, alignLog2, oldId } = trace;
  let bytes = new Uint8Array(AT_BODY + MAX_COUNTS_BYTES + MAX_OPERATION_BYTES + 4 * operations);
  let at = putVarint(bytes, AT_BODY, operations);
  at = putVarint(bytes, at, trace.threads);
  at = putVarint(bytes, at, trace.blocks);
  let current = 0;
  let next = 1;
  for (let index = 0; index < operations; index++) {
    if (at + MAX_OPERATION_BYTES > bytes.length) {
      const longer = new Uint8Array(2 * bytes.length);
      longer.set(bytes);
      bytes = longer;
    }
    const kind = op[index];
    if (thread[index] !== current) {
      current = thread[index];
      at = putHead(bytes, at, SWITCH, current);
    }
    if (kind === OP_FREE) {
      at = putHead(bytes, at, OP_FREE, distance(next, id[index]));
    } else if (kind === OP_REALLOC) {
      at = putHead(bytes, at, OP_REALLOC, distance(next++, oldId[index]));
      at = putVarint(bytes, at, size[index]);
    } else if (kind === OP_ALIGNED) {
      next++;
      at = putHead(bytes, at, OP_ALIGNED, alignLog2[index]);
      at = putVarint(bytes, at, size[index]);
    } else if (kind === OP_EXIT) {
      at = putHead(bytes, at, OP_EXIT, 0);
      current = -1;
    } else {
      next++;
      at = putHead(bytes, at, kind, size[index]);
    }
  }
  bytes.set(MAGIC);
  bytes[AT_VERSION] = VERSION;
  putU32(bytes, AT_LENGTH, at - AT_BODY);
  putU32(bytes, AT_CHECKSUM, crc32(bytes.subarray(AT_BODY, at)));
  return bytes.slice(0, at);
}

/** How far back a block lies when `next` is the number of the next one; 0 stands for NULL. */
function distance(next: number, id: number): number {
  return id === 0 ? 0 : next - id;
}

function putHead(bytes: Uint8Array, at: number, kind: number, value: number): number {
  if (value <= LOW_MASK) {
    bytes[at] = (kind << KIND_SHIFT) | value;
    return at + 1;
  }
  bytes[at] = (kind << KIND_SHIFT) | MORE | (value & LOW_MASK);
  return putVarint(bytes, at + 1, value >>> LOW_BITS);
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(at, value, true);
}

function putVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = value >>> 0;
  while (rest > 0x7f) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at] = rest;
  return at + 1;
}

/**
 * Reads a trace in the compact format. Cost: some 20 ns an operation, 18 bytes each of columns and one a
 * block meanwhile.
 * @param bytes - the whole file
 * @returns the trace, every invariant of the normal form checked
 * @throws TraceError `magic`, `version`, `truncated`, `checksum` (some byte has changed) or `corrupt` (it was
 *   written like this), with the offset in bytes where it shows
 * @public
 */
export function readTrace(bytes: Uint8Array): Trace {
  return new Reader(bytes).read();
}

/**
 * One pass over a file. The offset is a field, because reading a varint yields both a value and a new offset.
 */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(): Trace {
    const { operations, threads, blocks } = this.#header();
    const op = new Uint8Array(operations);
    const thread = new Uint32Array(operations);
    const id = new Uint32Array(operations);
    const size = new Uint32Array(operations);
    const alignLog2 = new Uint8Array(operations);
    const oldId = new Uint32Array(operations);
    const freed = new Uint8Array(blocks + 1);
    const ended = new Uint8Array(threads);
    const bytes = this.#bytes;
    /** The thread whose operations these are; −1 after its exit. */
    let current = 0;
    let seen = 0;
    let next = 1;
    let index = 0;
    while (index < operations) {
      const start = this.#at;
      if (start >= bytes.length)
        this.#refuse('corrupt', start, `ends after ${index} of ${operations} operations`);
      const head = bytes[start];
      const kind = head >>> KIND_SHIFT;
      this.#at = start + 1;
      let value = head & LOW_MASK;
      if ((head & MORE) !== 0) {
        value += this.#varint() * (LOW_MASK + 1);
        if (value > MAX_SIZE) this.#refuse('corrupt', start, 'holds a value above 2^32 − 1');
      }
      if (kind === SWITCH) {
        if (value > seen || value >= threads || ended[value] === 1) {
          this.#refuse('corrupt', start, `switches to thread ${value}, which cannot be next`);
        }
        current = value;
        continue;
      }
      if (current < 0) this.#refuse('corrupt', start, 'holds an operation of a thread that has ended');
      // A thread counts from its first operation on, not from the switch to it.
      if (current === seen) seen++;
      op[index] = kind;
      thread[index] = current;
      if (kind < OP_FREE) {
        if (next > blocks)
          this.#refuse('corrupt', start, `allocates more than the ${blocks} blocks announced`);
        if (kind === OP_REALLOC) {
          const old = this.#block(start, next, value, freed);
          if (old !== 0) freed[old] = 1;
          oldId[index] = old;
          size[index] = this.#varint();
        } else if (kind === OP_ALIGNED) {
          if (value > 31) this.#refuse('corrupt', start, `holds an alignment of 2^${value}`);
          alignLog2[index] = value;
          size[index] = this.#varint();
        } else size[index] = value;
        id[index] = next++;
      } else if (kind === OP_FREE) {
        const block = this.#block(start, next, value, freed);
        if (block !== 0) freed[block] = 1;
        id[index] = block;
      } else if (kind === OP_EXIT && value === 0) {
        ended[current] = 1;
        current = -1;
      } else
        this.#refuse('corrupt', start, `holds the byte 0x${head.toString(16)}, which begins no operation`);
      index++;
    }
    if (this.#at !== bytes.length) this.#refuse('corrupt', this.#at, 'goes on after its last operation');
    if (next !== blocks + 1 || seen !== threads) {
      this.#refuse(
        'corrupt',
        this.#at,
        `ends with ${next - 1} of ${blocks} blocks, ${seen} of ${threads} threads`,
      );
    }
    return { operations, threads, blocks, op, thread, id, size, alignLog2, oldId };
  }

  #header(): { operations: number; threads: number; blocks: number } {
    this.#envelope();
    this.#at = AT_BODY;
    const operations = this.#varint();
    const threads = this.#varint();
    const blocks = this.#varint();
    // An operation takes a byte at least, so counts beyond the file's length are known wrong before anything
    // is allocated.
    if (operations > this.#bytes.length - this.#at || blocks > operations || threads > operations) {
      this.#refuse(
        'corrupt',
        AT_BODY,
        `announces ${operations} operations with ${blocks} blocks and ${threads} threads in ${this.#bytes.length - this.#at} bytes`,
      );
    }
    return { operations, threads, blocks };
  }

  /** Demands that this is a whole file as another thread wrote it. */
  #envelope(): void {
    const bytes = this.#bytes;
    if (!isCompact(bytes)) this.#refuse('magic', 0, 'does not begin with "SHMT": this is no compact trace');
    if (bytes.length <= AT_VERSION) this.#refuse('truncated', bytes.length, 'ends before its version');
    if (bytes[AT_VERSION] !== VERSION) {
      this.#refuse(
        'version',
        AT_VERSION,
        `has version ${bytes[AT_VERSION]}; this reader knows version ${VERSION}`,
      );
    }
    if (bytes.length < AT_BODY) this.#refuse('truncated', bytes.length, 'ends within its header');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const end = AT_BODY + view.getUint32(AT_LENGTH, true);
    if (bytes.length < end) this.#refuse('truncated', bytes.length, `ends here; it should have ${end} bytes`);
    if (bytes.length > end) this.#refuse('corrupt', end, `goes on to ${bytes.length} behind its end`);
    const written = view.getUint32(AT_CHECKSUM, true);
    const found = crc32(bytes.subarray(AT_BODY));
    if (written !== found) {
      this.#refuse(
        'checksum',
        AT_CHECKSUM,
        `has the checksum ${hex(written)}, but what is behind it sums to ${hex(found)}: it was damaged`,
      );
    }
  }

  /** The block at this distance, which must be live; 0 for NULL. */
  #block(start: number, next: number, back: number, freed: Uint8Array): number {
    if (back === 0) return 0;
    const block = next - back;
    if (block < 1)
      this.#refuse('corrupt', start, `frees a block ${back} allocations back; there were ${next - 1}`);
    if (freed[block] === 1) this.#refuse('corrupt', start, `frees block ${block} for the second time`);
    return block;
  }

  #varint(): number {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    let value = 0;
    let scale = 1;
    for (;;) {
      if (at >= bytes.length) this.#refuse('corrupt', at, 'ends within a number');
      const byte = bytes[at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
      if (at - start === 5) this.#refuse('corrupt', start, 'holds a number of more than five bytes');
    }
    if (value > MAX_SIZE) this.#refuse('corrupt', start, 'holds a number above 2^32 − 1');
    this.#at = at;
    return value;
  }

  #refuse(reason: TraceErrorReason, offset: number, what: string): never {
    throw new TraceError(reason, `compact trace, offset ${offset}: ${what}`);
  }
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
