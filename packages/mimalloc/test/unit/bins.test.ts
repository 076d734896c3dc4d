import test from 'ava';
import {
  BIN_COUNT,
  BIN_DIRECT_FIRST,
  BIN_FULL,
  BIN_HUGE,
  BIN_LARGEST,
  BIN_WORDS,
  binOf,
  DIRECT_COUNT,
  indexIn,
  SMALL_SIZE_MAX,
} from '../../dist/layout/bins.js';
import { goodSizeOf } from '../../dist/page/usable.js';
import { small } from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';

/** The largest request that a bin serves, in bytes. */
const LARGEST = 128 * 1024;
/** Words of the largest shared page: eight slices of 64 KiB. */
const PAGE_WORDS = (512 * 1024) / 4;

test('a block of every size up to 128 KiB wastes less than 16 bytes, or at most an eighth of itself', (t) => {
  let worst = 0;
  for (let size = 1; size <= LARGEST; size++) {
    const bytes = BIN_WORDS[binOf(size)] * 4;
    const waste = bytes - size;
    if (waste < 0 || (waste >= 16 && waste > bytes / 8)) t.fail(`${size} bytes get a block of ${bytes}`);
    if (waste >= 16) worst = Math.max(worst, waste / bytes);
  }
  t.log(`the worst is ${(worst * 100).toFixed(2)} %`);
  t.true(worst <= 1 / 9);
});

test('bins are monotonic: a larger request never gets a smaller bin, and every bin is reached', (t) => {
  const reached = new Set<number>();
  for (let size = 0, before = 1; size <= LARGEST; size++) {
    const bin = binOf(size);
    if (bin !== before && bin !== before + 1) t.fail(`bin ${before} is followed by ${bin} at ${size} bytes`);
    before = bin;
    reached.add(bin);
  }
  t.is(reached.size, BIN_LARGEST);
  t.is(binOf(0), 1);
  t.is(binOf(LARGEST), BIN_LARGEST);
});

test('the block size of a bin is a request of that bin, and one byte more is not', (t) => {
  for (let bin = 1; bin <= BIN_LARGEST; bin++) {
    t.is(binOf(BIN_WORDS[bin] * 4), bin);
    if (bin < BIN_LARGEST) t.is(binOf(BIN_WORDS[bin] * 4 + 1), bin + 1);
  }
});

test('blocks of 16 bytes and more are multiples of 16, and there is one bin of 8', (t) => {
  t.is(BIN_WORDS[1] * 4, 8);
  for (let bin = 2; bin <= BIN_LARGEST; bin++) t.is((BIN_WORDS[bin] * 4) % 16, 0, `bin ${bin}`);
});

test('the block sizes are those of the picture: multiples of 16, then eight for each doubling', (t) => {
  const bytes = Array.from(BIN_WORDS, (words) => words * 4);
  t.deepEqual(
    bytes.slice(0, 19),
    [0, 8, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288],
  );
  t.is(bytes[BIN_LARGEST], LARGEST);
  for (let power = 256; power < LARGEST; power *= 2) {
    const first = bytes.indexOf(power);
    for (let eighth = 1; eighth <= 8; eighth++) t.is(bytes[first + eighth], power + (eighth * power) / 8);
  }
});

test('the queues of single-block pages and of full pages are no size', (t) => {
  t.deepEqual([BIN_HUGE, BIN_FULL, BIN_COUNT], [BIN_LARGEST + 1, BIN_LARGEST + 2, BIN_LARGEST + 3]);
  t.is(BIN_WORDS[BIN_HUGE], 0);
  t.is(BIN_WORDS[BIN_FULL], 0);
});

test('the ranges of the direct table partition 0 … 128 granules', (t) => {
  t.is(DIRECT_COUNT, SMALL_SIZE_MAX / 8 + 1);
  let next = 0;
  for (let bin = 1; bin <= BIN_LARGEST; bin++) {
    const last = BIN_WORDS[bin] >>> 1;
    if (last >= DIRECT_COUNT) {
      t.is(next, DIRECT_COUNT, 'the table ends with a bin');
      break;
    }
    t.is(BIN_DIRECT_FIRST[bin], next, `bin ${bin}`);
    for (let granules = next; granules <= last; granules++) t.is(binOf(granules * 8), bin, `${granules}`);
    next = last + 1;
  }
});

test('indexIn is the whole quotient for every block size at every word of a page', (t) => {
  for (let bin = 1; bin <= BIN_LARGEST; bin++) {
    const words = BIN_WORDS[bin];
    // The quotient, kept by counting, so that it owes nothing to a division.
    let index = 0;
    let within = 0;
    for (let offset = 0; offset < PAGE_WORDS; offset++) {
      if (indexIn(offset, bin) !== index) {
        t.fail(
          `offset ${offset} in blocks of ${words} words is in block ${index}, not ${indexIn(offset, bin)}`,
        );
        return;
      }
      if (++within === words) {
        within = 0;
        index++;
      }
    }
    t.is(index, Math.floor(PAGE_WORDS / words));
  }
});

test('indexIn holds where the proof ends: at multiples of the block size, and one below, up to 2^29 words', (t) => {
  for (let bin = 1; bin <= BIN_LARGEST; bin++) {
    const words = BIN_WORDS[bin];
    const last = Math.floor(2 ** 29 / words) - 1;
    for (const index of [1, 2, 3, last >> 2, last >> 1, last - 1, last]) {
      t.is(indexIn(index * words, bin), index, `${words} words`);
      t.is(indexIn(index * words - 1, bin), index - 1, `${words} words`);
    }
  }
});

test('goodSize is the usable size of the block that a request gets', (t) => {
  const heap = small({ bytes: 1 << 24 });
  for (const size of [0, 1, 8, 9, 16, 100, 128, 129, 1000, 1024, 1025, 5000, 20_000, 100_000, 1_000_000]) {
    const block = heap.malloc(size);
    t.is(goodSizeOf(tldOf(heap), size), heap.usableSize(block), `${size}`);
    heap.free(block);
    heap.validate({ quiet: true });
  }
});
