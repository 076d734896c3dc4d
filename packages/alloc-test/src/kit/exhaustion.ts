/**
 * The end of memory: NULL when it cannot and not before, and everything that is freed can be had again.
 */

import {
  type Bench,
  type Check,
  expect,
  expectBlock,
  expectEmpty,
  expectNoViolations,
  type WatchedHeap,
} from './bench.ts';
import { fill, freeAll } from './churn.ts';
import { ArceosRandom } from './random.ts';

/** Sizes that a heap is filled with; a negative one stands for a mixture up to that size. */
const FILLS = [48, 200, 1000, 10_000, -600];

/** In which order the blocks of a full heap come back. */
const ORDERS = ['first-in-first-out', 'last-in-first-out', 'shuffled'] as const;
type Order = (typeof ORDERS)[number];

/** All about running out. */
export function exhaustionChecks(bench: Bench): Check[] {
  const percent = Math.round(bench.largestShare * 100);
  return [
    ...ORDERS.map((order) => ({
      title: `filled, freed ${order} and filled again, the heap holds the same number of blocks`,
      run: (at: Bench): void => fillTwice(at, order),
    })),
    { title: 'running out leaves every block and the heap consistent', run: runOut },
    {
      title: `with little in use a request of ${percent} % of what is available succeeds`,
      run: largeRequest,
    },
    { title: 'a request above all memory gives 0', run: hugeRequest },
  ];
}

export function fillTwice(bench: Bench, order: Order): void {
  bench.log(`seed ${bench.seed}`);
  for (const size of FILLS) {
    const watched = bench.watch(bench.small());
    const { heap, oracle, checked } = watched;
    const before = heap.usedBytes();
    let first = -1;
    for (let round = 0; round < 3; round++) {
      const random = new ArceosRandom(bench.seed);
      const blocks = fill(watched, size > 0 ? size : () => random.below(-size));
      if (first === -1) first = blocks.length;
      else if (blocks.length !== first) {
        const detail = { detail: first, more: blocks.length };
        oracle.report({
          kind: 'lost',
          operation: 'malloc',
          thread: 0,
          address: 0,
          size: Math.abs(size),
          ...detail,
        });
      }
      if (order === 'last-in-first-out') blocks.reverse();
      if (order === 'shuffled') new ArceosRandom(bench.seed + round).shuffle(blocks);
      for (const block of blocks) checked.free(block.address, block.size);
    }
    expectEmpty(watched, before);
  }
}

export function runOut(bench: Bench): void {
  const watched = bench.watch(bench.small());
  const { heap, oracle, checked } = watched;
  const before = heap.usedBytes();
  const blocks = fill(watched, 1000);
  expectNoViolations(oracle);
  heap.validate();
  const used = heap.usedBytes();
  for (const size of [1000, 5000, 2 ** 20]) {
    expect(checked.malloc(size) === 0, `a full heap gave ${size} bytes`);
    expect(checked.calloc(1, size) === 0, `a full heap gave ${size} zeroed bytes`);
    expect(checked.alignedAlloc(16, size) === 0, `a full heap gave ${size} aligned bytes`);
    expect(checked.realloc(blocks[0].address, 1000, 16, 10_000 + size) === 0, 'a full heap let a block grow');
  }
  expect(heap.usedBytes() === used, 'requests that failed changed the bytes in use');
  heap.validate();
  const middle = blocks[blocks.length >> 1];
  checked.free(middle.address, 1000);
  middle.address = expectBlock(checked.malloc(1000), 'malloc(1000) after a free of that size');
  freeAll(watched, blocks, before);
}

/** Asks for a share of what is available, and gives it back. */
function requestShare({ heap, oracle, checked }: WatchedHeap, share: number): void {
  const available = heap.availableBytes();
  const size = Math.floor(available * share);
  const address = checked.malloc(size);
  if (address !== 0) checked.free(address, size);
  else oracle.report({ kind: 'refused', operation: 'malloc', thread: 0, address, size, detail: available });
}

export function largeRequest(bench: Bench): void {
  const watched = bench.watch(bench.small());
  const { heap, oracle, checked } = watched;
  const before = heap.usedBytes();
  const little = [16, 64, 200, 30].map((size) => {
    return { address: expectBlock(checked.malloc(size), `malloc(${size})`), size };
  });
  for (let share = bench.largestShare; share > 0.01; share /= 2) requestShare(watched, share);
  // The same after the heap was cut into small pieces once.
  for (const { address, size } of fill(watched, 100)) checked.free(address, size);
  requestShare(watched, bench.largestShare);
  expectNoViolations(oracle);
  freeAll(watched, little, before);
}

export function hugeRequest(bench: Bench): void {
  const { heap } = bench.watch(bench.small());
  const before = heap.usedBytes();
  const top = Math.min(bench.maxAlign, 4096);
  for (const size of [
    heap.totalBytes() + 1,
    bench.heapBytes,
    2 ** 31,
    2 ** 32 - 16,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 53 - 1,
  ]) {
    expect(heap.malloc(size) === 0, `malloc(${size}) gave a block`);
    expect(heap.calloc(1, size) === 0, `calloc(1, ${size}) gave a block`);
    expect(heap.alignedAlloc(top, size) === 0, `alignedAlloc(${top}, ${size}) gave a block`);
  }
  expect(heap.usedBytes() === before, 'requests that failed changed the bytes in use');
  heap.validate();
}
