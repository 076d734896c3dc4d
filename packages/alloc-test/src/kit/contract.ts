/**
 * The small print of C's `malloc` family: zero sizes, `realloc`, `calloc`, NULL, usable sizes.
 */

import { type Bench, type Check, expect, expectBlock, expectEmpty } from './bench.ts';

/** Every clause. */
export function contractChecks(): Check[] {
  return [
    { title: 'malloc(0) and calloc(0, n) give unique addresses', run: zeroSizes },
    { title: 'free(0) does nothing, usableSize(0) is 0, realloc(0, n) is malloc(n)', run: nullAddress },
    { title: 'realloc keeps contents through growing and shrinking, at every size', run: reallocContents },
    { title: 'realloc to 0 leaves a block', run: reallocToZero },
    { title: 'realloc that cannot gives 0 and leaves the block as it was', run: reallocFailure },
    { title: 'calloc zeroes memory that held other things', run: callocZeroes },
    { title: 'calloc gives 0 when count × size overflows', run: callocOverflow },
    { title: 'every usable byte can be written without harm to a neighbour', run: usableBytes },
  ];
}

export function zeroSizes(bench: Bench): void {
  const watched = bench.watch(bench.small());
  const before = watched.heap.usedBytes();
  const seen: number[] = [];
  for (let turn = 0; turn < 20; turn++) {
    seen.push(expectBlock(watched.checked.malloc(0), 'malloc(0)'));
    seen.push(expectBlock(watched.checked.calloc(0, 8), 'calloc(0, 8)'));
    seen.push(expectBlock(watched.checked.calloc(8, 0), 'calloc(8, 0)'));
  }
  expect(new Set(seen).size === seen.length, 'two live blocks of 0 bytes have the same address');
  for (const address of seen) watched.checked.free(address, 0);
  expectEmpty(watched, before);
}

export function nullAddress(bench: Bench): void {
  const watched = bench.watch(bench.small());
  const { heap, checked } = watched;
  const before = heap.usedBytes();
  let errors = 0;
  heap.registerError(() => errors++);
  heap.free(0);
  expect(errors === 0, 'free(0) was reported as an error');
  expect(heap.usableSize(0) === 0, `usableSize(0) is ${heap.usableSize(0)}`);
  const address = expectBlock(checked.realloc(0, 0, 0, 100), 'realloc(0, 100)');
  checked.free(address, 100);
  expectEmpty(watched, before);
}

export function reallocContents(bench: Bench): void {
  const watched = bench.watch(bench.small());
  const before = watched.heap.usedBytes();
  const { checked } = watched;
  const sizes = [1, 8, 15, 16, 24, 100, 99, 1000, 4096, 5000, 3, 40_000, 39_999, 12, 0, 64];
  // The second block stands right behind the first one's place, so that some steps must move and some need
  // not.
  for (const crowded of [false, true]) {
    let size = 20;
    let address = expectBlock(checked.malloc(size), 'malloc(20)');
    const crowd: number[] = [];
    for (const next of sizes) {
      if (crowded) crowd.push(expectBlock(checked.malloc(32), 'malloc(32)'));
      address = expectBlock(
        checked.realloc(address, size, 16, next),
        `realloc from ${size} to ${next} bytes`,
      );
      size = next;
      watched.heap.validate();
    }
    checked.free(address, size);
    for (const block of crowd) checked.free(block, 32);
  }
  expectEmpty(watched, before);
}

export function reallocToZero(bench: Bench): void {
  const watched = bench.watch(bench.small());
  const before = watched.heap.usedBytes();
  const address = expectBlock(watched.checked.malloc(100), 'malloc(100)');
  const left = expectBlock(watched.checked.realloc(address, 100, 16, 0), 'realloc to 0 bytes');
  watched.checked.free(left, 0);
  expectEmpty(watched, before);
}

export function reallocFailure(bench: Bench): void {
  const watched = bench.watch(bench.small());
  const { heap, checked } = watched;
  const before = heap.usedBytes();
  const address = expectBlock(checked.malloc(1000), 'malloc(1000)');
  const used = heap.usedBytes();
  for (const size of [heap.totalBytes(), 2 ** 31, 2 ** 32 - 1, 2 ** 32]) {
    expect(checked.realloc(address, 1000, 16, size) === 0, `realloc to ${size} bytes gave a block`);
    expect(heap.usedBytes() === used, `realloc to ${size} bytes failed and changed the bytes in use`);
  }
  checked.free(address, 1000);
  expectEmpty(watched, before);
}

export function callocZeroes(bench: Bench): void {
  const watched = bench.watch(bench.small());
  const { heap, checked } = watched;
  const before = heap.usedBytes();
  for (const size of [1, 7, 8, 13, 16, 100, 1000, 4097, 70_001]) {
    const dirty = expectBlock(heap.malloc(size), `malloc(${size})`);
    heap.memory.u8.fill(0xff, dirty, dirty + heap.usableSize(dirty));
    heap.free(dirty);
    const address = expectBlock(checked.calloc(size, 1), `calloc(${size}, 1)`);
    checked.free(address, size);
    const array = expectBlock(checked.calloc(3, size), `calloc(3, ${size})`);
    checked.free(array, 3 * size);
  }
  expectEmpty(watched, before);
}

export function callocOverflow(bench: Bench): void {
  const { heap } = bench.watch(bench.small());
  const before = heap.usedBytes();
  for (const [count, size] of [
    [2 ** 16, 2 ** 16],
    [2 ** 31, 2],
    [2 ** 32, 2 ** 32],
    [3, Math.ceil(2 ** 32 / 3)],
    [2 ** 30, 2 ** 30],
  ]) {
    const address = heap.calloc(count, size);
    expect(address === 0, `calloc(${count}, ${size}) gave ${address}`);
  }
  expect(heap.usedBytes() === before, 'a calloc that failed changed the bytes in use');
  heap.validate();
}

export function usableBytes(bench: Bench): void {
  const watched = bench.watch(bench.small());
  const { heap, checked } = watched;
  const before = heap.usedBytes();
  for (let size = 0; size < 200; size += 3) {
    const left = expectBlock(checked.malloc(24), 'malloc(24)');
    const middle = expectBlock(heap.malloc(size), `malloc(${size})`);
    const right = expectBlock(checked.malloc(24), 'malloc(24)');
    const usable = heap.usableSize(middle);
    expect(usable >= size, `usableSize of a block of ${size} bytes is ${usable}`);
    heap.memory.u8.fill(0xff, middle, middle + usable);
    heap.validate();
    heap.free(middle);
    checked.free(left, 24);
    checked.free(right, 24);
  }
  expectEmpty(watched, before);
}
