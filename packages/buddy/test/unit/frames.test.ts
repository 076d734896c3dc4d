import { Buddy } from '@shmalloc/buddy';
import test from 'ava';
import { PAGE, randomOf, refused, seedOf } from '../support/tools.js';

const MIB = 2 ** 20;

test('frames and blocks come out of the same pools', (t) => {
  const heap = Buddy.create({ bytes: MIB });
  const frames = heap.frames();
  t.is(frames.pageSize, PAGE);
  const total = frames.totalPages();
  t.true(total > 230 && total < 256);
  t.deepEqual([frames.usedPages(), frames.availablePages()], [0, total]);
  const run = frames.allocPages(5, PAGE);
  t.is(frames.usedPages(), 5);
  t.is(heap.usedBytes(), 5 * PAGE);
  t.is(heap.stats().wastedBytes, 0);
  const block = heap.malloc(100);
  heap.validate();
  t.true(frames.usedPages() <= 6);
  heap.free(block);
  frames.deallocPages(run, 5);
  t.is(frames.usedPages(), 0);
  heap.validate();
});

test('a run is as long as it was asked for: what is left of the power of two is given back', (t) => {
  const heap = Buddy.create({ bytes: MIB });
  const frames = heap.frames();
  const run = frames.allocPages(33, PAGE);
  t.is(run % (64 * PAGE), 0);
  t.is(frames.allocPagesAt(run + 33 * PAGE, 31, PAGE), run + 33 * PAGE);
  frames.deallocPages(run + 10 * PAGE, 50);
  heap.validate();
  t.is(frames.usedPages(), 14);
  refused(t, 'NotAllocated', () => frames.deallocPages(run, 64));
  frames.deallocPages(run, 10);
  frames.deallocPages(run + 60 * PAGE, 4);
  t.is(frames.usedPages(), 0);
  heap.validate();
});

test('alignments are met; a request above all is NoMemory', (t) => {
  const heap = Buddy.create({ bytes: 8 * MIB });
  const frames = heap.frames();
  for (let align = PAGE; align <= 4 * MIB; align *= 2) {
    const run = frames.allocPages(3, align);
    t.is(run % align, 0);
    t.is(frames.usedPages(), 3);
    frames.deallocPages(run, 3);
    heap.validate();
  }
  for (const count of [2000, 2 ** 19, 2 ** 20, 2 ** 40])
    refused(t, 'NoMemory', () => frames.allocPages(count, PAGE), String(count));
  refused(t, 'NoMemory', () => frames.allocPages(1, 2 ** 31));
  heap.validate();
});

test('what is no frame is NotAllocated, NoMemory or refused by name, and nothing changes', (t) => {
  const heap = Buddy.create({ bytes: MIB });
  const frames = heap.frames();
  const run = frames.allocPages(4, PAGE);
  const block = heap.malloc(3 * PAGE);
  const used = heap.usedBytes();
  for (const [address, count] of [
    [block, 1],
    [run, 5],
    [run - PAGE, 2],
    [run + 16, 1],
    [0, 1],
    [MIB, 1],
    [2 ** 40, 1],
  ])
    refused(t, 'NotAllocated', () => frames.deallocPages(address, count), String(address));
  refused(t, 'NoMemory', () => frames.allocPagesAt(run + 3 * PAGE, 2, PAGE));
  refused(t, 'NoMemory', () => frames.allocPagesAt(0, 1, PAGE));
  refused(t, 'NoMemory', () => frames.allocPagesAt(2 ** 40, 1, PAGE));
  refused(t, 'NoMemory', () => frames.allocPagesAt(MIB - PAGE, 2, PAGE));
  refused(t, 'InvalidParam', () => frames.allocPagesAt(PAGE, 1, 2 * PAGE));
  refused(t, 'InvalidParam', () => frames.allocPages(1, 2048), '2048');
  refused(t, 'InvalidParam', () => frames.allocPages(0, PAGE));
  t.throws(() => frames.allocPages(-1, PAGE), { instanceOf: RangeError, message: /-1/ });
  t.throws(() => frames.allocPages('1' as never, PAGE), { instanceOf: TypeError });
  t.throws(() => frames.deallocPages(1.5, 1), { instanceOf: RangeError, message: /1\.5/ });
  t.is(heap.usedBytes(), used);
  heap.validate();
});

test('memory may be given through either face', (t) => {
  const heap = Buddy.create({ memory: new SharedArrayBuffer(4 * MIB), end: MIB });
  const frames = heap.frames();
  frames.init(MIB, MIB);
  const alone = frames.totalPages();
  frames.addMemory(3 * MIB, MIB / 2);
  t.true(frames.totalPages() > alone + 110);
  refused(t, 'MemoryOverlap', () => frames.addMemory(MIB + MIB / 2, MIB));
  t.is(frames.allocPagesAt(3 * MIB + MIB / 4, 64, PAGE), 3 * MIB + MIB / 4);
  heap.validate();
});

test('any sequence of frames and blocks does what it does to an array of pages', (t) => {
  const random = randomOf(seedOf(t));
  const counts = { had: 0, none: 0, at: 0, given: 0, not: 0 };
  for (let life = 0; life < 10; life++) {
    const heap = Buddy.create({ bytes: 2 * MIB });
    const frames = heap.frames();
    const pages = new Uint8Array(512);
    const held: number[] = [];
    const all = (first: number, count: number, state: number): boolean =>
      first + count <= 512 && pages.subarray(first, first + count).every((each) => each === state);
    for (let step = 0; step < 300; step++) {
      const count = 1 + random(2 ** random(7));
      const first = random(512);
      const choice = random(6);
      if (choice < 2) {
        const align = 2 ** random(4);
        const available = frames.availablePages();
        try {
          const run = frames.allocPages(count, align * PAGE) / PAGE;
          t.is(run % align, 0);
          if (!all(run, count, 0)) return t.fail(`allocPages(${count}) gave page ${run}`);
          pages.fill(1, run, run + count);
          counts.had++;
        } catch {
          t.is(frames.availablePages(), available);
          counts.none++;
        }
      } else if (choice === 2) {
        const block = heap.malloc(random(3 * PAGE));
        if (block !== 0) held.push(block);
      } else if (choice === 3 && held.length > 0) {
        heap.free(held.splice(random(held.length), 1)[0]);
      } else if (choice === 4) {
        try {
          frames.allocPagesAt(first * PAGE, count, PAGE);
          if (!all(first, count, 0)) return t.fail(`allocPagesAt(${first}, ${count}) gave used pages`);
          pages.fill(1, first, first + count);
          counts.at++;
        } catch {
          counts.none++;
        }
      } else if (all(first, count, 1)) {
        frames.deallocPages(first * PAGE, count);
        pages.fill(0, first, first + count);
        counts.given++;
      } else {
        refused(t, 'NotAllocated', () => frames.deallocPages(first * PAGE, count));
        counts.not++;
      }
      heap.validate();
      const taken = pages.filter((each) => each === 1).length;
      t.is(frames.usedPages() + frames.availablePages(), frames.totalPages());
      t.true(frames.usedPages() >= taken);
    }
    for (const block of held) heap.free(block);
    const taken = pages.filter((each) => each === 1).length;
    t.is(frames.usedPages(), taken);
    for (let page = 0; page < 512; page++) if (pages[page] === 1) frames.deallocPages(page * PAGE, 1);
    t.is(heap.usedBytes(), 0);
    heap.validate();
  }
  t.log(counts);
  for (const times of Object.values(counts)) t.true(times > 10);
});
