import test from 'ava';
import { EXACT_SIZES, LIST_COUNT, mapCeil, mapFloor, SECOND_COUNT } from '../../dist/mapping.js';

const GRANULE = 4;
const LARGEST = 2 ** 30 - GRANULE;

/**
 * Every size up to 2^16 words, then those around each range's edges up to the largest block of a 4 GiB
 * region.
 */
function* sizes(): Generator<number> {
  for (let size = GRANULE; size < 2 ** 16 - GRANULE; size += GRANULE) yield size;
  for (let bit = 16; bit < 30; bit++) {
    for (let range = 0; range < SECOND_COUNT; range++) {
      const edge = 2 ** bit + range * (2 ** bit / SECOND_COUNT);
      for (const size of [edge - GRANULE, edge, edge + GRANULE]) if (size <= LARGEST) yield size;
    }
  }
  yield LARGEST;
}

test('every size has a list, larger sizes never an earlier one', (t) => {
  let last = 0;
  for (const size of sizes()) {
    const list = mapFloor(size);
    if (list < last || list >= LIST_COUNT) t.fail(`size ${size} maps to list ${list} after ${last}`);
    last = list;
  }
  t.is(last, LIST_COUNT - 1);
});

test('map_ceil names the first list in which every block is large enough', (t) => {
  /** The smallest size in each list, from map_floor alone. */
  const smallest: number[] = [];
  for (const size of sizes()) smallest[mapFloor(size)] ??= size;
  for (const size of sizes()) {
    const list = mapCeil(size);
    if (list < LIST_COUNT && smallest[list] < size)
      t.fail(`list ${list} for ${size} holds blocks of ${smallest[list]}`);
    if (smallest[list - 1] >= size) t.fail(`list ${list - 1} would do for ${size} already`);
  }
  t.pass();
});

test('a good fit wastes at most 1/32', (t) => {
  const smallest: number[] = [];
  for (const size of sizes()) smallest[mapFloor(size)] ??= size;
  let worst = 0;
  for (const size of sizes()) {
    const list = mapCeil(size);
    if (list < LIST_COUNT) worst = Math.max(worst, smallest[list] / size - 1);
  }
  t.true(worst <= 1 / 32, `${worst}`);
  t.true(worst > 1 / 40);
});

test('below EXACT_SIZES a list holds one size, and its number is the size in granules', (t) => {
  for (let size = GRANULE; size < EXACT_SIZES; size += GRANULE) {
    t.is(mapFloor(size), size / GRANULE);
    t.is(mapCeil(size), size / GRANULE);
  }
  t.is(mapFloor(EXACT_SIZES), mapFloor(EXACT_SIZES + GRANULE));
});
