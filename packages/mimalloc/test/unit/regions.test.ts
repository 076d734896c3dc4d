/** The same life in regions of every kind, place and size. */
import { CheckedAllocator, Oracle } from '@shmalloc/alloc-test';
import { MiMalloc, type MiMallocOptions } from '@shmalloc/mimalloc';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { randomOf, seedOf, segmentBytes, shuffle, takeAt } from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

/**
 * A random life with blocks of every kind, watched by the oracle; the heap is sound all the time and empty at
 * the end.
 */
function live(t: ExecutionContext, options: MiMallocOptions, steps = 1500, often = 1): MiMalloc {
  const random = randomOf(seedOf(t));
  const heap = MiMalloc.create({ grow: false, ...options });
  const oracle = Oracle.create({ bytes: heap.memory.byteLength });
  const checked = new CheckedAllocator(heap, oracle, 0);
  const largest = Math.min(2 * segmentBytes(heap), heap.totalBytes() / 8);
  const held: { block: number; size: number; align: number }[] = [];
  const sizeOf = (): number => {
    const kind = random(20);
    return kind < 12 ? random(300) : kind < 18 ? random(tldOf(heap).mediumMax) : random(largest);
  };
  let bytes = 0;
  for (let step = 0; step < steps; step++) {
    const choice = random(16);
    let size = sizeOf();
    let block = 0;
    let align = 1;
    if (choice < 6) block = checked.malloc(size);
    else if (choice < 7) {
      const count = 1 + random(4);
      const each = size >> 2;
      size = count * each;
      block = checked.calloc(count, each);
    } else if (choice < 9) {
      align = 2 ** random(14);
      block = checked.alignedAlloc(align, size);
    } else if (choice < 11 && held.length > 0) {
      const one = held[random(held.length)];
      const moved = checked.realloc(one.block, one.size, one.align, size);
      if (moved !== 0) Object.assign(one, { block: moved, size, align: 1 });
    } else if (held.length > 0) {
      const one = takeAt(held, random(held.length));
      checked.free(one.block, one.size);
    }
    if (block !== 0) {
      held.push({ block, size, align });
      bytes += size;
    }
    if (step % often === 0) heap.validate({ quiet: true });
  }
  for (const { block, size } of shuffle(held, random)) checked.free(block, size);
  t.deepEqual(
    oracle.violations().map(({ message }) => message),
    [],
  );
  heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
  t.log(`${bytes} bytes handed out`);
  return heap;
}

for (const bytes of [128 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB]) {
  for (const backing of ['sab', 'wasm'] as const) {
    test(`a life in ${bytes / KIB} KiB of ${backing} memory`, (t) => {
      live(t, { bytes, backing }, 800);
    });
  }
}

for (const [place, start, bytes] of [
  ['below 2 GiB and above it', 2 * GIB - 8 * MIB, 16 * MIB],
  ['above 2 GiB', 3 * GIB, 16 * MIB],
  ['at the top of 4 GiB', 4 * GIB - 16 * MIB, 16 * MIB],
  ['at the top of 4 GiB, small', 4 * GIB - 256 * KIB, 256 * KIB],
  ['at an odd start', 2 * GIB + 12_345, 2 * MIB],
] as const) {
  test(`a life ${place}`, (t) => {
    const heap = live(t, { memory: new SharedArrayBuffer(4 * GIB), start, end: start + bytes }, 1000, 4);
    const block = heap.malloc(100);
    t.true(block >= start && block < start + bytes);
    heap.free(block);
  });
}

test('a life in 4 GiB, with segments of 4 MiB', (t) => {
  const heap = live(t, { memory: new SharedArrayBuffer(4 * GIB) }, 400, 40);
  t.is(segmentBytes(heap), 4 * MIB);
  t.true(heap.totalBytes() > 3.9 * GIB);
});

test('blocks of every size and alignment above 2 GiB are written, measured, moved and freed', (t) => {
  const heap = MiMalloc.create({ memory: new SharedArrayBuffer(4 * GIB), start: 2 * GIB });
  const blocks = [8, 100, 1000, 20_000, 100_000, 300_000, 5 * MIB, 100 * MIB, GIB].map((size) => {
    const block = heap.malloc(size);
    t.true(block > 2 * GIB && Number.isInteger(block), `${size} bytes at ${block}`);
    heap.memory.u8[block] = 1;
    heap.memory.u8[block + size - 1] = 1;
    t.true(heap.usableSize(block) >= size);
    return block;
  });
  for (const align of [64, 4096, MIB, 64 * MIB]) {
    const block = heap.alignedAlloc(align, 1000);
    t.true(block > 2 * GIB && block % align === 0);
    blocks.push(block);
  }
  heap.validate({ quiet: true });
  const moved = blocks.map((block, index) => heap.realloc(block, 50 + index * 5000));
  t.true(moved.every((block) => block > 2 * GIB));
  heap.validate({ quiet: true });
  for (const block of moved) heap.free(block);
  heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
});

test('the last slice of 4 GiB is one like all others', (t) => {
  const heap = MiMalloc.create({ memory: new SharedArrayBuffer(4 * GIB), start: 4 * GIB - MIB });
  const blocks: number[] = [];
  for (let block = heap.malloc(1000); block !== 0; block = heap.malloc(1000)) blocks.push(block);
  const last = Math.max(...blocks);
  t.true(last > 4 * GIB - 65 * KIB, `${4 * GIB - last} bytes below the end`);
  heap.memory.u8.fill(1, last, last + 1000);
  heap.validate({ quiet: true });
  for (const block of blocks) heap.free(block);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
});

test('the same calls give the same addresses, relative to the start, at every place that is a multiple of 4 MiB', (t) => {
  const traces = [0, 4 * MIB, GIB, 2 * GIB - 4 * MIB, 2 * GIB, 4 * GIB - 4 * MIB].map((start) => {
    const random = randomOf(7);
    const heap = MiMalloc.create({ memory: new SharedArrayBuffer(4 * GIB), start, end: start + 4 * MIB });
    const trace: number[] = [];
    for (let step = 0; step < 500; step++) {
      const block = heap.malloc(random(random(10) === 0 ? 100_000 : 500));
      if (block === 0) continue;
      trace.push(block - start);
      if (random(3) === 0) heap.free(block);
    }
    heap.validate({ quiet: true });
    return trace.join();
  });
  for (const trace of traces.slice(2)) t.is(trace, traces[1]);
});
