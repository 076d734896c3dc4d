/**
 * What another CPU does between two steps of this one: each test is named after the interleaving that it
 * shows.
 */

import { CheckedAllocator, Oracle } from '@shmalloc/alloc-test/oracle';
import { AxAlloc } from '@shmalloc/axalloc';
import { BitmapPages } from '@shmalloc/bitmap';
import test from 'ava';
import { type Hooks, hookedAlgorithms, once } from '../support/hooked.js';
import { allocatorOver } from '../support/tools.js';

/** CPU A, and CPU B that can be interrupted. */
function twoCpus(bytes = 4 << 20) {
  const { pages, allocator: a } = allocatorOver(bytes);
  const fresh = pages.usedPages();
  const hooks: Hooks = { before: () => {} };
  const b = AxAlloc.attach(a.share(), {
    attachPages: (handle) => BitmapPages.attach(handle),
    algorithms: hookedAlgorithms(hooks),
  });
  return { pages, fresh, a, b, hooks };
}

/** Whether some page of a block can be had from the page part: its heap is gone. */
function isGone(a: AxAlloc, block: number): boolean {
  const page = block - (block % 4096);
  try {
    a.allocPagesAt(page, 1, 4096);
  } catch {
    return false;
  }
  a.deallocPages(page, 1);
  return true;
}

test('a swap between the look at the current generation and the allocation: the block lies in memory that stays', (t) => {
  const { pages, fresh, a, b, hooks } = twoCpus();
  const done = once(hooks, 'malloc', () => a.swap('basic'));
  const block = b.malloc(100);
  t.true(done());
  t.false(isGone(a, block));
  t.is(a.stats().generations.length, 2);
  a.memory.u8.fill(7, block, block + 100);
  b.free(block);
  // B has not looked yet: it may be about to allocate from there.
  t.is(a.stats().generations.length, 2);
  b.settle();
  t.is(a.stats().generations.length, 1);
  a.swap('tlsf');
  b.settle();
  t.is(pages.usedPages(), fresh);
});

test('planted: without the announcement the same block lies in memory that is gone, and the oracle names the overlap', (t) => {
  const { a, b, hooks } = twoCpus();
  const oracle = Oracle.create({ bytes: a.memory.byteLength });
  once(hooks, 'malloc', () => {
    a.swap('basic');
    a.reap(b.threadId); // which is a lie: B lives
  });
  b.registerError(() => {}); // the heap that B asks has never heard of its block
  const block = new CheckedAllocator(b, oracle, 1).malloc(100);
  t.true(isGone(a, block));
  const checked = new CheckedAllocator(a, oracle, 0);
  const overlaps = (): boolean => [...oracle.violations()].some(({ kind }) => kind === 'overlap');
  while (!overlaps() && checked.malloc(1000) !== 0);
  t.true(overlaps());
});

test('a swap while a thread attaches to the new heap: it goes on to the newest, and the one between goes', (t) => {
  const { a, b, hooks } = twoCpus();
  a.swap('basic');
  const done = once(hooks, 'attach', () => a.swap('buddy'));
  const block = b.malloc(100);
  t.true(done());
  t.is(b.name, 'buddy');
  t.deepEqual(
    a.stats().generations.map(({ name, blocks }) => [name, blocks]),
    [['buddy', 1]],
  );
  b.free(block);
});

test('two threads free the last two blocks of an old heap at the same time: it stays until both have left', (t) => {
  const { a, b, hooks } = twoCpus();
  const [one, other] = [a.malloc(100), a.malloc(100)];
  a.swap('basic');
  b.settle();
  let during = 0;
  const done = once(hooks, 'tryFree', () => {
    a.free(one);
    during = a.stats().generations.length;
  });
  b.free(other);
  t.true(done());
  t.is(during, 2, 'the heap was gone while a thread was inside');
  t.true(isGone(a, other), 'nobody has given the pages back');
});

test('a thread asks a block for its size while another thread empties the rest', (t) => {
  const { a, b, hooks } = twoCpus();
  const [one, other] = [a.malloc(100), a.malloc(5000)];
  a.swap('basic');
  b.settle();
  const done = once(hooks, 'tryUsableSize', () => a.free(one));
  t.true(b.usableSize(other) >= 5000);
  t.true(done());
  b.free(other);
  t.true(isGone(a, other));
});

test('a thread that looks at a heap which is just being closed leaves it alone', (t) => {
  const { a, b, hooks } = twoCpus();
  const block = b.malloc(100);
  b.swap('basic');
  let seen = -1;
  // B closes the old heap, and asks it whether it is empty.
  const done = once(hooks, 'usedBytes', () => {
    seen = a.stats().generations.length;
  });
  a.settle();
  b.free(block);
  t.true(done());
  t.is(seen, 1);
  t.true(isGone(a, block));
});

test('a swap from within a report: the heap that reports stays, and the thread moves on afterwards', (t) => {
  const { a, b } = twoCpus();
  const block = a.malloc(100);
  a.swap('basic');
  const late: string[] = [];
  b.registerError(() => {
    b.swap('buddy');
    const inside = b.malloc(50);
    b.free(inside);
    b.free(block);
    b.free(8);
    late.push(b.name);
    b.registerError((error) => late.push(error.message));
  });
  b.free(b.malloc(64) + 16);
  t.is(late[0], 'buddy');
  t.regex(late[1], /free\(8\)/, 'what goes wrong in a report is told after it');
  t.is(b.liveBlocks(), 1);
  b.settle();
  a.settle();
  t.true(isGone(a, block));
  b.validate();
});

test('two CPUs run dry at once: one grows, and the other has what it got', (t) => {
  const { a, b, hooks } = twoCpus();
  const growthsAndPages = (): number[] => [a.stats().growths, a.stats().generations[0].pages];
  while (a.stats().growths < 2) t.not(a.malloc(1000), 0);
  t.deepEqual(growthsAndPages(), [2, 32]);
  // B runs dry, and looks at the heap once more before it grows it; A has grown it by then.
  let asked = 0;
  hooks.before = (operation) => {
    if (operation !== 'malloc' || ++asked !== 2) return;
    while (a.stats().growths < 3) t.not(a.malloc(1000), 0);
  };
  while (asked < 2) {
    asked = 0;
    t.not(b.malloc(1000), 0);
  }
  t.deepEqual(growthsAndPages(), [3, 64]);
});
