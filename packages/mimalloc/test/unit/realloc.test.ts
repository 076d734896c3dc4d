import { CheckedAllocator, Oracle } from '@shmalloc/alloc-test';
import test from 'ava';
import { randomOf, seedOf, segmentBytes, shuffle, small, takeAt, watch } from '../support/harness.ts';

/**
 * Sizes around every place where something changes: words, bins, the direct table, pages, slices, segments.
 */
function edges(most: number): number[] {
  const sizes = [0, 1, 7, 8, 9, 15, 16, 17, 1023, 1024, 1025];
  for (let power = 32; power <= most; power *= 2) sizes.push(power - 1, power, power + 1);
  return sizes;
}

test('realloc keeps the contents between any two sizes', (t) => {
  const heap = small({ bytes: 1 << 22 });
  const sizes = edges(1 << 19);
  const { u8 } = heap.memory;
  for (const from of sizes) {
    for (const to of sizes) {
      const block = heap.malloc(from);
      for (let at = 0; at < from; at += from > 2000 ? 997 : 1) u8[block + at] = at * 7 + from;
      const moved = heap.realloc(block, to);
      if (moved === 0) return t.fail(`realloc from ${from} to ${to} gave 0`);
      if (heap.usableSize(moved) < to) return t.fail(`${from} to ${to}: usable ${heap.usableSize(moved)}`);
      for (let at = 0; at < Math.min(from, to); at += from > 2000 ? 997 : 1) {
        if (u8[moved + at] !== ((at * 7 + from) & 255)) return t.fail(`${from} to ${to}: byte ${at}`);
      }
      heap.free(moved);
    }
  }
  heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
});

test('a block stays where it is while the new size fits and wastes less than half of it', (t) => {
  const heap = small({ bytes: 1 << 22 });
  for (const size of [16, 100, 1000, 5000, 50_000, 500_000]) {
    const block = heap.malloc(size);
    const usable = heap.usableSize(block);
    for (const fits of [usable, usable - 1, (usable * 3) >> 2, (usable >> 1) + 1, Math.ceil(usable / 2)]) {
      t.is(heap.realloc(block, fits), block, `${fits} of ${usable}`);
      heap.validate({ quiet: true });
    }
    const moved = heap.realloc(block, (usable >> 1) - 1);
    t.not(moved, block, `${usable}: more than half would be wasted`);
    heap.free(moved);
    heap.validate({ quiet: true });
  }
  t.is(heap.usedBytes(), 0);
});

test('a realloc that finds no memory gives 0 and leaves the block as it was', (t) => {
  const heap = small();
  const { u8 } = heap.memory;
  const block = heap.malloc(1000);
  u8.fill(0x42, block, block + 1000);
  for (const size of [1 << 20, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53]) {
    t.is(heap.realloc(block, size), 0, `${size}`);
    heap.validate({ quiet: true });
    t.true(u8.subarray(block, block + 1000).every((byte) => byte === 0x42));
  }
  heap.free(block);
  t.is(heap.usedBytes(), 0);
});

test('realloc of an address that was not handed out is reported, and gives 0', (t) => {
  const { heap, errors } = watch(small());
  const block = heap.malloc(100);
  heap.free(heap.malloc(5000));
  for (const address of [8, 4, block + 1, block + 4, 2 ** 31, 2 ** 32 - 8, 2 ** 40]) {
    const before = errors.length;
    t.is(heap.realloc(address, 10), 0, `${address}`);
    t.is(errors.length, before + 1);
    t.regex(errors[before].message, new RegExp(`realloc\\(${address}\\)`));
    heap.validate({ quiet: true });
  }
  t.true(heap.usableSize(block) >= 100);
});

test('a block that is reallocated again and again is one block all the time', (t) => {
  const random = randomOf(seedOf(t));
  const heap = small({ bytes: 1 << 22 });
  const { u8 } = heap.memory;
  let size = 1;
  let block = heap.malloc(size);
  u8[block] = 0x99;
  for (let step = 0; step < 2000; step++) {
    size = 1 + random(2 ** (1 + random(20)));
    block = heap.realloc(block, size);
    if (block === 0) return t.fail(`step ${step}: ${size} bytes`);
    if (u8[block] !== 0x99) return t.fail(`step ${step}: its first byte has gone`);
    heap.validate({ quiet: true });
    t.true(heap.usedBytes() >= size && heap.usedBytes() <= 2 * size + 16 + segmentBytes(heap));
  }
  heap.free(block);
  t.is(heap.usedBytes(), 0);
});

test('random reallocs of many blocks, watched by the oracle', (t) => {
  const random = randomOf(seedOf(t));
  const heap = small({ bytes: 1 << 22 });
  const oracle = Oracle.create({ bytes: heap.memory.byteLength });
  const checked = new CheckedAllocator(heap, oracle, 0);
  const live: { block: number; size: number }[] = [];
  const sizeOf = (): number => random(2 ** (1 + random(18)));
  for (let step = 0; step < 20_000; step++) {
    const choice = random(10);
    if (choice < 3 || live.length === 0) {
      const size = sizeOf();
      const block = checked.malloc(size);
      if (block !== 0) live.push({ block, size });
    } else if (choice < 7) {
      const held = live[random(live.length)];
      const size = sizeOf();
      const moved = checked.realloc(held.block, held.size, 1, size);
      if (moved !== 0) Object.assign(held, { block: moved, size });
    } else {
      const { block, size } = takeAt(live, random(live.length));
      checked.free(block, size);
    }
    if (step % 100 === 0) heap.validate({ quiet: true });
  }
  for (const { block, size } of shuffle(live, random)) checked.free(block, size);
  t.deepEqual(
    oracle.violations().map(({ message }) => message),
    [],
  );
  heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
});
