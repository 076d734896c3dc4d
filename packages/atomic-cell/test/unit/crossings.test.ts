/** What each operation does, one thread at a time, in both implementations. */

import { type MemorySource, SharedMemory } from '@shmalloc/allocator-api';
import { type Crossings, crossingsFor } from '@shmalloc/atomic-cell';
import test from 'ava';
import { REAL } from '../support/crossings-under-test.ts';
import { BITMAP } from '../support/places.ts';

const LIST = 16;
const SEED = Number(process.env.SEED ?? Date.now() >>> 0);

/** The blocks of a taken list, in order. */
function walk(crossings: Crossings, first: number): number[] {
  const blocks: number[] = [];
  for (let block = first; block !== 0; block = crossings.load(block)) blocks.push(block);
  return blocks;
}

for (const { kind, backing } of REAL) {
  const name = `${kind}, ${backing}`;
  const make = (bytes = 65536): { memory: SharedMemory; crossings: Crossings } => {
    const memory = SharedMemory.create({ bytes, backing });
    return { memory, crossings: crossingsFor(memory, kind) };
  };

  test(`a word is loaded, stored, and claimed by who knows it (${name})`, (t) => {
    const { memory, crossings } = make();
    t.is(crossings.kind, kind);
    crossings.store(LIST, -7);
    t.is(crossings.load(LIST), -7);
    t.false(crossings.claim(LIST, 7, 8));
    t.is(memory.i32[LIST], -7);
    t.true(crossings.claim(LIST, -7, 8));
    t.is(memory.i32[LIST], 8);
    t.true(crossings.claim(LIST, 8, 8));
  });

  test(`bits are set and cleared, and the word before is told (${name})`, (t) => {
    const { memory, crossings } = make();
    t.is(crossings.setBits(LIST, 0b1010), 0);
    t.is(crossings.setBits(LIST, 0b0110), 0b1010);
    t.is(crossings.setBits(LIST, 1 << 31), 0b1110);
    t.is(memory.u32[LIST], 0x8000_000e);
    t.is(crossings.clearBits(LIST, 0b0111), -(2 ** 31) + 0b1110);
    t.is(crossings.clearBits(LIST, 1 << 31), -(2 ** 31) + 0b1000);
    t.is(memory.i32[LIST], 0b1000);
    t.is(memory.i32[LIST - 1] | memory.i32[LIST + 1], 0, 'the neighbours are as they were');
  });

  test(`what was pushed last is taken first, and a take empties the list (${name})`, (t) => {
    const { memory, crossings } = make();
    memory.u8.fill(0xab, 1024, 4096);
    t.is(crossings.takeAll(LIST), 0);
    for (const block of [256, 1022, 512]) crossings.push(LIST, block);
    t.is(memory.i32[LIST], 512);
    t.deepEqual(walk(crossings, crossings.takeAll(LIST)), [512, 1022, 256]);
    t.is(memory.i32[LIST], 0);
    t.is(crossings.takeAll(LIST), 0);
    for (const block of [256, 1022, 512]) memory.u32[block] = 0xabababab;
    t.true(
      memory.u8.subarray(1024, 4096).every((byte) => byte === 0xab),
      'a link takes a block’s first word and nothing else',
    );
  });

  test(`a mark turns one block away, and the blocks before and after it go in (${name})`, (t) => {
    const { memory, crossings } = make();
    t.true(crossings.pushUnlessMarked(LIST, 256));
    t.true(crossings.pushUnlessMarked(LIST, 258));
    crossings.mark(LIST);
    t.is(memory.i32[LIST], 259);
    memory.i32[260] = 77;
    t.false(crossings.pushUnlessMarked(LIST, 260));
    t.is(memory.i32[260], 77, 'a block that was turned away is as it was');
    t.is(memory.i32[LIST], 258, 'and the list too, without the mark');
    t.true(crossings.pushUnlessMarked(LIST, 262));
    t.deepEqual(walk(crossings, crossings.takeAllMarked(LIST)), [262, 258, 256]);
  });

  test(`a take leaves the mark where it is (${name})`, (t) => {
    const { memory, crossings } = make();
    t.is(crossings.takeAllMarked(LIST), 0);
    t.is(memory.i32[LIST], 0);
    crossings.pushUnlessMarked(LIST, 256);
    crossings.pushUnlessMarked(LIST, 258);
    crossings.mark(LIST);
    t.deepEqual(walk(crossings, crossings.takeAllMarked(LIST)), [258, 256]);
    t.is(memory.i32[LIST], 1);
    t.is(crossings.takeAllMarked(LIST), 0);
    t.is(memory.i32[LIST], 1);
    t.false(crossings.pushUnlessMarked(LIST, 258), 'an empty list can be marked as well');
    t.is(memory.i32[LIST], 0);
    crossings.mark(LIST);
    crossings.unmark(LIST);
    t.true(crossings.pushUnlessMarked(LIST, 258), 'a mark that was taken away turns nobody away');
    crossings.mark(LIST);
    crossings.unmark(LIST);
    t.is(memory.i32[LIST], 258, 'mark and unmark leave the blocks');
  });

  test(`claimRun finds the first run that is long enough (${name})`, (t) => {
    const { memory, crossings } = make();
    t.log(`SEED=${SEED}`);
    let state = SEED | 1;
    const below = (bound: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      return (state >>> 8) % bound;
    };
    const place = BITMAP / 4;
    let [found, across] = [0, 0];
    for (let round = 0; round < 3000; round++) {
      const words = 1 + below(5);
      const length = words * 32;
      // Pieces of ones and zeros, as a string of bits from bit 0 on: the reference works on that.
      let bits = '';
      while (bits.length < length) bits += String(below(2)).repeat(1 + below(below(3) === 0 ? 100 : 8));
      bits = bits.slice(0, length);
      const inWords = (text: string): number[] =>
        Array.from({ length: words }, (_, nth) =>
          [...text.slice(nth * 32, nth * 32 + 32)].reduce((word, bit, at) => word | (Number(bit) << at), 0),
        );
      // Ones all around: they must not be taken for the bitmap's.
      memory.i32.fill(-1, place - 1, place + 7).set(inWords(bits), place);
      const count = 1 + below(below(3) === 0 ? length + 2 : 12);
      const expected = bits.indexOf('1'.repeat(count));
      t.is(crossings.claimRun(place, words, count), expected, `${count} of ${bits}`);
      if (expected >= 0) {
        found++;
        if (expected >>> 5 !== (expected + count - 1) >>> 5) across++;
        t.false(crossings.claimRunAt(place, expected, count));
        const claimed = bits.slice(0, expected) + '0'.repeat(count) + bits.slice(expected + count);
        t.deepEqual([...memory.i32.subarray(place, place + words)], inWords(claimed));
        crossings.releaseRun(place, expected, count);
      }
      t.deepEqual([...memory.i32.subarray(place, place + words)], inWords(bits));
      t.is(memory.i32[place - 1] & memory.i32[place + words], -1);
    }
    t.log(`${found} runs, ${across} of them across words`);
    t.true(found > 500 && across > 100);
  });

  test(`a run is all or nothing: one bit that is missing, and every bit is as it was (${name})`, (t) => {
    const { memory, crossings } = make();
    const place = BITMAP / 4;
    for (const missing of [0, 1, 30, 31, 32, 33, 63, 64, 95, 96, 127]) {
      memory.i32.fill(-1, place, place + 4);
      crossings.clearBits(place + (missing >>> 5), 1 << (missing & 31));
      const before = [...memory.i32.subarray(place, place + 4)];
      t.false(crossings.claimRunAt(place, 0, 128));
      t.deepEqual([...memory.i32.subarray(place, place + 4)], before);
      t.true(crossings.claimRunAt(place, 0, missing), 'what is below it can be had, were it none');
      t.true(crossings.claimRunAt(place, missing + 1, 127 - missing), 'and what is above');
      t.deepEqual([...memory.i32.subarray(place, place + 4)], [0, 0, 0, 0]);
    }
  });

  test(`the first and the last words of a 4 GiB region (${name})`, (t) => {
    const { memory, crossings } = make(2 ** 32);
    const last = 2 ** 30 - 1;
    for (const place of [last, 2 ** 29, 2 ** 29 - 1]) {
      const blocks = [256, 2 ** 29 - 4, 2 ** 29 + 4, last - 1, last - 3];
      for (const block of blocks) crossings.push(place, block);
      t.is(memory.i32[place], last - 3);
      t.deepEqual(walk(crossings, crossings.takeAll(place)), blocks.toReversed());
      crossings.setBits(place, 1);
      t.false(crossings.pushUnlessMarked(place, last - 1));
      t.true(crossings.pushUnlessMarked(place, last - 1));
      crossings.setBits(place, 1);
      t.is(crossings.takeAllMarked(place), last - 1);
      t.is(crossings.clearBits(place, 1), 1);
      t.true(crossings.claim(place, 0, -1));
      crossings.store(place, 0);
    }
    const bitmap = last - 2;
    crossings.releaseRun(bitmap, 0, 96);
    t.is(memory.i32[last], -1);
    t.is(crossings.claimRun(bitmap, 3, 96), 0);
    t.is(crossings.claimRun(bitmap, 3, 1), -1);
    crossings.releaseRun(bitmap, 95, 1);
    t.is(memory.u32[last], 2 ** 31);
    t.true(crossings.claimRunAt(bitmap, 95, 1));
    t.is(memory.i32[0] | memory.i32[1], 0, 'no address has gone around');
  });

  test(`memory that grows is there at once, whoever has made it grow (${name})`, (t) => {
    const ours = SharedMemory.create({ bytes: 65536, maxBytes: 16 * 65536, backing });
    // Each operation is the first one to come to the new memory, where another view has made the last old
    // word and the first new one ones.
    const uses: readonly [unknown, (crossings: Crossings, word: number) => unknown][] = [
      [-1, (crossings, word) => crossings.load(word)],
      [undefined, (crossings, word) => crossings.push(LIST, word)],
      [undefined, (crossings, word) => crossings.push(word, LIST)],
      [true, (crossings, word) => crossings.pushUnlessMarked(LIST, word)],
      [false, (crossings, word) => crossings.pushUnlessMarked(word, LIST)],
      [0, (crossings, word) => crossings.claimRun(word - 1, 2, 64)],
      [true, (crossings, word) => crossings.claimRunAt(word - 1, 30, 4)],
      [undefined, (crossings, word) => crossings.releaseRun(word - 1, 30, 4)],
    ];
    for (const [expected, use] of uses) {
      const stale = SharedMemory.from(ours.source);
      const word = ours.grow(65536) / 4;
      ours.i32[word - 1] = ours.i32[word] = -1;
      const crossings = crossingsFor(stale, kind);
      t.true(stale.byteLength < ours.byteLength);
      t.is(use(crossings, word), expected);
      ours.i32[word - 1] = ours.i32[word] = ours.i32[LIST] = 0;
    }
  });

  test(`a word outside the memory is an error, and the list stays as it was (${name})`, (t) => {
    const { memory, crossings } = make();
    const outside = { instanceOf: kind === 'js' ? RangeError : WebAssembly.RuntimeError };
    crossings.push(LIST, 256);
    for (const word of [65536 / 4, 2 ** 29, 2 ** 30 - 1]) {
      t.throws(() => crossings.push(LIST, word), outside);
      t.throws(() => crossings.pushUnlessMarked(LIST, word), outside);
      t.throws(() => crossings.push(word, 258), outside);
      t.throws(() => crossings.takeAll(word), outside);
      t.throws(() => crossings.takeAllMarked(word), outside);
      t.throws(() => crossings.load(word), outside);
      t.throws(() => crossings.store(word, 1), outside);
      t.throws(() => crossings.claim(word, 0, 1), outside);
      t.throws(() => crossings.setBits(word, 1), outside);
      t.throws(() => crossings.clearBits(word, 1), outside);
      t.throws(() => crossings.claimRun(word, 1, 1), outside);
      t.throws(() => crossings.claimRunAt(word, 0, 1), outside);
      t.throws(() => crossings.releaseRun(word, 0, 1), outside);
    }
    t.deepEqual(walk(crossings, crossings.takeAll(LIST)), [256]);
    t.is(memory.i32[258], 0);
  });
}

test('two heaps over one memory have the same crossings, and memories of their own have their own', (t) => {
  const memory = SharedMemory.create({ bytes: 65536, backing: 'wasm' });
  const other = SharedMemory.create({ bytes: 65536, backing: 'wasm' });
  t.is(crossingsFor(memory), crossingsFor(SharedMemory.from(memory.source)));
  t.not(crossingsFor(memory), crossingsFor(other));
  crossingsFor(memory).store(LIST, 1);
  crossingsFor(other).store(LIST, 2);
  t.deepEqual([memory.i32[LIST], other.i32[LIST]], [1, 2]);
});

test('a region in a part of the memory: words count from the memory’s start', (t) => {
  const source: MemorySource = SharedMemory.create({ bytes: 65536 }).source;
  const part = SharedMemory.from(source, 4096, 8192);
  for (const kind of ['wasm', 'js'] as const) {
    crossingsFor(part, kind).store(1500, 5);
    t.is(part.i32[1500], 5);
    part.i32[1500] = 0;
  }
});

test.serial(
  'a take from an empty list writes nothing, marked or not, so that the cache line stays with the pushers',
  (t) => {
    const memory = SharedMemory.create({ bytes: 65536 });
    const crossings = crossingsFor(memory, 'js'); // in WebAssembly there is nothing to count
    const { and, exchange } = Atomics;
    let writes = 0;
    const counted =
      <A extends unknown[], R>(operation: (...args: A) => R) =>
      (...args: A): R => {
        writes++;
        return operation(...args);
      };
    Object.assign(Atomics, { and: counted(and), exchange: counted(exchange) });
    try {
      t.is(crossings.takeAll(LIST), 0);
      t.is(crossings.takeAllMarked(LIST), 0);
      memory.i32[LIST] = 1;
      t.is(crossings.takeAllMarked(LIST), 0);
      t.is(writes, 0);
      crossings.pushUnlessMarked(LIST, 256); // takes the mark away
      t.is(writes, 1);
      crossings.push(LIST, 256);
      t.is(crossings.takeAll(LIST), 256);
      t.is(writes, 2);
    } finally {
      Object.assign(Atomics, { and, exchange });
    }
  },
);
