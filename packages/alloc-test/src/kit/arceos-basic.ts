/**
 * The ArceOS basic_test: vectors and an ordered map that live in the region and hold real contents.
 */

import { type Bench, type Check, expect, expectEmpty } from './bench.ts';
import { ArceosRandom } from './random.ts';
import { RegionMap } from './region-map.ts';
import { RegionVector } from './region-vector.ts';

/** Every part of basic_test. */
export function basicChecks({ amounts }: Bench): Check[] {
  const [count, first, second] = amounts.replaced;
  const vectors = amounts.vectors.map(([many, length]) => `${many} × ${length}`).join(' and ');
  return [
    { title: `basic_test: ${amounts.sorted} numbers pushed and sorted`, run: sortTest },
    { title: `basic_test: ${vectors} numbers in vectors, freed in shuffled order`, run: vectorTest },
    { title: `basic_test: ordered map, ${amounts.mapOperations} operations`, run: mapTest },
    {
      title: `basic_test: ${count} vectors, every second of ${first} replaced by one of ${second}`,
      run: replaceTest,
    },
  ];
}

/** One vector grows by `realloc` from nothing, and is sorted where it lies. */
export function sortTest(bench: Bench): void {
  const watched = bench.watch(bench.big());
  const before = watched.heap.usedBytes();
  const random = new ArceosRandom();
  const vector = new RegionVector(watched.heap, 'u32');
  let sum = 0;
  for (let index = 0; index < bench.amounts.sorted; index++) {
    const value = random.next();
    sum += value;
    vector.push(value);
  }
  vector.sort();
  let last = 0;
  for (let index = 0; index < vector.length; index++) {
    const value = vector.at(index);
    expect(value >= last, `sorted number ${index} is below the one before`);
    sum -= last = value;
  }
  expect(sum === 0, 'the sorted numbers are not those that were pushed');
  vector.free();
  expectEmpty(watched, before);
}

/** Many vectors grow one after the other, and go in random order. */
export function vectorTest(bench: Bench): void {
  const watched = bench.watch(bench.big());
  const before = watched.heap.usedBytes();
  const random = new ArceosRandom();
  for (const [count, length] of bench.amounts.vectors) {
    const vectors = Array.from({ length: count }, (_, number) =>
      filled(new RegionVector(watched.heap, 'f64'), length, number),
    );
    for (const [vector, number] of random.shuffle(vectors.map((each, number) => [each, number] as const))) {
      expectFilled(vector, length, number);
      vector.free();
    }
  }
  expectEmpty(watched, before);
}

/**
 * One operation in five takes the first entry out, the others set random keys; a map of JavaScript's tells
 * what must be there.
 */
export function mapTest(bench: Bench): void {
  const watched = bench.watch(bench.big());
  const before = watched.heap.usedBytes();
  const random = new ArceosRandom();
  const map = new RegionMap(watched.heap, random);
  const model = new Map<string, number>();
  for (let step = 0; step < bench.amounts.mapOperations; step++) {
    if (random.below(5) === 0) {
      const entry = map.popFirst();
      expect(
        (entry === undefined) === (model.size === 0),
        'the map is empty and should not be, or the reverse',
      );
      if (entry === undefined) continue;
      expect(model.get(entry[0]) === entry[1], `the map gave ${entry}, which was never set`);
      model.delete(entry[0]);
    } else {
      const key = String(random.next());
      const value = random.next();
      map.set(key, value);
      model.set(key, value);
    }
  }
  expect(map.size === model.size, `the map holds ${map.size} entries instead of ${model.size}`);
  let last = '';
  for (const [key, value] of map.entries()) {
    expect(
      key > last && model.get(key) === value,
      `the map's entry ${key} is out of order or has another value`,
    );
    last = key;
  }
  map.free();
  expectEmpty(watched, before);
}

/**
 * Vectors of one length, every second of which gives way to a longer one: holes that the newcomers do not
 * fit.
 */
export function replaceTest(bench: Bench): void {
  const watched = bench.watch(bench.big());
  const before = watched.heap.usedBytes();
  const [count, first, second] = bench.amounts.replaced;
  const fresh = (length: number, number: number): RegionVector =>
    filled(new RegionVector(watched.heap, 'f64', length), length, number);
  const vectors = Array.from({ length: count }, (_, number) => fresh(first, number));
  for (let number = 1; number < count; number += 2) vectors[number].free();
  for (let number = 1; number < count; number += 2) vectors[number] = fresh(second, number);
  for (const [number, vector] of vectors.entries()) {
    expectFilled(vector, number % 2 === 1 ? second : first, number);
    vector.free();
  }
  expectEmpty(watched, before);
}

function filled(vector: RegionVector, length: number, number: number): RegionVector {
  for (let index = 0; index < length; index++) vector.push(number * length + index);
  return vector;
}

function expectFilled(vector: RegionVector, length: number, number: number): void {
  expect(vector.length === length, `vector ${number} has ${vector.length} elements instead of ${length}`);
  for (let index = 0; index < length; index++) {
    const value = vector.at(index);
    expect(value === number * length + index, `element ${index} of vector ${number} is ${value}`);
  }
}
