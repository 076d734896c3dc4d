/** A table of blocks that pass between threads: a slot is taken and filled by one thread at a time. */

const EMPTY = 0;
const FULL = 1;
const BUSY = 2;
const WORDS = 4;

export interface Held {
  address: number;
  size: number;
}

export class Slots {
  private readonly words: Int32Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer);
  }

  static bytesFor(slots: number): number {
    return slots * WORDS * 4;
  }

  get length(): number {
    return this.words.length / WORDS;
  }

  /** Takes what is in a slot. */
  take(slot: number): Held | null {
    const at = slot * WORDS;
    if (Atomics.compareExchange(this.words, at, FULL, BUSY) !== FULL) return null;
    const held = { address: this.words[at + 1] >>> 0, size: this.words[at + 2] };
    Atomics.store(this.words, at, EMPTY);
    return held;
  }

  /** Puts a block into an empty slot. */
  put(slot: number, { address, size }: Held): boolean {
    const at = slot * WORDS;
    if (Atomics.compareExchange(this.words, at, EMPTY, BUSY) !== EMPTY) return false;
    this.words[at + 1] = address;
    this.words[at + 2] = size;
    Atomics.store(this.words, at, FULL);
    return true;
  }
}
