import { Buddy } from '@shmalloc/buddy';
import test from 'ava';
import { randomOf, refused, seedOf } from '../support/tools.js';

const MIB = 2 ** 20;

test('blocks of many pools find their way back', (t) => {
  const random = randomOf(seedOf(t));
  const heap = Buddy.create({ memory: new SharedArrayBuffer(8 * MIB), end: MIB });
  const places = Array.from({ length: 20 }, (_, nth) => nth).sort(() => random(3) - 1);
  for (const place of places) heap.addMemory(2 * MIB + place * 100_000, 60_000 + random(40_000));
  t.is(heap.stats().pools, 21);
  const held: number[] = [];
  for (let block = heap.malloc(1000); block !== 0; block = heap.malloc(1000)) held.push(block);
  t.true(held.some((block) => block < MIB) && held.some((block) => block > 3.8 * MIB));
  heap.validate();
  const other = Buddy.attach(heap.share());
  for (const [nth, block] of held.sort(() => random(3) - 1).entries())
    (nth % 2 === 0 ? heap : other).free(block);
  t.is(heap.usedBytes(), 0);
  heap.validate();
  heap.registerError(() => {});
  t.is(heap.usableSize(7 * MIB), 0);
});

test('pools that overlap are refused and nothing changes', (t) => {
  const heap = Buddy.create({ memory: new SharedArrayBuffer(4 * MIB), end: MIB });
  heap.addMemory(2 * MIB, MIB);
  const total = heap.totalBytes();
  for (const [start, size] of [
    [2 * MIB, MIB],
    [2 * MIB - 4096, 8192],
    [3 * MIB - 16, 4096],
    [2 * MIB + 5000, 10_000],
    [MIB - 64, 4096],
  ])
    refused(t, 'MemoryOverlap', () => heap.addMemory(start, size), String(start));
  refused(t, 'MemoryOverlap', () => heap.addMemory(0, 4096));
  refused(t, 'InvalidParam', () => heap.addMemory(4 * MIB, 4096));
  t.is(heap.totalBytes(), total);
  // Beside one another they may lie; they do not become one.
  heap.addMemory(3 * MIB, MIB);
  heap.addMemory(MIB, MIB);
  t.is(heap.stats().pools, 4);
  heap.validate();
});
