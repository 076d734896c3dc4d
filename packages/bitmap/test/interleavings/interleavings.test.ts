/**
 * What one thread does between two operations of another; and threads that end there. Step by step, at every
 * operation that there is.
 */

import { AllocError, SharedMemory } from '@shmalloc/allocator-api';
import { crossingsFor } from '@shmalloc/atomic-cell';
import { BitmapPages } from '@shmalloc/bitmap';
import test from 'ava';
import { Interrupted, MAPS, PAGE, RETREATS } from '../support/tools.js';

class Killed extends Error {}

const TOTAL = 255;

/** An allocator of 255 pages as two threads see it; the first can be interrupted. */
function two(): { one: BitmapPages; other: BitmapPages; steps: Interrupted } {
  const memory = SharedMemory.create({ bytes: 2 ** 20 });
  const made = BitmapPages.create({ memory: memory.source });
  const steps = new Interrupted(crossingsFor(memory, 'js'));
  const one = BitmapPages.attach(made.share(), { crossings: steps });
  steps.operations = 0;
  return { one, other: made, steps };
}

/** Pages of a run; an empty answer when there was none. */
function attempt(call: () => number | undefined): number | undefined {
  try {
    return call();
  } catch (error) {
    if (error instanceof AllocError) return undefined;
    throw error;
  }
}

/**
 * What the first thread may be doing, with what must have happened before; each says how many pages it moves.
 */
const CALLS: Record<string, (pages: BitmapPages, run: number) => number | undefined> = {
  'one page': (pages) => pages.allocPages(1, PAGE),
  'a run in a word': (pages) => pages.allocPages(20, 32 * PAGE),
  'a run across words': (pages) => pages.allocPages(90, PAGE),
  'pages at a place': (pages) => pages.allocPagesAt(100 * PAGE, 90, PAGE),
  // Whose other pages are those of the run: what is returned comes to a word that is just being found empty.
  'the last pages of a word': (pages) => pages.allocPagesAt(61 * PAGE, 3, PAGE),
  'a return of one': (pages, run) => void pages.deallocPages(run, 1),
  'a return of a run': (pages, run) => void pages.deallocPages(run, 60),
};

for (const [name, call] of Object.entries(CALLS)) {
  test(`a thread that ends at any operation of ${name} loses at most those pages, and nobody waits`, (t) => {
    let losses = 0;
    let deaths = 0;
    for (let nth = 0; ; nth++) {
      const { one, other, steps } = two();
      const run = other.allocPages(60, PAGE);
      const before = other.usedPages();
      steps.before = (each) => {
        if (each === nth) throw new Killed();
      };
      let died = false;
      try {
        call(one, run);
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
        died = true;
      }
      if (!died) break;
      deaths++;
      other.validate();
      const { inTransit, used } = other.stats();
      t.true(inTransit <= 90, `${inTransit} pages lost`);
      if (inTransit > 0) losses++;
      t.true(Math.abs(used - before) <= 90);
      // Everything that is not lost can be had, page by page, whatever the summary says.
      let had = 0;
      while (attempt(() => other.allocPages(1, PAGE)) !== undefined) had++;
      t.is(had, TOTAL - used - inTransit, `operation ${nth}`);
      t.is(other.repair(), inTransit);
      other.validate();
      t.is(other.usedPages() + other.availablePages(), TOTAL);
      t.is(other.stats().hiddenWords, 0);
    }
    t.log(`${deaths} places to end at, ${losses} of them with a loss`);
    t.true(deaths > 1 && losses > 0);
  });

  for (const [otherName, otherCall] of Object.entries(CALLS)) {
    test(`${otherName} in the middle of ${name}: no page belongs to two, none is lost`, (t) => {
      for (let nth = 0; ; nth++) {
        const { one, other, steps } = two();
        const run = other.allocPages(60, PAGE);
        // Few are left: so the two meet.
        const held = 64;
        other.allocPagesAt(190 * PAGE, held, PAGE);
        let met = false;
        let second: number | undefined;
        steps.before = (each) => {
          if (each !== nth) return;
          met = true;
          second = attempt(() => otherCall(other, run));
        };
        const first = attempt(() => call(one, run));
        if (!met) break;
        if (first !== undefined && second !== undefined) t.not(first, second);
        other.validate();
        const { inTransit, hiddenWords, used } = other.stats();
        t.deepEqual({ inTransit, hiddenWords }, { inTransit: 0, hiddenWords: 0 }, `operation ${nth}`);
        const moved = (what: string, had: number | undefined): number => {
          if (what.startsWith('a return')) return 0;
          return had === undefined
            ? 0
            : ({ 'one page': 1, 'a run in a word': 20, 'the last pages of a word': 3 }[what] ?? 90);
        };
        // Of two returns of the same pages one counts; a return of 60 and of one of them: one or the other.
        const taken = held + 60 + moved(name, first) + moved(otherName, second);
        const returned = taken - used;
        const returns = [name, otherName].filter((what) => what.startsWith('a return'));
        const possible = new Set(
          returns.length === 0 ? [0] : returns.map((what) => (what === 'a return of one' ? 1 : 60)),
        );
        t.true(possible.has(returned), `operation ${nth}: ${returned} pages came back`);
      }
    });
  }
}

test('in the middle of a claim that fails its pages cannot be found; afterwards they can', (t) => {
  const { one, other, steps } = two();
  other.allocPagesAt(150 * PAGE, TOTAL + 1 - 150, PAGE);
  let found: number | undefined = -1;
  steps.before = (nth) => {
    if (nth === 3) found = attempt(() => other.allocPages(140, PAGE));
  };
  t.is(
    attempt(() => one.allocPagesAt(PAGE, 160, PAGE)),
    undefined,
  );
  t.true(found === undefined);
  t.is(other.allocPages(140, PAGE), PAGE);
  t.is(other.stats().retreats, 1);
});

for (const count of [1, 140]) {
  test(`a search for ${count} that found nothing looks again when a claim was put back meanwhile`, (t) => {
    const { one, other, steps } = two();
    const { i32 } = other.memory;
    const header = other.share().start / 4;
    const [free, retreats] = [header + MAPS, header + RETREATS];
    const held = i32.slice(free, free + 8);
    // What a claim of all pages leaves when it is about to fail, and then its way back: bits, then the count.
    i32.fill(0, free, free + 8);
    steps.before = () => {
      if (steps.operations < 2 || i32[retreats] !== 0) return;
      i32.set(held, free);
      i32[retreats]++;
    };
    t.is(typeof attempt(() => one.allocPages(count, PAGE)), 'number');
    other.validate();
    t.is(other.usedPages(), count);
  });
}

test('a word whose hint was lost is still searched before the answer is no', (t) => {
  for (const count of [1, 20]) {
    const { one, other } = two();
    const { i32 } = other.memory;
    const hints = other.share().start / 4 + MAPS + 3 * 8;
    i32.fill(0, hints, hints + 2);
    t.true(other.stats().hiddenWords > 0);
    t.is(one.allocPages(count, PAGE) % PAGE, 0);
    t.is(other.repair(), 0);
    t.is(other.stats().hiddenWords, 0);
  }
});
