/**
 * Cuts a stream of chunks into lines without ever making a string.
 *
 * ```
 *   chunk 1                       chunk 2
 *   ┌───────────────┬─────────────┐┌──────────┬───────────────┬─ ─
 *   │ line 1      \n│ line 2, its ││ end    \n│ line 3      \n│
 *   └───────────────┴─────────────┘└──────────┴───────────────┴─ ─
 *     seen in place   └── carried over, joined ──┘  seen in place
 * ```
 *
 * A line is handed over as (bytes, start, end), valid during the call only; its `\n`, and a `\r` before that,
 * are left out.
 */

/** What takes the lines. */
export type LineHandler = (bytes: Uint8Array, start: number, end: number) => void;

const LF = 0x0a;
const CR = 0x0d;

/** The longest line, in bytes. What is beyond is cut off, wherever the chunks are cut. */
export const MAX_LINE_BYTES: number = 64 * 1024;

/** Feeds lines to a handler as chunks come in. */
export class LineSplitter {
  readonly #handler: LineHandler;
  readonly #carry: Uint8Array = new Uint8Array(MAX_LINE_BYTES);
  #carried = 0;

  constructor(handler: LineHandler) {
    this.#handler = handler;
  }

  /** Hands over every line that ends within `chunk`. */
  push(chunk: Uint8Array): void {
    let start = 0;
    for (;;) {
      const newline = chunk.indexOf(LF, start);
      if (newline < 0) break;
      if (this.#carried > 0) {
        this.#keep(chunk, start, newline);
        this.#handOverCarry();
      } else this.#handOver(chunk, start, Math.min(newline, start + MAX_LINE_BYTES));
      start = newline + 1;
    }
    this.#keep(chunk, start, chunk.length);
  }

  /** The stream has ended: hands over a last line that has no newline. */
  end(): void {
    if (this.#carried > 0) this.#handOverCarry();
  }

  #keep(chunk: Uint8Array, start: number, end: number): void {
    const fits = Math.min(end, start + MAX_LINE_BYTES - this.#carried);
    this.#carry.set(chunk.subarray(start, fits), this.#carried);
    this.#carried += fits - start;
  }

  #handOverCarry(): void {
    const length = this.#carried;
    this.#carried = 0;
    this.#handOver(this.#carry, 0, length);
  }

  #handOver(bytes: Uint8Array, start: number, end: number): void {
    this.#handler(bytes, start, end > start && bytes[end - 1] === CR ? end - 1 : end);
  }
}
