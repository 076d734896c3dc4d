/**
 * The console: one ring per CPU. The CPU alone writes, the main thread alone reads, so neither takes a lock,
 * and the lines of a CPU come out whole and in order whatever the others do.
 *
 * ```
 *  byte 0     64     68    128                                        128 + size
 *  ├──────────┼──────┼─────┼─────────┬──────────────┬─────────┬─────────┤
 *  │ head     │ tail │ lost│ ▒▒▒▒▒▒▒ │ record record record ⋯ │ ▒▒▒▒▒▒▒ │    ▒ free
 *  └──────────┴──────┴─────┴─────────┴──────────────┴─────────┴─────────┘
 *   reader's   writer's words        ▲ head                  ▲ tail
 *
 *  record   ┌──────────────┬───────────────────┬──────────────────────┬─────┐
 *           │ bytes·4 | L F│ lines lost before │ UTF-8                │ pad │
 *           └──────────────┴───────────────────┴──────────────────────┴─────┘
 *             4              4                   bytes, padded to 4
 * ```
 *
 * `head` and `tail` count bytes and wrap at 2^32; `tail − head` bytes are filled, and a position in the data
 * is the count modulo the size (a power of two). The writer fills a record first and moves `tail` then: a CPU
 * that is killed in between has printed nothing. A line that is longer than half of the ring goes in several
 * records, the first marked F and the last L, and the reader joins them.
 *
 * When the ring is full the CPU waits for the reader, with a bound: then the line is lost, `lost` counts it,
 * and the next record that finds room carries the count, so that the gap is shown where it is.
 */

import { type Board, RING_HEADER } from './board.ts';

// Word indices within a ring.
const HEAD = 0;
const TAIL = 16;
const LOST = 17;

const RECORD_HEADER = 8;
const FIRST = 1;
const LAST = 2;

/** One end of a ring. */
class Ring {
  readonly size: number;
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly data: Uint8Array<SharedArrayBuffer>;

  constructor(board: Board, cpu: number) {
    this.size = board.ringBytes;
    const at = board.ringAt(cpu);
    this.words = new Int32Array(board.buffer, at, RING_HEADER / 4 + this.size / 4);
    this.data = new Uint8Array(board.buffer, at + RING_HEADER, this.size);
  }

  /**
   * Index of the word at byte count `at`; records start at multiples of 4, so a header's words never wrap
   * inside.
   */
  wordAt(at: number): number {
    return (RING_HEADER + (at & (this.size - 1))) / 4;
  }

  write(at: number, bytes: Uint8Array): void {
    const from = at & (this.size - 1);
    const straight = Math.min(bytes.length, this.size - from);
    this.data.set(bytes.subarray(0, straight), from);
    this.data.set(bytes.subarray(straight), 0);
  }

  /** A copy in memory of our own: browsers do not decode shared memory. */
  read(at: number, length: number): Uint8Array {
    const from = at & (this.size - 1);
    const straight = Math.min(length, this.size - from);
    const bytes = new Uint8Array(length);
    bytes.set(this.data.subarray(from, from + straight));
    bytes.set(this.data.subarray(0, length - straight), straight);
    return bytes;
  }
}

/** Bytes that a record with this much text takes. */
function recordBytes(length: number): number {
  return (RECORD_HEADER + length + 3) & ~3;
}

const encoder = new TextEncoder();

/** The end of a CPU. May block, for at most the patience it was made with. */
export class ConsoleWriter {
  readonly #board: Board;
  readonly #ring: Ring;
  readonly #patience: number;
  /** What follows the last newline. */
  #pending = '';
  /** The head at which waiting was in vain: no thread waits there twice. */
  #stuckAt: number | undefined;

  /** @param patience - milliseconds that a line waits for room */
  constructor(board: Board, cpu: number, patience: number) {
    this.#board = board;
    this.#ring = new Ring(board, cpu);
    this.#patience = patience;
  }

  /** Prints the lines that end in `text`; what follows the last newline waits for its end. */
  write(text: string): void {
    const lines = (this.#pending + text).split('\n');
    this.#pending = lines.pop() as string;
    for (const line of lines) this.#writeLine(line);
  }

  /** Ends the line that has been begun, if one has. */
  flush(): void {
    if (this.#pending !== '') this.write('\n');
  }

  #writeLine(line: string): void {
    const bytes = encoder.encode(line);
    const largest = this.#ring.size / 2 - RECORD_HEADER;
    let from = 0;
    do {
      const to = Math.min(from + largest, bytes.length);
      const flags = (from === 0 ? FIRST : 0) | (to === bytes.length ? LAST : 0);
      if (!this.#writeRecord(bytes.subarray(from, to), flags)) {
        this.#ring.words[LOST]++;
        return;
      }
      from = to;
    } while (from < bytes.length);
  }

  #writeRecord(text: Uint8Array, flags: number): boolean {
    const { words } = this.#ring;
    const tail = words[TAIL];
    const bytes = recordBytes(text.length);
    if (!this.#waitForRoom(tail, bytes)) return false;
    words[this.#ring.wordAt(tail)] = (text.length << 2) | flags;
    words[this.#ring.wordAt(tail + 4)] = words[LOST];
    this.#ring.write(tail + RECORD_HEADER, text);
    // The reader looks at `lost` after the machine has stopped only, so the order of these two decides
    // nothing.
    words[LOST] = 0;
    // Release: pairs with the reader's load, which then finds the record whole.
    Atomics.store(words, TAIL, tail + bytes);
    this.#board.ringBell();
    return true;
  }

  #waitForRoom(tail: number, bytes: number): boolean {
    const { size, words } = this.#ring;
    let until = 0;
    for (;;) {
      // Acquire: what the reader has let go of it has copied before.
      const head = Atomics.load(words, HEAD);
      if (size - ((tail - head) | 0) >= bytes) return true;
      if (head === this.#stuckAt) return false;
      const now = performance.now();
      until ||= now + this.#patience;
      if (now >= until) {
        this.#stuckAt = head;
        return false;
      }
      Atomics.wait(words, HEAD, head, until - now);
    }
  }
}

/** The end of the main thread. Never blocks. */
export class ConsoleReader {
  readonly #ends: readonly ReadEnd[];
  #draining = false;

  /** @param emit - gets every line; it may stop the machine, and with that come back here */
  constructor(board: Board, emit: (cpu: number, line: string) => void) {
    this.#ends = Array.from({ length: board.cpus }, (_, cpu) => new ReadEnd(board, cpu, emit));
  }

  /**
   * Hands on everything that has been printed. Does nothing inside of `emit`: the thread that called that
   * goes on behind this line.
   */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    try {
      for (const end of this.#ends) end.drain();
    } finally {
      this.#draining = false;
    }
  }

  /** The same once no CPU runs any more: lines that were cut off or lost at the very end are told as well. */
  close(): void {
    for (const end of this.#ends) end.close();
  }
}

class ReadEnd {
  readonly #ring: Ring;
  readonly #emit: (line: string) => void;
  readonly #decoder = new TextDecoder();
  /** The records of a line whose last one has not come yet. */
  #begun: string | undefined;

  constructor(board: Board, cpu: number, emit: (cpu: number, line: string) => void) {
    this.#ring = new Ring(board, cpu);
    this.#emit = (line) => emit(cpu, line);
  }

  drain(): void {
    const { words } = this.#ring;
    // Acquire: pairs with the writer's store. Only what is there now: a CPU that prints without end must not
    // keep the others from being read.
    const tail = Atomics.load(words, TAIL);
    let head = words[HEAD];
    if (head === tail) return;
    while (head !== tail) {
      const header = words[this.#ring.wordAt(head)];
      const lost = words[this.#ring.wordAt(head + 4)];
      const text = this.#ring.read(head + RECORD_HEADER, header >> 2);
      head = (head + recordBytes(header >> 2)) | 0;
      // The record is copied: the writer may use its room.
      Atomics.store(words, HEAD, head);
      if ((header & FIRST) !== 0) this.#cutOff();
      if (lost > 0) this.#emitLost(lost);
      const part = (this.#begun ?? '') + this.#decoder.decode(text, { stream: (header & LAST) === 0 });
      this.#begun = (header & LAST) === 0 ? part : undefined;
      if ((header & LAST) !== 0) this.#emit(part);
    }
    Atomics.notify(words, HEAD);
  }

  close(): void {
    this.drain();
    this.#cutOff();
    const lost = this.#ring.words[LOST];
    if (lost > 0) this.#emitLost(lost);
    this.#ring.words[LOST] = 0;
  }

  /** Shows a line whose end will never come. */
  #cutOff(): void {
    if (this.#begun === undefined) return;
    const line = this.#begun + this.#decoder.decode();
    this.#begun = undefined;
    this.#emit(`${line} [cut off]`);
  }

  #emitLost(lines: number): void {
    this.#emit(`[${lines} ${lines === 1 ? 'line' : 'lines'} lost: the console was full]`);
  }
}
