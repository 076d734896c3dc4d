import { countBits } from '@shmalloc/allocator-api';
import test from 'ava';
import { findRun, highBits, lowBits } from '../../dist/segment/slices.js';
import { type Random, randomOf, seedOf } from '../support/harness.ts';

const ALL = Array.from({ length: 64 }, (_, bit) => bit);
const ALIGNS = [1, 2, 4, 8, 16, 32, 64];

/** 64 bits as an array. */
function bitsOf(low: number, high: number): boolean[] {
  return ALL.map((bit) => (((bit < 32 ? low : high) >>> (bit & 31)) & 1) === 1);
}

function wordOf(bits: readonly boolean[], from: number): number {
  return bits.slice(from, from + 32).reduce((word, bit, at) => (bit ? word | (1 << at) : word), 0);
}

/**
 * The first run of `count` set bits at a place that is `residue` modulo `align`, looked for one place after
 * the other.
 */
function naiveRun(bits: readonly boolean[], count: number, align: number, residue: number): number {
  for (let start = residue; start + count <= 64; start += align) {
    if (ALL.slice(start, start + count).every((bit) => bits[bit])) return start;
  }
  return -1;
}

/** A word that is dense, sparse, in runs, or anything. */
function randomWord(random: Random): number {
  const word = random(2 ** 32) | 0;
  switch (random(6)) {
    case 0:
      return word | random(2 ** 32) | random(2 ** 32);
    case 1:
      return word & random(2 ** 32);
    case 2:
      return -1 << random(32);
    case 3:
      return -1 >>> random(32);
    case 4:
      return random(2) === 0 ? -1 : 0;
    default:
      return word;
  }
}

test('lowBits and highBits are the two halves of every range', (t) => {
  for (let start = 0; start < 64; start++) {
    for (let count = 0; start + count <= 64; count++) {
      const bits = ALL.map((bit) => bit >= start && bit < start + count);
      const [low, high] = [lowBits(start, count), highBits(start, count)];
      if (low !== wordOf(bits, 0) || high !== wordOf(bits, 32)) {
        t.fail(`[${start}, ${start + count}) is ${low.toString(16)}, ${high.toString(16)}`);
      }
    }
  }
  t.pass();
});

test('countBits counts the bits of every half word, and of words at random', (t) => {
  const naive = (word: number): number => ALL.filter((bit) => bit < 32 && (word >>> bit) & 1).length;
  for (let half = 0; half < 65536; half++) {
    if (countBits(half) !== naive(half)) t.fail(`${half}`);
    if (countBits(half << 16) !== naive(half << 16)) t.fail(`${half} << 16`);
  }
  const random = randomOf(seedOf(t));
  for (let round = 0; round < 20_000; round++) {
    const word = randomWord(random);
    if (countBits(word) !== naive(word)) t.fail(`${word}`);
  }
  t.is(countBits(-1), 32);
});

test('findRun finds what a search one by one finds, for every count, alignment and residue', (t) => {
  const random = randomOf(seedOf(t));
  let found = 0;
  for (let round = 0; round < 400; round++) {
    const [low, high] = [randomWord(random), randomWord(random)];
    const bits = bitsOf(low, high);
    for (let count = 1; count <= 64; count += 1 + random(3)) {
      for (const align of ALIGNS) {
        const residue = random(align);
        const expected = naiveRun(bits, count, align, residue);
        const got = findRun(low, high, count, align, residue);
        if (got >= 0) found++;
        if (got !== expected) {
          t.fail(
            `${count} bits at ${residue} mod ${align} in ${high >>> 0}:${low >>> 0}: ${got}, not ${expected}`,
          );
          return;
        }
      }
    }
  }
  t.log(`${found} runs found`);
  t.true(found > 1000);
});

test('findRun finds a run of every length at every place, when it is the only one', (t) => {
  for (let start = 0; start < 64; start++) {
    for (let count = 1; start + count <= 64; count++) {
      const [low, high] = [lowBits(start, count), highBits(start, count)];
      if (findRun(low, high, count, 1, 0) !== start) t.fail(`${count} at ${start}`);
      if (count < 64 && findRun(low, high, count + 1, 1, 0) !== -1)
        t.fail(`${count + 1} in ${count} at ${start}`);
      for (const align of ALIGNS) {
        if (findRun(low, high, count, align, start % align) !== start)
          t.fail(`${count} at ${start} mod ${align}`);
        const other = (start + 1) % align;
        if (align > 1 && findRun(low, high, count, align, other) !== -1) t.fail(`${other} mod ${align}`);
      }
    }
  }
  t.pass();
});

test('slices that become free next to free ones are one run, across the border of the two words', (t) => {
  let [low, high] = [0, 0];
  for (const start of [28, 36, 32]) {
    low |= lowBits(start, 4);
    high |= highBits(start, 4);
  }
  t.is(findRun(low, high, 12, 1, 0), 28);
  t.is(findRun(low, high, 13, 1, 0), -1);
});
