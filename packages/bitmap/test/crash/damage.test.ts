/**
 * Damage: whatever stands in header and maps, every call comes back, with an answer or with an AllocError.
 * The bound is counted in operations, not in time: crossings that are asked more often than any walk over the
 * maps needs fail the test.
 */

import { AllocError, SharedMemory } from '@shmalloc/allocator-api';
import { crossingsFor } from '@shmalloc/atomic-cell';
import { BitmapIds, BitmapPages } from '@shmalloc/bitmap';
import test from 'ava';
import { Interrupted, MAPS, PAGE, RETREATS, randomOf, refused, seedOf } from '../support/tools.js';

const MIB = 2 ** 20;

/** Words that hurt: signs, neighbours, indices of everything, all ones. */
const ADVERSARIAL = [
  0, 1, -1, 2, 7, 31, 32, 63, 64, 255, 256, 4096, 0x7fffffff, -0x80000000, 0x55555555, 45, 35,
];

/**
 * How many atomic operations a call may take on maps of a few hundred words: a few walks over all of them.
 */
const BOUND = 20_000;

class Endless extends Error {}

type Call<T> = readonly [name: string, call: (map: T, random: (n: number) => number) => unknown];

const PAGE_CALLS: readonly Call<BitmapPages>[] = [
  ['allocPages of one', (map) => map.allocPages(1, PAGE)],
  ['allocPages of a run', (map, random) => map.allocPages(1 + random(40), PAGE)],
  ['allocPages of a long run', (map, random) => map.allocPages(63 + random(400), PAGE)],
  ['allocPages, aligned', (map, random) => map.allocPages(1 + random(70), PAGE * 2 ** random(8))],
  ['allocPagesAt', (map, random) => map.allocPagesAt(random(1024) * PAGE, 1 + random(80), PAGE)],
  ['deallocPages', (map, random) => map.deallocPages(random(1024) * PAGE, 1 + random(80))],
  ['deallocPages of one', (map, random) => map.deallocPages(random(1024) * PAGE, 1)],
  ['isAllocated', (map, random) => map.isAllocated(random(1 << 22))],
  ['totalPages', (map) => map.totalPages() + map.usedPages() + map.availablePages()],
  ['stats', (map) => map.stats()],
  ['validate', (map) => map.validate()],
  ['validate, quiet', (map) => map.validate({ quiet: true })],
  ['addMemory', (map, random) => map.addMemory(random(1024) * PAGE, (1 + random(64)) * PAGE)],
  [
    'attach',
    (map, random) => BitmapPages.attach(map.share(), { crossings: 'js' }).allocPages(1 + random(9), PAGE),
  ],
  ['repair', (map) => map.repair()],
  ['init', (map) => map.init(2 * MIB, MIB)],
];

const ID_CALLS: readonly Call<BitmapIds>[] = [
  ['allocId of one', (map) => map.allocId(1, 1)],
  ['allocId of a run', (map, random) => map.allocId(1 + random(200), 2 ** random(7))],
  ['allocFixedId', (map, random) => map.allocFixedId(random(5000))],
  ['deallocId', (map, random) => map.deallocId(random(5000), 1 + random(80))],
  ['isAllocated', (map, random) => map.isAllocated(random(5000))],
  ['size', (map) => map.size() + map.used() + map.available()],
  ['stats', (map) => map.stats()],
  ['validate', (map) => map.validate()],
  ['validate, quiet', (map) => map.validate({ quiet: true })],
  ['addMemory', (map, random) => map.addMemory(random(5000), 1 + random(64))],
  ['attach', (map) => BitmapIds.attach(map.share(), { crossings: 'js' }).allocId(1, 1)],
  ['repair', (map) => map.repair()],
  ['init', (map) => map.init(7, 4000)],
];

/** Damages one or some words of the state, calls everything, and demands that each call comes back. */
function damaged<T extends BitmapPages | BitmapIds>(
  random: (n: number) => number,
  { map, steps }: { map: T; steps: Interrupted },
  calls: readonly Call<T>[],
): string[] {
  const faults: string[] = [];
  const { i32 } = map.memory;
  const header = map.share().start / 4;
  const words = map.stats().stateBytes / 4;
  const done: string[] = [];
  for (let times = 1 + random(6); times > 0; times--) {
    // Half of them in the header: few words, each of which may matter.
    const word = random(2) === 0 ? random(MAPS) : random(words);
    const value = random(3) === 0 ? random(2 ** 32) | 0 : ADVERSARIAL[random(ADVERSARIAL.length)];
    i32[header + word] = value;
    done.push(`word ${word} = ${value}`);
  }
  for (let turn = 0; turn < 40; turn++) {
    const [name, call] = calls[random(calls.length)];
    steps.operations = 0;
    steps.before = (nth) => {
      if (nth > BOUND) throw new Endless();
    };
    try {
      call(map, random);
    } catch (error) {
      if (!(error instanceof AllocError)) faults.push(`${done.join(', ')}: ${name} threw ${error}`);
    }
  }
  return faults;
}

/** An allocator in a life that has left traces, with crossings that count. */
function used<T extends BitmapPages | BitmapIds>(
  make: (memory: SharedMemory) => T,
  attach: (map: T, steps: Interrupted) => T,
): { map: T; steps: Interrupted } {
  const memory = SharedMemory.create({ bytes: 4 * MIB });
  const made = make(memory);
  const steps = new Interrupted(crossingsFor(memory, 'js'));
  return { map: attach(made, steps), steps };
}

const quiet = { onError: () => {} };

test('with random and adversarial words in header and maps of pages every call comes back', (t) => {
  const random = randomOf(seedOf(t));
  for (let life = 0; life < 400; life++) {
    const one = used(
      ({ source }) => BitmapPages.create({ memory: source, limit: 4 * MIB, end: 3 * MIB }),
      (map, crossings) => BitmapPages.attach(map.share(), { crossings, ...quiet }),
    );
    const runs = [1, 5, 40, 100].map((count) => one.map.allocPages(count, PAGE));
    one.map.deallocPages(runs[2], 40);
    t.deepEqual(damaged(random, one, PAGE_CALLS), []);
  }
});

test('with random and adversarial words in header and maps of ids every call comes back', (t) => {
  const random = randomOf(seedOf(t));
  for (let life = 0; life < 400; life++) {
    const one = used(
      ({ source }) => BitmapIds.create({ memory: source, ids: 4000, limit: 4100 }),
      (map, crossings) => BitmapIds.attach(map.share(), { crossings, ...quiet }),
    );
    one.map.allocId(300, 1);
    t.deepEqual(damaged(random, one, ID_CALLS), []);
  }
});

/** The maps of 255 pages: 8 words each, then a word of hints and one of the top. */
function maps(pages: BitmapPages): {
  free: number;
  used: number;
  absent: number;
  hints: number;
  top: number;
} {
  const free = pages.share().start / 4 + MAPS;
  return { free, used: free + 8, absent: free + 16, hints: free + 24, top: free + 25 };
}

test('a hint behind the last word leads nowhere: no page of another map is handed out', (t) => {
  const pages = BitmapPages.create({ bytes: MIB });
  const { i32 } = pages.memory;
  const { free, used: usedMap, hints, top } = maps(pages);
  const held = pages.allocPages(pages.totalPages(), PAGE);
  i32[hints] = -1;
  i32[top] = -1;
  const before = i32.slice(free, hints);
  refused(t, 'NoMemory', () => pages.allocPages(1, PAGE));
  t.deepEqual(i32.slice(free, hints), before);
  t.is(i32[usedMap], before[8]);
  pages.deallocPages(held, pages.totalPages());
});

test('the count of threads that have attached may be anything: searches begin within the maps', (t) => {
  const pages = BitmapPages.create({ bytes: MIB });
  const attached = pages.share().start / 4 + 17;
  for (const count of [-1, -0x80000000, 0x7fffffff, -5]) {
    pages.memory.i32[attached] = count;
    const other = BitmapPages.attach(pages.share());
    for (const run of [1, 2, 70]) {
      const page = other.allocPages(run, PAGE);
      t.true(page >= PAGE && page < MIB, `${page}`);
      other.deallocPages(page, run);
    }
    pages.validate({ quiet: true });
  }
});

for (const count of [1, 3, 70]) {
  test(`a page that is free and used, or free and absent, is not handed out: ${count} at a time`, (t) => {
    for (const [map, states] of [
      ['used', 'free and used'],
      ['absent', 'free and absent'],
    ] as const) {
      const pages = BitmapPages.create({ bytes: MIB });
      const where = maps(pages)[map];
      pages.memory.i32[where + 2] |= 1 << 5; // page 69
      t.throws(() => pages.validate(), {
        instanceOf: AllocError,
        message: new RegExp(`unit 69 is ${states}`),
      });
      const got: number[] = [];
      let corrupted = 0;
      for (;;) {
        try {
          got.push(pages.allocPages(count, PAGE));
        } catch (error) {
          if (!(error instanceof AllocError)) throw error;
          if (error.code !== 'Corrupted') break;
          corrupted++;
          t.regex(error.message, new RegExp(`unit 69 is ${states}`));
        }
      }
      t.is(corrupted, 1);
      t.true(got.length > 0);
      t.false(got.some((at) => at <= 69 * PAGE && at + count * PAGE > 69 * PAGE));
    }
  });
}

test('a page behind the last is not handed out', (t) => {
  const pages = BitmapPages.create({ memory: new SharedArrayBuffer(250 * PAGE) });
  pages.memory.i32[maps(pages).free + 7] = -1; // pages 224 … 255, of which 250 and more are none
  for (const count of [1, 8]) {
    const got: number[] = [];
    const codes = new Set<string>();
    for (let turn = 0; turn < 300; turn++) {
      try {
        got.push(pages.allocPages(count, PAGE) + count * PAGE);
      } catch (error) {
        codes.add((error as AllocError).code);
      }
    }
    t.true(got.every((end) => end <= 250 * PAGE));
    if (count === 1) t.deepEqual([...codes].sort(), ['Corrupted', 'NoMemory']);
  }
});

test('what is handed out and free at once is told when it comes back', (t) => {
  for (const count of [1, 50]) {
    const pages = BitmapPages.create({ bytes: MIB });
    const run = pages.allocPagesAt(64 * PAGE, count, PAGE);
    pages.memory.i32[maps(pages).free + 2] |= 1;
    refused(t, 'Corrupted', () => pages.deallocPages(run, count), 'unit 64 is free and used');
  }
});

test('planted: a search that goes on over a hint that it never takes away is found', (t) => {
  const { map, steps } = used(
    ({ source }) => BitmapPages.create({ memory: source }),
    (made, crossings) => BitmapPages.attach(made.share(), { crossings }),
  );
  const { i32 } = map.memory;
  const retreats = map.share().start / 4 + RETREATS;
  steps.before = (nth) => {
    // As if another thread put a claim back at every look: then a search looks again, every time.
    i32[retreats]++;
    if (nth > BOUND) throw new Endless();
  };
  t.throws(() => map.allocPages(1000, 1024 * PAGE), { instanceOf: Endless });
});
