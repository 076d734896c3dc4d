import { AllocError } from '@shmalloc/allocator-api';
import { BitmapPages } from '@shmalloc/bitmap';
import test from 'ava';
import { PAGE, randomOf, refused, seedOf } from '../support/tools.js';

const MIB = 2 ** 20;

/** What a page of the model is. */
const ABSENT = 0;
const FREE = 1;
const USED = 2;

/** A page allocator as anybody would write it: an array. */
class Model {
  readonly pages: Uint8Array;

  constructor(pages: number) {
    this.pages = new Uint8Array(pages);
  }

  all(first: number, count: number, state: number): boolean {
    return (
      first + count <= this.pages.length &&
      this.pages.subarray(first, first + count).every((s) => s === state)
    );
  }

  has(count: number, align: number): boolean {
    for (let first = 0; first + count <= this.pages.length; first += align)
      if (this.all(first, count, FREE)) return true;
    return false;
  }

  count(state: number): number {
    return this.pages.filter((each) => each === state).length;
  }
}

for (const crossings of ['js', 'wasm'] as const) {
  test(`any sequence of operations does what it does to an array of pages (${crossings})`, (t) => {
    const random = randomOf(seedOf(t));
    const outcomes = new Map<string, number>();
    const note = (what: string): void => void outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
    for (let life = 0; life < 12; life++) {
      const total = 2 ** (8 + random(4));
      const pages = BitmapPages.create({
        bytes: MIB,
        maxBytes: total * PAGE,
        limit: total * PAGE,
        crossings,
      });
      if (total * PAGE > MIB) pages.memory.grow(total * PAGE - MIB);
      // Two instances in turn: what one does the other sees.
      const instances = [pages, BitmapPages.attach(pages.share(), { crossings })];
      const model = new Model(total);
      const own = Math.ceil(pages.stats().stateBytes / PAGE);
      pages.init(own * PAGE, 16 * PAGE);
      model.pages.fill(FREE, own, own + 16);
      const longest = 2 ** random(9);
      const live: [first: number, count: number][] = [];
      for (let step = 0; step < 400; step++) {
        const on = instances[random(2)];
        const count = 1 + random(longest);
        const choice = random(12);
        if (choice === 0) {
          const first = own + random(total);
          const size = 1 + random(total / 4);
          const fits = first + size <= total;
          const call = (): void => on.addMemory(first * PAGE, size * PAGE);
          if (!fits) refused(t, 'InvalidParam', call);
          else if (model.all(first, size, ABSENT)) {
            call();
            model.pages.fill(FREE, first, first + size);
            note('added');
          } else refused(t, 'MemoryOverlap', call);
        } else if (choice < 5) {
          const align = 2 ** random(7);
          try {
            const first = on.allocPages(count, align * PAGE) / PAGE;
            if (first % align !== 0 || !model.all(first, count, FREE))
              return t.fail(`allocPages(${count}, ${align}) gave page ${first}`);
            model.pages.fill(USED, first, first + count);
            live.push([first, count]);
            note('had');
          } catch (error) {
            if (!(error instanceof AllocError) || error.code !== 'NoMemory') throw error;
            if (model.has(count, align)) return t.fail(`allocPages(${count}, ${align}) found nothing`);
            note('none');
          }
        } else if (choice < 7) {
          const first = random(total);
          const call = (): number => on.allocPagesAt(first * PAGE, count, PAGE);
          if (model.all(first, count, FREE)) {
            call();
            model.pages.fill(USED, first, first + count);
            live.push([first, count]);
            note('had at');
          } else refused(t, 'NoMemory', call);
        } else {
          // Mostly what is handed out, or a part of it; else anything.
          const [at, length] = live[random(live.length)] ?? [0, 1];
          const offset = random(length);
          const first = random(4) === 0 ? random(total) : at + offset;
          const part = random(4) === 0 ? count : 1 + random(length - offset);
          const call = (): void => on.deallocPages(first * PAGE, part);
          if (model.all(first, part, USED)) {
            call();
            model.pages.fill(FREE, first, first + part);
            note('given');
          } else {
            refused(t, 'NotAllocated', call);
            note('not given');
          }
        }
        on.validate();
        const figures = [on.totalPages(), on.usedPages(), on.availablePages(), on.stats().hiddenWords];
        const expected = [model.count(FREE) + model.count(USED), model.count(USED), model.count(FREE), 0];
        if (figures.join() !== expected.join()) return t.fail(`${figures}, the model has ${expected}`);
      }
      for (let page = 0; page < total; page++)
        if (pages.isAllocated(page * PAGE) !== (model.pages[page] === USED)) return t.fail(`page ${page}`);
    }
    t.log(Object.fromEntries(outcomes));
    for (const what of ['added', 'had', 'none', 'had at', 'given', 'not given'])
      t.true((outcomes.get(what) ?? 0) > 10, what);
  });
}
