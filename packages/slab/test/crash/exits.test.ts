/** CPUs that go: by `detach`, and by dying wherever they were. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Slab } from '@shmalloc/slab';
import test from 'ava';
import { Cpu } from '../../dist/cpu.js';
import { Field } from '../../dist/header.js';
import { LARGE, MARK, NO_OWNER, ORPHAN, Page } from '../../dist/page.js';
import { forEachPage } from '../../dist/page-map.js';
import {
  allClear,
  counted,
  fill,
  fullPage,
  pageField,
  pageOf,
  pair,
  randomOf,
  seedOf,
  watch,
} from '../support/harness.ts';

test('A detaches with blocks in use: B frees them, and the pages are B’s to have', (t) => {
  const { a, b } = pair();
  const blocks = [...fill(a, 100, 200), ...fill(a, 3000, 10), a.malloc(50_000)];
  a.detach();
  b.validate();
  t.is(pageField(b, blocks[0], 'owner'), ORPHAN);
  t.true(b.stats().orphanPages > 5);
  for (const block of blocks) b.free(block);
  b.validate();
  allClear(t, b);
});

test('an orphan with room serves the first CPU that needs a page of its class', (t) => {
  const { a, b } = pair();
  const blocks = fill(a, 100, 10);
  a.detach();
  b.free(b.malloc(1000));
  t.is(counted(b).pagesAdopted, 0, 'not for another class');
  const block = b.malloc(100);
  t.is(pageOf(b, block), pageOf(b, blocks[0]));
  t.is(counted(b).pagesAdopted, 1);
  t.is(pageField(b, block, 'owner'), b.threadId);
  for (const each of [...blocks, block]) b.free(each);
  allClear(t, b);
});

test('a full orphan is adopted, found full, and comes back with the first free', (t) => {
  const { a, b } = pair();
  const { blocks } = fullPage(a, 1000);
  a.detach();
  const more = fill(b, 1000, 9);
  t.is(pageField(b, blocks[0], 'owner') & ~1, b.threadId);
  b.validate();
  b.free(blocks[0]);
  b.validate();
  t.true([...more, ...fill(b, 1000, 16)].includes(blocks[0]));
});

test('memory is short: what of the orphans is empty goes back, whatever its class', (t) => {
  const { a, b } = pair();
  const blocks = fill(a, 64);
  a.detach();
  for (const block of blocks) b.free(block);
  t.is(b.stats().freePages, 0);
  t.not(b.malloc(500_000), 0);
  b.validate();
});

test('everybody detaches, and whoever attaches next finds what they left', (t) => {
  const { a, b } = pair();
  const handle = a.share();
  const blocks = [...fill(a, 500, 100), ...fill(b, 40, 100), a.malloc(200_000)];
  a.detach();
  b.detach();
  const c = Slab.attach(handle);
  c.validate();
  for (const block of blocks) c.free(block);
  allClear(t, c);
});

test('reap of a thread that did nothing wrong takes over all it has', (t) => {
  const { a, b } = pair();
  const blocks = [...fill(a, 100, 200), ...fill(a, 1000, 30), a.malloc(50_000)];
  for (const block of blocks.slice(0, 50)) a.free(block);
  for (const block of blocks.slice(50, 90)) b.free(block);
  b.reap(a.threadId);
  b.validate();
  for (const block of blocks.slice(90)) b.free(block);
  allClear(t, b);
  t.is(Slab.attach(b.share()).cpu, a.cpu, 'the slot is free');
});

/**
 * Where a thread can have died, as what stands in memory afterwards. Each happens on a page of A with 20
 * blocks, 10 of which are freed.
 */
const DEATHS: readonly [
  name: string,
  lost: number,
  die: (a: Slab, page: number, blocks: number[]) => void,
][] = [
  [
    'in malloc, with a block in hand: it stays lost',
    1,
    ({ i32 }, page) => {
      i32[page + Page.free] = i32[i32[page + Page.free]];
    },
  ],
  [
    'in free, before the block was counted',
    0,
    ({ i32 }, page, blocks) => {
      const [block] = blocks.splice(5, 1);
      i32[block / 4] = i32[page + Page.free];
      i32[page + Page.free] = block / 4;
    },
  ],
  [
    'while it linked new blocks',
    0,
    ({ i32 }, page) => {
      // What is linked beyond CAPACITY was not counted yet.
      const first = i32[page + Page.first];
      i32[page + Page.capacity] = 20;
      for (let node = i32[page + Page.free], last = 0; node !== 0; node = i32[node]) {
        if ((node - first) / i32[page + Page.stride] >= 20 && last === 0) last = node;
      }
    },
  ],
  [
    'with an empty page on its way back, of which CAPACITY is 0 already',
    0,
    ({ i32 }, page, blocks) => {
      for (const block of blocks.splice(0)) {
        i32[block / 4] = i32[page + Page.free];
        i32[page + Page.free] = block / 4;
      }
      i32[page + Page.capacity] = 0;
    },
  ],
  ['while a page moved to the full ones', 0, ({ i32 }, page) => (i32[page + Page.remote] |= MARK)],
  [
    'having taken DELAYED, and freed nothing yet',
    0,
    (a, _page, blocks) => {
      const [one, two] = blocks.splice(0, 2);
      a.i32[one / 4] = two / 4;
      a.i32[two / 4] = 0;
      a.i32[a.cpu + Cpu.pending] = one / 4;
    },
  ],
  [
    'having taken over REMOTE, before it was linked: those blocks stay lost, with their page',
    1,
    (_a, _page, blocks) => blocks.splice(0, 1),
  ],
  [
    'holding the lock',
    0,
    (a) => {
      a.i32[a.header + Field.lock] = a.threadId;
    },
  ],
  [
    'holding the lock, with a page taken from the list that has no owner yet, and counts that are wrong',
    0,
    (a) => {
      takeLowestBit(a);
      a.i32[a.header + Field.lock] = a.threadId;
      a.i32[a.header + Field.orphans + 3] = 0;
      a.i32[a.header + Field.hint] = 99;
    },
  ],
];

/** Takes the page list's lowest page without giving it an owner. */
function takeLowestBit(a: Slab): void {
  const free = a.malloc(4000);
  const page = pageOf(a, free);
  a.i32[page + Page.owner] = NO_OWNER;
  a.i32[page + Page.capacity] = 0;
  a.i32[page + Page.free] = 0;
  a.i32[page + Page.used] = 0;
}

for (const lock of ['spin', 'mutex'] as const) {
  for (const [name, lost, die] of DEATHS) {
    test(`A dies ${name} (${lock}): B reaps it, goes on, and gets its memory`, (t) => {
      const { a, b } = pair({ lock });
      const orphan = Slab.attach(a.share());
      const left = fill(orphan, 64, 5);
      orphan.detach();
      const all = fill(a, 100, 20);
      for (const block of all.splice(0, 10)) a.free(block);
      die(a, pageOf(a, all[0]), all);
      b.reap(a.threadId);
      b.validate();
      t.not(b.malloc(3000), 0);
      b.free(fill(b, 3000, 1)[0]);
      const held = b.usedBytes();
      for (const block of [...all, ...left]) b.free(block);
      b.collect(true);
      b.validate();
      t.true(b.usedBytes() < held);
      t.is(b.usedBytes(), 4096 + lost * 128);
    });
  }
}

test('A dies between taking a mark away and bringing the news: its block is lost, and B finds its page when memory is short', (t) => {
  const { a, b } = pair();
  const all = fill(b, 4000);
  const page = pageOf(b, all[0]);
  a.i32[page + Page.remote] &= ~MARK; // A had all[0] in hand
  a.free(all[1]); // to the page, without news
  t.is(a.i32[page + Page.remote], all[1] / 4, 'nobody has told B');
  a.detach();
  t.is(b.malloc(4000), all[1]);
  b.validate();
  for (const block of all.slice(1)) b.free(block);
  b.collect(true);
  t.is(b.usedBytes(), 4096);
});

test('the lock’s holder has died: B waits for the page list, C reaps, B goes on', async (t) => {
  for (const lock of ['spin', 'mutex'] as const) {
    const c = Slab.create({ bytes: 1 << 20, lock });
    const dead = Slab.attach(c.share());
    c.i32[c.header + Field.lock] = dead.threadId;
    const worker = new Worker(new URL('../support/exit-worker.js', import.meta.url), {
      workerData: { handle: c.share(), what: 'one' },
    });
    const message = once(worker, 'message');
    const exit = once(worker, 'exit');
    while ((c.stats().cpus[2]?.locks ?? 0) === 0) await sleep(5);
    t.is(c.i32[c.header + Field.lock] & ~1, dead.threadId);
    c.reap(dead.threadId);
    const [[block]] = await message;
    t.not(block, 0);
    await exit;
    t.is(c.stats().cpus[2].lockWaits > 0, true);
    allClear(t, c);
  }
});

/** Blocks that are handed out, and large ones. */
function liveBlocks(heap: Slab): number {
  let live = 0;
  forEachPage(heap, (page) => {
    const owner = heap.i32[page + Page.owner];
    if (owner === LARGE) live++;
    else if (owner >= ORPHAN) live += heap.i32[page + Page.used];
  });
  return live;
}

test('workers are terminated at any instruction; those who are left reap them, and a death costs one block at most', async (t) => {
  const random = randomOf(seedOf(t));
  const heap = Slab.create({ bytes: 16 << 20 });
  const errors = watch(heap);
  const deaths = 12;
  for (let round = 0; round < deaths; round++) {
    const table = new Int32Array(new SharedArrayBuffer(4 * 300));
    const worker = new Worker(new URL('../support/exit-worker.js', import.meta.url), {
      workerData: { handle: heap.share(), what: 'churn', seed: random(2 ** 30), table },
    });
    const [threadId] = await once(worker, 'message');
    // Meanwhile this thread works as well, and now and then frees a block of the worker's.
    const blocks: number[] = [];
    // The worker is at work, and dies after so many of its blocks, wherever it is then.
    const wanted = 10 + random(100);
    for (let freed = 0; freed < wanted; ) {
      for (let step = 0; step < 200; step++) {
        const theirs = random(20) === 0 ? Atomics.exchange(table, random(300), 0) : 0;
        if (theirs !== 0) {
          heap.free(theirs);
          freed++;
        }
        if (random(2) === 0 || blocks.length === 0) blocks.push(heap.malloc(1 + random(3000)));
        else heap.free(blocks.splice(random(blocks.length), 1)[0]);
      }
    }
    await worker.terminate();
    heap.reap(threadId);
    heap.validate();
    t.false(blocks.includes(0));
    for (const block of [...blocks, ...table]) heap.free(block);
  }
  t.deepEqual(errors, []);
  heap.collect(true);
  heap.validate();
  const { cpus } = heap.stats();
  t.is(cpus.filter(({ threadId }) => threadId !== 0).length, 1);
  t.true(cpus.some(({ remoteFrees }) => remoteFrees > 50));
  const lost = liveBlocks(heap);
  t.log(`${lost} blocks lost`);
  t.true(lost <= deaths, `${lost}`);
  t.not(heap.malloc(4 << 20), 0);
});
