import test from 'ava';
import { Bench } from '../../dist/kit/bench.js';
import { ArceosRandom, takeAt } from '../../dist/kit/random.js';
import { RegionMap } from '../../dist/kit/region-map.js';
import { RegionVector } from '../../dist/kit/region-vector.js';
import { Reference } from '../support/reference.js';

const bench = new Bench({ title: 'reference', algorithm: Reference, exportName: 'Reference', module: '' });

test('the random numbers are those of the ArceOS tests: 64 bits, shifted by 33', (t) => {
  const random = new ArceosRandom();
  let state = 2332n;
  for (let turn = 0; turn < 10_000; turn++) {
    state = (state * 6364136223846793005n + 1n) & (2n ** 64n - 1n);
    t.is(random.next(), Number(state >> 33n));
  }
  t.true(random.real() < 1);
});

test('shuffling keeps every item, taking one leaves the others', (t) => {
  const items = new ArceosRandom(5).shuffle(Array.from({ length: 100 }, (_, item) => item));
  t.notDeepEqual(items.slice(0, 5), [0, 1, 2, 3, 4]);
  t.deepEqual(
    items.toSorted((a, b) => a - b),
    Array.from({ length: 100 }, (_, item) => item),
  );
  const left = [1, 2, 3];
  t.is(takeAt(left, 0), 1);
  t.is(takeAt(left, 1), 2);
  t.deepEqual(left, [3]);
});

test('a vector in the region grows and sorts', (t) => {
  const heap = bench.small();
  const vector = new RegionVector(heap, 'u32');
  for (const value of [5, 3, 4_000_000_000, 1, 2]) vector.push(value);
  vector.sort();
  t.deepEqual(
    Array.from({ length: vector.length }, (_, index) => vector.at(index)),
    [1, 2, 3, 5, 4_000_000_000],
  );
  vector.free();
  t.is(heap.usedBytes(), 0);
});

test('a vector says so when there is no memory', (t) => {
  t.throws(() => new RegionVector(bench.small(), 'f64', 2 ** 20), { message: /NULL/ });
});

test('a map in the region keeps its keys in order', (t) => {
  const heap = bench.small();
  const map = new RegionMap(heap, new ArceosRandom());
  t.is(map.popFirst(), undefined);
  for (const [key, value] of [
    ['b', 1],
    ['a', 2],
    ['ab', 3],
    ['', 4],
    ['b', 5],
  ] as const) {
    map.set(key, value);
  }
  t.is(map.size, 4);
  t.deepEqual(
    [...map.entries()],
    [
      ['', 4],
      ['a', 2],
      ['ab', 3],
      ['b', 5],
    ],
  );
  t.deepEqual(map.popFirst(), ['', 4]);
  t.deepEqual(map.popFirst(), ['a', 2]);
  map.free();
  t.is(heap.usedBytes(), 0);
});
