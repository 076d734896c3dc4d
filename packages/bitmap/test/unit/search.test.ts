import { countBits, maskOf, trailingZeros } from '@shmalloc/allocator-api';
import test from 'ava';
import { findAligned, findLong, findShort, kindOf } from '../../dist/search.js';
import { randomOf, seedOf } from '../support/tools.js';

const WORDS = 64;
const BITS = WORDS * 32;

/** The first run in words `[from, end)`, by looking at every bit. */
function naive(
  bits: Uint8Array,
  from: number,
  end: number,
  count: number,
  align: number,
  base: number,
): number {
  for (let first = from * 32; first + count <= end * 32; first++) {
    if ((first + base) % align !== 0) continue;
    let length = 0;
    while (length < count && bits[first + length] === 1) length++;
    if (length === count) return first;
  }
  return -1;
}

/** A bitmap with runs of every length, dense and sparse; bit by bit as well. */
function randomMap(random: (n: number) => number): {
  bits: Uint8Array;
  words: Int32Array<SharedArrayBuffer>;
} {
  const bits = new Uint8Array(BITS);
  const longest = 2 ** (1 + random(9));
  const gap = 1 + random(2 ** random(6));
  for (let at = random(40); at < BITS; ) {
    const length = 1 + random(longest);
    bits.fill(1, at, at + length);
    at += length + 1 + random(gap);
  }
  const words = new Int32Array(new SharedArrayBuffer((1 + WORDS + 2) * 4));
  for (let bit = 0; bit < BITS; bit++) if (bits[bit] === 1) words[1 + (bit >>> 5)] |= 1 << bit;
  return { bits, words };
}

test('each search finds the first run there is, and none where there is none', (t) => {
  const random = randomOf(seedOf(t));
  const found = { short: 0, long: 0, aligned: 0, none: 0 };
  for (let turn = 0; turn < 6000; turn++) {
    const { bits, words } = randomMap(random);
    const [from, end] = [random(WORDS / 2), WORDS - random(WORDS / 2)];
    const base = random(8) * 32;
    const count = 1 + random(2 ** (1 + random(9)));
    const align = 2 ** random(9);
    const kind = kindOf(count, align);
    const first =
      kind === 'short'
        ? findShort(words, 1, 0, from, end, count, align, base)
        : kind === 'long'
          ? findLong(words, 1, from, end, count, align, base)
          : findAligned(words, 1, from, end, count, align, base);
    const expected = naive(bits, from, end, count, align, base);
    if (first !== expected)
      return t.fail(
        `${kind}: ${count} by ${align}, base ${base}, words [${from}, ${end}): ${first}, not ${expected}`,
      );
    found[first < 0 ? 'none' : kind]++;
  }
  t.log(found);
  for (const [kind, times] of Object.entries(found)) t.true(times > 100, `${kind}: only ${times} times`);
});

test('a short search passes over 32 words whose hint is 0', (t) => {
  const words = new Int32Array(new SharedArrayBuffer(4 * (3 + 64)));
  const [place, hints] = [3, 1];
  words[place + 5] = -1;
  words[place + 40] = -1;
  words[hints + 1] = 1 << 8;
  t.is(findShort(words, place, hints, 0, 64, 7, 1, 0), 40 * 32);
  t.is(findShort(words, place, 0, 0, 64, 7, 1, 0), 5 * 32);
});

test('a long search looks at few words: one for each whole word that the run must have', (t) => {
  let looks = 0;
  const words = new Proxy(new Int32Array(new SharedArrayBuffer(4 * 32768)), {
    get: (target, key) => {
      looks++;
      return target[key as unknown as number];
    },
  });
  t.is(findLong(words, 0, 0, 32768, 512, 1, 0), -1);
  t.is(looks, Math.floor(32768 / 15));
});

test('bits are counted, masked and found', (t) => {
  t.is(countBits(0), 0);
  t.is(countBits(-1), 32);
  t.is(countBits(0x80000001 | 0), 2);
  t.is(maskOf(0, 32), -1);
  t.is(maskOf(4, 2), 0x30);
  t.is(maskOf(30, 40), 0xc0000000 | 0);
  t.is(trailingZeros(1 << 31), 31);
});
