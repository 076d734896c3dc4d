/**
 * Where a heap can lie: any shared memory, a part of one, and the upper half of 4 GiB.
 */

import type { HeapOptions } from '@shmalloc/allocator-api';
import { type Bench, bytesInUse, type Check, expect, expectBlock } from './bench.ts';
import { churn } from './churn.ts';

const GIB = 2 ** 30;

/** What stands outside a sub-range. */
const OUTSIDE = 0x5a;

/** Every kind of region. */
export function regionChecks(): Check[] {
  return [
    {
      title: 'works in a SharedArrayBuffer',
      run: (bench) => live(bench, { bytes: bench.heapBytes, backing: 'sab' }),
    },
    {
      title: 'works in a shared WebAssembly.Memory',
      run: (bench) => live(bench, { bytes: bench.heapBytes, backing: 'wasm' }),
    },
    { title: 'works in a part of a buffer and leaves the bytes outside alone', run: subRange },
    { title: 'works at a start and an end that are aligned to nothing', run: oddRange },
    { title: 'works at addresses above 2 GiB', run: upperHalf },
    { title: 'hands out blocks across a region of 4 GiB', run: wholeAddressSpace },
  ];
}

/** A short random life in such a region. */
export function live(bench: Bench, options: HeapOptions): void {
  churn(bench, bench.watch(bench.create(options)));
}

/** Heaps inside a buffer whose other bytes hold a pattern. */
function inside(bench: Bench, start: number, end: number, bytes: number): void {
  const memory = new SharedArrayBuffer(bytes);
  const u8 = new Uint8Array(memory).fill(OUTSIDE);
  live(bench, { memory, start, end });
  for (const [from, to] of [
    [0, start],
    [end, bytes],
  ]) {
    for (let at = from; at < to; at++)
      expect(u8[at] === OUTSIDE, `byte ${at} outside [${start}, ${end}) was written`);
  }
}

export function subRange(bench: Bench): void {
  inside(bench, 65536, 65536 + bench.heapBytes, 2 * 65536 + bench.heapBytes);
}

export function oddRange(bench: Bench): void {
  for (const [start, cut] of [
    [1, 1],
    [4099, 5],
    [24, 8],
    [65537, 3],
  ]) {
    inside(bench, start, start + bench.heapBytes - cut, 2 * 65536 + bench.heapBytes);
  }
}

/** The top of a buffer of 4 GiB, most of which is never touched. */
export function upperHalf(bench: Bench): void {
  const memory = new SharedArrayBuffer(4 * GIB);
  live(bench, { memory, start: 4 * GIB - 2 * bench.heapBytes, end: 4 * GIB });
  live(bench, { memory, start: 2 * GIB - bench.heapBytes / 2, end: 2 * GIB + bench.heapBytes });
}

/** Blocks of 200 MiB until the region is full: some lie above 2 GiB, and all come back. */
export function wholeAddressSpace(bench: Bench): void {
  const heap = bench.create({ memory: new SharedArrayBuffer(4 * GIB) });
  const before = heap.usedBytes();
  const size = 200 * 1024 * 1024;
  const blocks: number[] = [];
  for (let address = heap.malloc(size); address !== 0; address = heap.malloc(size)) {
    heap.memory.u8[address] = blocks.length + 1;
    heap.memory.u8[address + size - 1] = blocks.length + 1;
    blocks.push(address);
    expect(blocks.length <= 21, '4 GiB gave more than 21 blocks of 200 MiB');
  }
  expect(blocks.length >= 10, `4 GiB gave only ${blocks.length} blocks of 200 MiB`);
  expect(
    blocks.some((address) => address >= 2 * GIB),
    'no block lies above 2 GiB',
  );
  heap.validate();
  for (const [index, address] of blocks.entries()) {
    const [first, last] = [heap.memory.u8[address], heap.memory.u8[address + size - 1]];
    expect(first === index + 1 && last === index + 1, `the block at ${address} overlaps another`);
    expect(heap.usableSize(address) >= size, `usableSize(${address}) is ${heap.usableSize(address)}`);
    heap.free(address);
  }
  const again = expectBlock(heap.malloc(Math.floor(bench.largestShare * 3 * GIB)), 'malloc of most of 4 GiB');
  heap.free(again);
  heap.validate();
  expect(bytesInUse(heap) === before, `with everything freed ${heap.usedBytes() - before} bytes are in use`);
}
