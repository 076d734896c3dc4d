/** `validate` against planted damage: one field at a time, each found by the sentence that is about it. */
import { Slab } from '@shmalloc/slab';
import test from 'ava';
import { Cpu } from '../../dist/cpu.js';
import { Field } from '../../dist/header.js';
import { IN_FULL, MARK, NO_OWNER, ORPHAN, Page } from '../../dist/page.js';
import { freeWord, presentWord, tableOf } from '../../dist/page-map.js';
import { fill, fullPage, isFull, pageOf, small, watch } from '../support/harness.ts';

/**
 * A heap with one of each: pages in a list, a full one, one of another CPU, an orphan, a large block, free
 * pages.
 */
function scene() {
  const heap = small();
  const { i32 } = heap;
  const other = Slab.attach(heap.share());
  const left = fill(other, 64, 10);
  const gone = pageOf(heap, left[0]);
  other.detach();
  const third = Slab.attach(heap.share());
  const theirs = pageOf(heap, third.malloc(32));
  const { blocks, next } = fullPage(heap, 500);
  const full = pageOf(heap, blocks[0]);
  const page = pageOf(heap, next);
  heap.free(heap.malloc(500));
  const more = fill(heap, 1000, 17);
  heap.free(more[0]);
  const [large, empty] = [pageOf(heap, heap.malloc(20_000)), heap.empty];
  const index = i32[page + Page.index];
  const table = tableOf(heap, index >>> 7);
  const free = i32[large + Page.index] - 1;
  return { heap, i32, gone, theirs, full, page, large, empty, index, table, free, freePage: large - 32 };
}

type Scene = ReturnType<typeof scene>;

const FAULTS: readonly [name: string, sentence: RegExp, plant: (scene: Scene) => void][] = [
  ['the empty page has a block', /the empty page has a block/, ({ i32, empty }) => (i32[empty] = 100)],
  [
    'a page in use is in the page list',
    /is in the page list, and has an owner/,
    ({ i32, table, index }) => (i32[freeWord(table, index)] |= 1 << index),
  ],
  [
    'a page of a large block is in the page list',
    /is in the page list, and in a large block/,
    ({ i32, table, free }) => (i32[freeWord(table, free + 2)] |= 1 << (free + 2)),
  ],
  [
    'a free page is not in the page list',
    /has no owner, and is not in the page list/,
    ({ i32, table, free }) => (i32[freeWord(table, free)] &= ~(1 << free)),
  ],
  [
    'a page in use is not under management',
    /is not under management, and is in use/,
    ({ i32, table, index }) => (i32[presentWord(table, index)] &= ~(1 << index)),
  ],
  ['a page has an owner that is none', /has the owner 40/, ({ i32, page }) => (i32[page + Page.owner] = 40)],
  [
    'a page has lost its owner',
    /has no owner, and is not in the page list/,
    ({ i32, page }) => (i32[page + Page.owner] = NO_OWNER),
  ],
  [
    'a large block has no pages',
    /a large block of 0 pages/,
    ({ i32, large }) => (i32[large + Page.count] = 0),
  ],
  [
    'a large block has lost its last page',
    /has no owner, and is not in the page list/,
    ({ i32, large }) => (i32[large + Page.count] -= 1),
  ],
  [
    'a free page is not clean',
    /is free and not clean/,
    ({ i32, freePage }) => (i32[freePage + Page.capacity] = 3),
  ],
  [
    'the search for free pages begins too high',
    /below where the search begins/,
    ({ heap, i32 }) => (i32[heap.header + Field.hint] = 1),
  ],
  [
    'a page too many is counted',
    /\d+ pages are under management, \d+ are counted/,
    ({ heap, i32 }) => i32[heap.header + Field.present]++,
  ],
  [
    'a free page too many is counted',
    /the page list holds \d+ pages, \d+ are counted/,
    ({ heap, i32 }) => i32[heap.header + Field.freePages]++,
  ],
  ['a page has another number', /is called number/, ({ i32, page }) => i32[page + Page.index]++],
  ['a page is of no class', /is of class 70/, ({ i32, page }) => (i32[page + Page.class] = 70)],
  [
    'a page has blocks of another size',
    /has blocks of 3 words/,
    ({ i32, page }) => (i32[page + Page.stride] = 3),
  ],
  ['a page has room for more than it has', /has room for/, ({ i32, page }) => i32[page + Page.reserved]++],
  [
    'a page has linked more than there are',
    /has linked 99 of/,
    ({ i32, page }) => (i32[page + Page.capacity] = 99),
  ],
  ['a page counts one block too many', /used \+ \d+ free ≠/, ({ i32, page }) => i32[page + Page.used]++],
  ['an orphan counts one block too few', /used \+ \d+ free ≠/, ({ i32, gone }) => i32[gone + Page.used]--],
  [
    'a free list leads out of its page',
    /its free list leads to word/,
    ({ i32, page, full }) => (i32[i32[page + Page.free]] = i32[full + Page.first]),
  ],
  [
    'a free list leads into the middle of a block',
    /its free list leads to word/,
    ({ i32, page }) => i32[page + Page.free]++,
  ],
  [
    'a free list goes in circles',
    /its free list comes back to word/,
    ({ i32, page }) => (i32[i32[page + Page.free]] = i32[page + Page.free]),
  ],
  [
    'an orphan waits for its owner to hear of it',
    /has no owner, and waits for one/,
    ({ i32, gone }) => (i32[gone + Page.remote] |= MARK),
  ],
  [
    'a page of another CPU is among the orphans',
    /is among the orphans, and has an owner/,
    ({ i32, gone, theirs }) => (i32[gone + Page.next] = theirs),
  ],
  [
    'an orphan is in the list of another class',
    /is among the orphans of class 9/,
    ({ heap, i32, gone }) => (i32[heap.header + Field.orphans + 9] = gone),
  ],
  [
    'the orphans go in circles',
    /the orphans of class 3 go in circles/,
    ({ i32, gone }) => (i32[gone + Page.next] = gone),
  ],
  [
    'a list of pages does not come back',
    /has a wrong link/,
    ({ heap, i32 }) => {
      const second = i32[i32[heap.cpu + Cpu.current + 7] + Page.next];
      i32[second + Page.next] = second;
      i32[second + Page.prev] = second;
    },
  ],
  ['a page has a wrong link', /has a wrong link/, ({ i32, page }) => (i32[page + Page.prev] = 16)],
  [
    'a page of another CPU is in a list',
    /is in the list of class \d+, and its owner is/,
    ({ heap, i32, theirs }) => (i32[heap.cpu + Cpu.current + 2] = theirs),
  ],
  [
    'a page is in the list of another class',
    /is in the list of class 20/,
    ({ heap, i32, page }) => (i32[heap.cpu + Cpu.current + 20] = page),
  ],
  [
    'a full page is in its list',
    /and its owner is|is full, and in a list/,
    ({ i32, page }) => (i32[page + Page.owner] |= IN_FULL),
  ],
  [
    'a page that is not full is in no list',
    /is in no list/,
    ({ i32, full }) => (i32[full + Page.owner] &= ~IN_FULL),
  ],
  [
    'a full page has a free block',
    /is full, and has a free block/,
    ({ i32, full }) => {
      i32[full + Page.free] = i32[full + Page.first];
      i32[i32[full + Page.first]] = 0;
      i32[full + Page.used]--;
    },
  ],
  [
    'the kept page is another CPU’s',
    /the page kept for class 6 is none of it/,
    ({ heap, i32, theirs }) => (i32[heap.cpu + Cpu.kept + 6] = theirs),
  ],
];

test('the scene has what the faults need', (t) => {
  const { heap, i32, gone, theirs, full, page, large, free, freePage } = scene();
  watch(heap);
  heap.validate();
  t.is(new Set([gone, theirs, full, page, large]).size, 5);
  t.is(i32[gone + Page.owner], ORPHAN);
  t.true(isFull(heap, i32[full + Page.first] * 4));
  t.is(i32[page + Page.owner], heap.threadId);
  t.not(i32[page + Page.free], 0);
  t.is(i32[freePage + Page.owner], NO_OWNER);
  t.true(free > 0);
});

for (const [name, sentence, plant] of FAULTS) {
  test(`validate finds that ${name}`, (t) => {
    const where = scene();
    plant(where);
    const error = t.throws(() => where.heap.validate());
    t.regex(error?.message ?? '', sentence);
    t.regex(error?.message ?? '', /^slab is broken: /);
  });
}

test('validate changes nothing, and gives the lock back when it throws', (t) => {
  const { heap, i32 } = scene();
  const locks = heap.cpu + Cpu.counters + 6;
  const before = i32.slice();
  heap.validate();
  before[locks] = i32[locks];
  t.deepEqual(i32.slice(), before);
  i32[heap.header + Field.present]++;
  t.throws(() => heap.validate());
  t.is(i32[heap.header + Field.lock], 0);
});

test('attach refuses a geometry that no region has', (t) => {
  const { heap, i32 } = scene();
  for (const shift of [12, 17, -1]) {
    i32[heap.header + Field.pageShift] = shift;
    t.throws(() => Slab.attach(heap.share()), {
      name: 'AllocError',
      message: new RegExp(`got 2\\^${shift}`),
    });
  }
});
