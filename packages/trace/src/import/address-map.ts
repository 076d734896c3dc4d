/**
 * From the addresses of the recorded program to block numbers: open addressing with linear probing.
 *
 * ```
 *   slot     0            1            2            3
 *          ┌────┬────┬──┐┌────┬────┬──┐┌────┬────┬──┐┌────┬────┬──┐
 *          │ lo │ hi │id││ lo │ hi │id││ lo │ hi │id││ lo │ hi │id│ …   12 bytes a slot, at most half of them full
 *          └────┴────┴──┘└────┴────┴──┘└────┴────┴──┘└────┴────┴──┘
 * ```
 *
 * id 0 is an empty slot. A deletion moves later entries of the same run forwards instead of leaving a mark,
 * so a table that a program has filled and emptied a million times is as quick as a new one.
 */

const WORDS = 3;
const LO = 0;
const HI = 1;
const ID = 2;

/** A map from a 64-bit key in two halves to a number from 1 to 2^32 − 1. */
export class AddressMap {
  #slots: Uint32Array;
  #mask: number;
  #size = 0;

  constructor(capacity = 1024) {
    this.#slots = new Uint32Array(capacity * WORDS);
    this.#mask = capacity - 1;
  }

  get size(): number {
    return this.#size;
  }

  /** The number at this key, 0 when there is none. */
  get(hi: number, lo: number): number {
    return this.#slots[this.#find(hi, lo) * WORDS + ID];
  }

  /** Puts `id` (not 0) at this key. */
  set(hi: number, lo: number, id: number): void {
    const at = this.#find(hi, lo) * WORDS;
    if (this.#slots[at + ID] === 0) {
      this.#slots[at + LO] = lo;
      this.#slots[at + HI] = hi;
      this.#size++;
    }
    this.#slots[at + ID] = id;
    if (2 * this.#size > this.#mask) this.#grow();
  }

  /** Forgets this key. Returns the number that was there, 0 when there was none. */
  delete(hi: number, lo: number): number {
    const slots = this.#slots;
    let hole = this.#find(hi, lo);
    const id = slots[hole * WORDS + ID];
    if (id === 0) return 0;
    this.#size--;
    for (let slot = (hole + 1) & this.#mask; slots[slot * WORDS + ID] !== 0; slot = (slot + 1) & this.#mask) {
      const home = this.#home(slots[slot * WORDS + HI], slots[slot * WORDS + LO]);
      // An entry may move into the hole unless its home lies behind the hole: then a look-up would miss it
      // there.
      if (((slot - home) & this.#mask) < ((slot - hole) & this.#mask)) continue;
      slots.copyWithin(hole * WORDS, slot * WORDS, slot * WORDS + WORDS);
      hole = slot;
    }
    slots[hole * WORDS + ID] = 0;
    return id;
  }

  /** The slot that holds this key, or the empty one where it belongs. */
  #find(hi: number, lo: number): number {
    const slots = this.#slots;
    let slot = this.#home(hi, lo);
    for (;;) {
      const at = slot * WORDS;
      if (slots[at + ID] === 0 || (slots[at + LO] === lo && slots[at + HI] === hi)) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  /**
   * Addresses are multiples of 8 or 16, so their low bits say nothing: a multiplication spreads what is
   * above.
   */
  #home(hi: number, lo: number): number {
    const mixed = Math.imul(lo ^ Math.imul(hi, 0x85ebca6b), 0x9e3779b1);
    return (mixed ^ (mixed >>> 15)) & this.#mask;
  }

  #grow(): void {
    const old = this.#slots;
    this.#mask = 2 * this.#mask + 1;
    this.#slots = new Uint32Array((this.#mask + 1) * WORDS);
    for (let at = 0; at < old.length; at += WORDS) {
      if (old[at + ID] === 0) continue;
      const to = this.#find(old[at + HI], old[at + LO]) * WORDS;
      this.#slots[to + LO] = old[at + LO];
      this.#slots[to + HI] = old[at + HI];
      this.#slots[to + ID] = old[at + ID];
    }
  }
}
