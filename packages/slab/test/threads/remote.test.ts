/** Blocks that another CPU frees: one interleaving a test, and then real threads. */
import { Worker } from 'node:worker_threads';
import { Slab } from '@shmalloc/slab';
import test from 'ava';
import { Cpu } from '../../dist/cpu.js';
import { drainDelayed } from '../../dist/free.js';
import { MARK, Page } from '../../dist/page.js';
import {
  allClear,
  counted,
  fill,
  fullPage,
  isFull,
  pageField,
  pageOf,
  pair,
  randomOf,
  seedOf,
  watch,
} from '../support/harness.ts';

test('B frees a block of A: it goes back to the page that it came from, without a lock', (t) => {
  const { a, b } = pair();
  const [first, second] = fill(a, 100, 2);
  b.free(first);
  t.is(pageField(a, first, 'remote'), first / 4);
  t.is(counted(b).remoteFrees, 1);
  t.is(counted(b).locks, 0);
  t.is(pageField(a, first, 'used'), 2, 'A has not looked yet');
  t.is(a.usedBytes(), 128, 'but everybody can see that it is free');
  a.collect();
  t.is(pageField(a, first, 'used'), 1);
  t.is(a.malloc(100), first);
  b.free(first);
  b.free(second);
  allClear(t, a, b);
});

test('A page of A is full: B’s first free brings A the news, the others go to the page', (t) => {
  const { a, b } = pair();
  const { blocks, next } = fullPage(a, 1000);
  t.true(isFull(a, blocks[0]));
  t.is(pageField(a, blocks[0], 'remote'), MARK);
  b.free(blocks[0]);
  t.is(pageField(a, blocks[0], 'remote'), 0, 'the mark is gone');
  t.is(a.i32[a.cpu + Cpu.delayed], blocks[0] / 4);
  b.free(blocks[1]);
  t.is(pageField(a, blocks[0], 'remote'), blocks[1] / 4);
  t.is(b.usedBytes(), (blocks.length - 1) * 1024);
  fill(a, 1000, 3); // what is linked of the next page
  t.true(isFull(a, blocks[0]), 'A has not had to look');
  const again = fill(a, 1000, 6); // the rest of the next page first
  t.deepEqual(new Set(again.slice(4)), new Set([blocks[0], blocks[1]]));
  t.is(counted(a).delayedFrees, 1);
  t.is(counted(a).pagesTaken, 2);
  a.validate();
  b.validate();
  t.is(pageOf(a, next) === pageOf(a, blocks[0]), false);
});

test('a full page that only others free into serves its owner for ever: pages do not pile up', (t) => {
  const { a, b } = pair();
  for (let round = 0; round < 50; round++) for (const block of fill(a, 1000, 40)) b.free(block);
  t.true(counted(a).pagesTaken <= 12, `${counted(a).pagesTaken} pages for 40 blocks of 1000 bytes`);
  allClear(t, a, b);
});

test('A frees into its own full page: the page is back, its mark is still there, and B’s free takes the longer way', (t) => {
  const { a, b } = pair();
  const { blocks } = fullPage(a, 1000);
  a.free(blocks[0]);
  t.false(isFull(a, blocks[0]));
  t.is(pageField(a, blocks[0], 'remote'), MARK);
  b.free(blocks[1]);
  t.is(a.i32[a.cpu + Cpu.delayed], blocks[1] / 4);
  b.free(blocks[2]);
  a.collect();
  t.is(pageField(a, blocks[0], 'used'), blocks.length - 3);
  a.validate();
});

test('B’s block comes before A’s mark: A finds it in the second look, and the page does not leave its list', (t) => {
  const { a, b } = pair();
  const blocks = fill(a, 1000, 8);
  b.free(blocks[3]);
  t.is(a.malloc(1000), blocks[3]);
  t.is(counted(a).pagesTaken, 1);
  a.validate();
});

test('B takes the mark away and pauses, A detaches, C adopts the page and fills it again, B goes on: C hears of it', (t) => {
  const { a, b } = pair();
  const { blocks, next } = fullPage(a, 1000);
  const page = pageOf(a, blocks[0]);
  const record = a.cpu;
  b.i32[page + Page.remote] &= ~MARK; // B, in the middle of its free of blocks[0]
  a.detach();
  const c = Slab.attach(b.share()); // in A's slot
  t.is(c.cpu, record);
  c.malloc(1000);
  b.i32[blocks[0] / 4] = b.i32[record + Cpu.delayed]; // B goes on with what it knew
  b.i32[record + Cpu.delayed] = blocks[0] / 4;
  const more = [...fill(c, 1000, 20)];
  t.true(more.includes(blocks[0]), 'the block serves C');
  c.validate();
  b.validate();
  for (const block of [...blocks.slice(1), next]) b.free(block);
});

test('the same with nobody in A’s slot: whoever collects with force finds the block', (t) => {
  const { a, b } = pair();
  const { blocks, next } = fullPage(a, 1000);
  const record = a.cpu;
  a.detach();
  b.i32[blocks[0] / 4] = 0;
  b.i32[record + Cpu.delayed] = blocks[0] / 4;
  for (const block of [...blocks.slice(1), next]) b.free(block);
  t.is(b.stats().freePages, b.stats().pages - 2);
  allClear(t, b);
});

test('B takes a list for nobody’s that is C’s by now: C gets its news all the same', (t) => {
  const { a, b } = pair();
  const { blocks } = fullPage(a, 1000);
  b.free(blocks[0]);
  drainDelayed(b, a.cpu); // found no thread there, and paused until A had come
  t.is(a.i32[a.cpu + Cpu.delayed], blocks[0] / 4);
  t.is(b.i32[b.cpu + Cpu.pending], 0);
  a.collect();
  t.false(isFull(a, blocks[0]));
  a.validate();
});

test('of two who free a block at a time in debug mode one is told', (t) => {
  const { a, b } = pair({ debug: true });
  const errors = watch(a, b);
  const block = a.malloc(100);
  b.free(block);
  a.free(block);
  t.is(errors.length, 1);
  t.is(errors[0].message, `free(${block}): freed twice, by cpu 1 and now by cpu 0`);
  allClear(t, a, b);
});

test('a block that two CPUs free in turn is found when its page’s list is taken, where it can be', (t) => {
  const { a, b } = pair();
  const errors = watch(a, b);
  const [block] = fill(a, 100, 3);
  b.free(block);
  b.free(block);
  a.collect();
  t.is(errors.length, 1);
  t.regex(errors[0].message, /a block of the page at \d+ was freed twice/);
});

test('CPUs pass blocks on at random, in turns: nothing is lost, all are valid after each round', (t) => {
  const random = randomOf(seedOf(t));
  for (const debug of [false, true]) {
    const { a, b } = pair({ bytes: 1 << 21, debug });
    const errors = watch(a, b);
    const heaps = [a, b, Slab.attach(a.share())];
    errors.push(...watch(heaps[2]));
    const live: { address: number; stamp: number }[] = [];
    for (let step = 0; step < 8000; step++) {
      const heap = heaps[random(3)];
      if (live.length < 500 && random(9) < 5) {
        const size = 4 + (random(20) === 0 ? random(40_000) : random(1500));
        const address = heap.malloc(size);
        if (address === 0) continue;
        heap.memory.i32[address >>> 2] = step;
        live.push({ address, stamp: step });
      } else if (live.length > 0) {
        const [{ address, stamp }] = live.splice(random(live.length), 1);
        if (heap.memory.i32[address >>> 2] !== stamp) return t.fail(`the block at ${address} lost its stamp`);
        heap.free(address);
      }
      if (step % 500 === 0) for (const each of heaps) each.validate();
    }
    for (const { address } of live) heaps[random(3)].free(address);
    t.deepEqual(errors, []);
    allClear(t, ...heaps);
  }
});

for (const backing of ['wasm', 'sab'] as const) {
  test(`a producer's blocks are freed by a consumer on another thread, in ${backing}: pages stay few, and all come back`, async (t) => {
    const heap = Slab.create({ bytes: 16 << 20, backing });
    const mail = new Int32Array(new SharedArrayBuffer(4 * 258));
    const worker = new Worker(new URL('../support/consumer-worker.js', import.meta.url), {
      workerData: { handle: heap.share(), mail },
    });
    const done = new Promise<number>((resolve, reject) => worker.on('error', reject).on('exit', resolve));
    for (let round = 1; round <= 400; round++) {
      for (let index = 0; index < 256; index++) {
        const block = heap.malloc(8 + ((index * 37 + round) % 600));
        heap.memory.i32[block >>> 2] = index;
        mail[2 + index] = block | 0;
      }
      Atomics.store(mail, 0, round);
      Atomics.notify(mail, 0);
      while (Atomics.load(mail, 1) !== round) Atomics.wait(mail, 1, round - 1, 100);
    }
    Atomics.store(mail, 0, -1);
    Atomics.notify(mail, 0);
    t.is(await done, 0);
    t.is(heap.stats().cpus[1].remoteFrees, 400 * 256);
    t.true(counted(heap).pagesTaken < 40, `${counted(heap).pagesTaken} pages`);
    allClear(t, heap);
  });
}

test('B frees and measures blocks of A whose descriptors lie in memory that was added since B looked', (t) => {
  const a = Slab.create({ bytes: 1 << 20, maxBytes: 128 << 20 });
  const b = Slab.attach(a.share());
  b.registerError((error) => t.fail(error.message));
  b.free(b.malloc(10));
  const blocks: number[] = [];
  for (const step of [24 << 20, 40 << 20]) {
    a.addMemory(a.memory.grow(step), step);
    const end = a.memory.byteLength - step / 2;
    while ((blocks.at(-1) ?? 0) < end) blocks.push(a.malloc(200_000));
    const last = blocks.pop() as number;
    t.true(last > b.memory.byteLength);
    if (step === 24 << 20) t.true(b.usableSize(last) >= 200_000);
    b.free(last);
  }
  for (const block of blocks) a.free(block);
  a.collect(true);
  b.collect(true);
  a.validate();
  t.is(a.usedBytes(), 0);
});
