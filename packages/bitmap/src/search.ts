/**
 * Finding a run of set bits, by plain loads: what is found is a guess that a claim confirms.
 *
 * ```
 *   short (up to 62 bits)     every word: a run inside it, or one that ends at its front
 *                             ┌──────────┬──────────┬──────────┐
 *                             │ ·1·1··11 │ 1111·1·· │ 11··1·1· │
 *                             └───────▲──┴──▲───────┴──────────┘   run: ones at the end of the last word + ones at this one's front
 *
 *   long (63 bits and more)   such a run has w = ⌊(count − 31) / 32⌋ whole words at least, so every w-th word is enough to look at
 *                             ┌──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┐
 *                             │  │  │▲ │  │  │▲ │  │  │▲ │  │  │▲ │     w = 3; only a probe that is all ones is looked around
 *                             └──┴──┴──┴──┴──┴──┴──┴──┴──┴──┴──┴──┘
 *
 *   aligned (by 32 and more)  the words at which a run may start, and no others
 * ```
 *
 * A search looks at the words `[from, end)` of the bitmap at `place` for `count` bits, the first at a
 * multiple of `align` when `base` is added: a bit is as aligned as the unit that it stands for. Numbers and
 * no objects, since there shall be no garbage on the way to a page.
 */

import { alignUp, maskOf, trailingZeros } from '@shmalloc/allocator-api';

const { clz32 } = Math;

type Words = Int32Array<SharedArrayBuffer>;

/** Bits at multiples of 1, 2, 4, 8, 16 within a word. */
const STRIDES = [-1, 0x55555555, 0x11111111, 0x01010101, 0x00010001];

/** How a run is sought. */
export function kindOf(count: number, align: number): 'short' | 'long' | 'aligned' {
  // Of the two that leave out words, the one that leaves out more.
  if (align >= 32 && align >>> 5 >= (count - 31) >> 5) return 'aligned';
  return count < 63 ? 'short' : 'long';
}

/**
 * A run of up to 62 bits with an alignment below 32.
 * @param hints - a bitmap that says which words may have bits, to pass over 32 words without any at once; 0
 *   for none
 * @returns its first bit, −1 when there is none
 */
export function findShort(
  words: Words,
  place: number,
  hints: number,
  from: number,
  end: number,
  count: number,
  align: number,
  base: number,
): number {
  const stride = STRIDES[31 - clz32(align)];
  let run = 0; // ones at the end of the word before
  for (let at = from; at < end; at++) {
    if (hints !== 0 && (at & 31) === 0 && words[hints + (at >>> 5)] === 0) {
      at += 31;
      run = 0;
      continue;
    }
    const word = words[place + at];
    if (word === 0) {
      run = 0;
      continue;
    }
    const front = word === -1 ? 32 : trailingZeros(~word);
    const first = alignUp(at * 32 - run + base, align) - base;
    if (first + count <= at * 32 + front) return first;
    if (count < 32) {
      // After each step bit i is set if and only if the `done` bits from i on were.
      let starts = word;
      for (let done = 1; done < count && starts !== 0; ) {
        const step = Math.min(done, count - done);
        starts &= starts >>> step;
        done += step;
      }
      starts &= stride;
      if (starts !== 0) return at * 32 + trailingZeros(starts);
    }
    run = word === -1 ? run + 32 : clz32(~word);
  }
  return -1;
}

/**
 * A run of at least 63 bits.
 * @returns its first bit, −1 when there is none
 */
export function findLong(
  words: Words,
  place: number,
  from: number,
  end: number,
  count: number,
  align: number,
  base: number,
): number {
  const step = (count - 31) >> 5;
  for (let probe = from + step - 1; probe < end; ) {
    if (words[place + probe] !== -1) {
      probe += step;
      continue;
    }
    // At most step − 1 words back: the one before was a probe, or ended a run.
    let left = probe;
    while (left > from && words[place + left - 1] === -1) left--;
    let start = left * 32;
    if (left > from) start -= clz32(~words[place + left - 1]);
    const first = alignUp(start + base, align) - base;
    let right = probe + 1;
    while (right < end && right * 32 < first + count && words[place + right] === -1) right++;
    let stop = right * 32;
    if (stop < first + count && right < end) {
      const word = words[place + right];
      stop += word === -1 ? 32 : trailingZeros(~word); // whole by now when another thread has been quick
    }
    if (first + count <= stop) return first;
    probe = right + step;
  }
  return -1;
}

/**
 * A run that starts at a multiple of 32 or more.
 * @returns its first bit, −1 when there is none
 */
export function findAligned(
  words: Words,
  place: number,
  from: number,
  end: number,
  count: number,
  align: number,
  base: number,
): number {
  let first = alignUp(from * 32 + base, align) - base;
  for (; first + count <= end * 32; first += align) {
    let at = place + first / 32;
    let rest = count;
    for (; rest >= 32 && words[at] === -1; rest -= 32) at++;
    if (rest === 0) return first;
    const mask = maskOf(0, rest);
    if (rest < 32 && (words[at] & mask) === mask) return first;
  }
  return -1;
}
