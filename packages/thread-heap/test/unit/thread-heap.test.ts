import { AllocError, SharedMemory } from '@shmalloc/allocator-api';
import { type Crossings, crossingsFor } from '@shmalloc/atomic-cell';
import {
  claimSlot,
  cutRemoteFrees,
  descriptorAt,
  FIRST_NAME,
  gatherRemoteFrees,
  MAX_NAME,
  MAX_SLOTS,
  NO_TABLE,
  nameOf,
  recordOf,
  rootEntry,
  slotOf,
  ThreadView,
  tableOf,
} from '@shmalloc/thread-heap';
import test from 'ava';

class View extends ThreadView {
  get algorithm(): string {
    return 'plain';
  }
}

function newView(crossings?: Crossings): View {
  const memory = SharedMemory.create({ bytes: 65_536 });
  return new View(memory, crossings ?? crossingsFor(memory), 1);
}

test('a name says which slot it is of, and no two are the same', (t) => {
  const names = new Set<number>();
  for (const slot of [0, 1, 2, 500, MAX_SLOTS - 1])
    for (const generation of [0, 1, 2, 1000, 0x1ffff]) {
      const name = nameOf(slot, generation);
      names.add(name);
      t.is(slotOf(name), slot);
      t.true(name >= FIRST_NAME && name < MAX_NAME && name % 8 === 0);
    }
  t.is(names.size, 25);
  t.is(nameOf(3, 0x20000), nameOf(3, 0), 'then names come again');
  for (const state of [0, 1, 2, 8, 16, 24, FIRST_NAME - 8]) t.true(slotOf(state) < 0);
});

test('slots are claimed one after the other, and a slot that is free again gives another name', (t) => {
  const { i32, crossings } = newView();
  const table = { firstSlot: 64, slots: 3, slotWords: 16, nameAt: 2, generationAt: 3 };
  const claimed = [1, 2, 3].map(() => claimSlot(i32, crossings, table, 'threads'));
  t.deepEqual(
    claimed.map(({ record }) => record),
    [64, 80, 96],
  );
  t.deepEqual(
    claimed.map(({ name }) => slotOf(name)),
    [0, 1, 2],
  );
  const error = t.throws(() => claimSlot(i32, crossings, table, 'threads'), { instanceOf: AllocError });
  t.is(error?.code, 'TooManyThreads');
  t.regex(error?.message ?? '', /^all 3 threads /);
  i32[recordOf(table, 1) + 2] = 0;
  const again = claimSlot(i32, crossings, table, 'threads');
  t.is(again.record, 80);
  t.not(again.name, claimed[1].name);
  t.true(claimed[1].isFirst);
  t.false(again.isFirst);
});

test('a thread that loses a slot to another one makes a name of its own for the next try', (t) => {
  const view = newView();
  const table = { firstSlot: 64, slots: 2, slotWords: 16, nameAt: 0, generationAt: 1 };
  let other = 0;
  const claim: Crossings['claim'] = (place, from, to) => {
    if (other === 0) {
      other = claimSlot(view.i32, view.crossings, table, 'threads').name;
      // It has gone again: the word is 0, as it was when the first one looked.
      view.i32[table.firstSlot] = 0;
    }
    return view.crossings.claim(place, from, to);
  };
  const mine = claimSlot(view.i32, { claim }, table, 'threads');
  t.is(mine.record, table.firstSlot);
  t.not(mine.name, other);
});

test('a root entry leads to each descriptor of its chunk, and back to the table', (t) => {
  for (const [table, chunk, pages, shift] of [
    [4096, 0, 128, 5],
    [4096, 7, 256, 4],
    [64, 1000, 1024, 4],
  ]) {
    const entry = rootEntry(table, chunk * pages, shift);
    t.is(tableOf(entry, chunk * pages, shift), table);
    for (const page of [0, 1, pages - 1])
      t.is(descriptorAt(entry, chunk * pages + page, shift), table + (page << shift));
  }
  t.is(tableOf(NO_TABLE, 5, 4), 0);
  t.is(descriptorAt(NO_TABLE, 5, 4), 0);
});

test('a view that is closed reads as undefined, counts no errors, and says that it is detached', (t) => {
  const view = newView();
  const heard: string[] = [];
  view.onError = (error) => heard.push(error.message);
  view.report(new AllocError('NotAllocated', 'first'));
  t.is(view.i32[1], 1);
  view.close();
  t.true(view.closed);
  t.is(view.i32.at(1), undefined);
  view.report(new AllocError('NotAllocated', 'second'));
  t.deepEqual(heard, ['first', 'second']);
  t.is(view.memory.i32[1], 1);
  t.throws(() => view.refresh(), { code: 'InvalidParam', message: 'this plain heap is detached' });
});

// ── Remote frees ──

const OWN = 16;
const REMOTE = 32;
const PAGE = 0;

function next(view: { readonly i32: Int32Array }, _: number, block: number): number {
  return view.i32[block];
}

function link(view: { readonly i32: Int32Array }, _: number, block: number, to: number): void {
  view.i32[block] = to;
}

function listAt(view: View, place: number, most = 100): number[] {
  const found: number[] = [];
  for (let block = view.i32[place] & ~1; block !== 0 && found.length <= most; block = view.i32[block])
    found.push(block);
  return found;
}

class Ended extends Error {}

/** Crossings and links of which the thread ends before the one with this number. */
function endingAt(view: View, at: number, before: (step: number) => void = () => {}): typeof gather {
  let step = 0;
  const count = (): void => {
    before(step);
    if (step++ === at) throw new Ended();
  };
  const crossings = new Proxy(view.crossings, {
    get: (target, name) => {
      const method = Reflect.get(target, name);
      return typeof method !== 'function'
        ? method
        : (...values: never[]) => {
            count();
            return Reflect.apply(method, target, values);
          };
    },
  });
  const i32 = new Proxy(view.i32, {
    get: (target, name) => Reflect.get(target, name),
    set: (target, name, value) => {
      count();
      return Reflect.set(target, name, value);
    },
  });
  function gather(most: number): number {
    return gatherRemoteFrees({ crossings, i32 }, PAGE, REMOTE, OWN, most, next, link);
  }
  return gather;
}

/** What the thread does that inherits the page. */
function mend(view: View): void {
  const met = new Set(listAt(view, OWN));
  const meet = (block: number): boolean => !met.has(block) && met.add(block) !== undefined;
  cutRemoteFrees(view, PAGE, REMOTE, meet, next, link);
}

for (const mark of [0, 1]) {
  test(`wherever a thread ends that gathers, the one that inherits finds each block once (mark ${mark})`, (t) => {
    let endings = 0;
    for (let at = 0; ; at++) {
      for (const late of [-1, 0, 1, 2, 3]) {
        const view = newView();
        for (const block of [100, 102]) view.crossings.push(OWN, block);
        for (const block of [200, 202, 204]) view.crossings.push(REMOTE, block);
        view.i32[REMOTE] |= mark;
        // Another thread pushes meanwhile, on a page that is not marked.
        let pushed = 0;
        const gather = endingAt(view, at, (step) => {
          if (step !== late || mark === 1) return;
          view.crossings.push(REMOTE, 206);
          pushed = 1;
        });
        let count = -1;
        try {
          count = gather(10);
        } catch (error) {
          if (!(error instanceof Ended)) throw error;
          endings++;
        }
        if (count < 0) mend(view);
        else t.is(count, listAt(view, OWN).length - 2);
        const found = [...listAt(view, OWN), ...listAt(view, REMOTE)];
        t.is(new Set(found).size, found.length, `ended before ${at}, pushed before ${late}`);
        t.is(found.length, 5 + pushed, `ended before ${at}, pushed before ${late}`);
        t.is(view.i32[REMOTE] & 1, mark);
      }
      if (at > 12) break;
    }
    t.true(endings >= 20, `${endings}`);
  });
}

test('planted: a list that is cut before it is linked loses blocks with the thread', (t) => {
  const view = newView();
  for (const block of [200, 202]) view.crossings.push(REMOTE, block);
  // What the wrong order would do up to the place where the thread ends.
  view.crossings.takeAll(REMOTE);
  mend(view);
  t.is(listAt(view, OWN).length + listAt(view, REMOTE).length, 0, 'two blocks are gone');
});

test('a list that goes in a circle is told, and what the owner has stays', (t) => {
  const view = newView();
  view.crossings.push(OWN, 100);
  for (const block of [200, 202]) view.crossings.push(REMOTE, block);
  view.i32[200] = 202;
  t.is(gatherRemoteFrees(view, PAGE, REMOTE, OWN, 4, next, link), -1);
  t.deepEqual(listAt(view, OWN), [100]);
});
