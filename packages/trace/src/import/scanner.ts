/**
 * Reads the words of one line: numbers, addresses, names. Works on bytes and makes no strings, except for a
 * name on demand.
 *
 * An address has up to 64 bits, more than a number holds exactly, so it comes as two halves of 32 bits, `hi`
 * and `lo`.
 */

const SPACE = 0x20;
const TAB = 0x09;
const ZERO = 0x30;
const NINE = 0x39;
const LOWER_X = 0x78;

/**
 * A position in a line that moves forwards. Every reading method returns whether it found what it was to
 * read.
 */
export class Scanner {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  end = 0;
  /** The last address read: its upper and its lower 32 bits. */
  hi = 0;
  lo = 0;
  /** The last number read. Beyond 2^53 it is rounded, which is far beyond what any size may be. */
  value = 0;

  /** Begins a new line. */
  line(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** The byte here, or −1 at the end. */
  peek(): number {
    return this.at < this.end ? this.bytes[this.at] : -1;
  }

  /** Whether nothing is left but spaces. */
  done(): boolean {
    this.spaces();
    return this.at >= this.end;
  }

  /** Skips spaces and tabs, if any. */
  spaces(): void {
    while (this.at < this.end && (this.bytes[this.at] === SPACE || this.bytes[this.at] === TAB)) this.at++;
  }

  /** Reads this text. */
  text(expected: string): boolean {
    const length = expected.length;
    if (this.at + length > this.end) return false;
    for (let index = 0; index < length; index++) {
      if (this.bytes[this.at + index] !== expected.charCodeAt(index)) return false;
    }
    this.at += length;
    return true;
  }

  /**
   * Whether this text occurs from here on, and before the next `stop` if there is one. If so, the position is
   * behind it; if not, where it was.
   */
  seek(expected: string, stop = ''): boolean {
    const from = this.at;
    const stopByte = stop === '' ? -1 : stop.charCodeAt(0);
    for (; this.at < this.end && this.bytes[this.at] !== stopByte; this.at++) {
      if (this.text(expected)) return true;
    }
    this.at = from;
    return false;
  }

  /** Reads an unsigned number, decimal or with `0x`, into `value`. */
  number(): boolean {
    if (this.bytes[this.at] === ZERO && this.at + 1 < this.end && this.bytes[this.at + 1] === LOWER_X) {
      if (!this.address()) return false;
      this.value = this.hi * 2 ** 32 + this.lo;
      return true;
    }
    const start = this.at;
    let value = 0;
    while (this.at < this.end) {
      const digit = this.bytes[this.at] - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      this.at++;
    }
    this.value = value;
    return this.at > start;
  }

  /**
   * Reads an address, `0x` and up to 16 hexadecimal digits, or one of the ways to write NULL, into `hi` and
   * `lo`.
   */
  address(): boolean {
    if (!this.text('0x')) return this.#null();
    const start = this.at;
    let hi = 0;
    let lo = 0;
    while (this.at < this.end) {
      const digit = hexDigit(this.bytes[this.at]);
      if (digit < 0) break;
      hi = (hi << 4) | (lo >>> 28);
      lo = (lo << 4) | digit;
      this.at++;
    }
    this.hi = hi >>> 0;
    this.lo = lo >>> 0;
    const digits = this.at - start;
    return digits > 0 && digits <= 16;
  }

  /** Reads a name of letters, digits and underscores. */
  name(): string {
    const start = this.at;
    while (this.at < this.end && isNameByte(this.bytes[this.at])) this.at++;
    return ascii(this.bytes, start, this.at);
  }

  /** Reads `(nil)`, `nil`, `NULL` or `0`. */
  #null(): boolean {
    this.hi = 0;
    this.lo = 0;
    if (this.text('(nil)') || this.text('nil') || this.text('NULL')) return true;
    return this.number() && this.value === 0;
  }
}

/** 0 … 15, or −1. */
function hexDigit(byte: number): number {
  if (byte >= ZERO && byte <= NINE) return byte - ZERO;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function isNameByte(byte: number): boolean {
  const letter = byte | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || (byte >= ZERO && byte <= NINE) || byte === 0x5f;
}

/** A piece of a line as a string; what is no printable ASCII shows as `?`. */
export function ascii(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let index = start; index < end; index++) {
    const byte = bytes[index];
    text += byte >= SPACE && byte < 0x7f ? String.fromCharCode(byte) : '?';
  }
  return text;
}
