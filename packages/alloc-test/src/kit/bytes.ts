/**
 * The ArceOS side of a heap: memory that is given to it piece by piece, explicit layouts, errors with codes, totals that add up.
 */

import { AllocError, type AllocErrorCode, isAligned } from '@shmalloc/allocator-api';
import { type Bench, type Check, expect } from './bench.ts';
import { ArceosRandom, type HeldBlock, takeAt } from './random.ts';
import type { TestedHeap } from './subject.ts';

/** Everything that `BaseAllocator` and `ByteAllocator` say. */
export function bytesChecks(): Check[] {
  return [
    { title: 'init manages the new range alone', run: initAlone },
    { title: 'addMemory adds ranges with gaps and beside each other', run: addRanges },
    { title: 'addMemory refuses ranges outside, overlapping, or over its own state', run: refuseRanges },
    { title: 'alloc throws NoMemory, dealloc throws NotAllocated', run: codes },
    { title: 'used and available bytes add up after every operation', run: totals },
  ];
}

/** Demands an AllocError of this code. */
export function expectCode(what: string, code: AllocErrorCode, call: () => unknown): void {
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    expect(error instanceof AllocError, `${what} threw ${error}, not an AllocError`);
    expect(error.code === code, `${what} threw an AllocError ${error.code}, not ${code}`);
    return;
  }
  throw new Error(`${what} gave ${result} instead of an AllocError ${code}`);
}

/** Everything that can be had in blocks of one size. */
function drain(heap: TestedHeap, size: number): number[] {
  const blocks: number[] = [];
  for (let address = heap.malloc(size); address !== 0; address = heap.malloc(size)) blocks.push(address);
  return blocks;
}

/** A heap of 4 parts that manages its second part alone. */
function onSecondPart(bench: Bench): { heap: TestedHeap; part: number; start: number } {
  const part = bench.heapBytes;
  const memory = new SharedArrayBuffer(4 * part);
  const heap = bench.create({ memory });
  heap.init(part, part);
  return { heap, part, start: part };
}

export function initAlone(bench: Bench): void {
  const { heap, part, start } = onSecondPart(bench);
  expect(heap.totalBytes() <= part, `after init with ${part} bytes it manages ${heap.totalBytes()}`);
  expect(heap.totalBytes() > part * 0.8, `of ${part} bytes only ${heap.totalBytes()} are of use`);
  const blocks = drain(heap, 1000);
  for (const block of blocks) {
    expect(
      block >= start && block + 1000 <= start + part,
      `a block lies at ${block}, outside the range of init`,
    );
  }
  expect(blocks.length * 1000 > part * 0.6, `${part} bytes gave only ${blocks.length} blocks of 1000`);
  heap.init(start, part);
  expect(
    drain(heap, 1000).length === blocks.length,
    'a second init has not forgotten the blocks of the first',
  );
  heap.validate();
}

export function addRanges(bench: Bench): void {
  const { heap, part, start } = onSecondPart(bench);
  const alone = heap.totalBytes();
  const half = part / 2;
  heap.addMemory(start + part + half, half); // with a gap before
  heap.validate();
  expect(heap.totalBytes() > alone + half * 0.8, `half a part more made ${alone} bytes ${heap.totalBytes()}`);
  heap.addMemory(start + part, half); // which closes the gap
  heap.validate();
  heap.addMemory(start + 2 * part, part); // beside the last
  heap.validate();
  const total = heap.totalBytes();
  expect(total <= 3 * part && total > 3 * part * 0.8, `3 × ${part} bytes were given, ${total} are managed`);
  expect(
    heap.availableBytes() + heap.usedBytes() === total,
    'used and available bytes do not add up to the total',
  );
  const blocks = drain(heap, 1000);
  const inPart = (index: number): boolean => blocks.some((block) => Math.floor(block / part) === index);
  expect(inPart(1) && inPart(2) && inPart(3), 'some of the memory that was added gives no blocks');
  for (const block of blocks) heap.free(block);
  heap.validate();
  expect(
    drain(heap, 1000).length === blocks.length,
    'freed and filled again, the ranges hold another number of blocks',
  );
}

export function refuseRanges(bench: Bench): void {
  const { heap, part, start } = onSecondPart(bench);
  const total = heap.totalBytes();
  const end = 4 * part;
  for (const method of ['addMemory', 'init'] as const) {
    expectCode(`${method} behind the memory`, 'InvalidParam', () => heap[method](end, part));
    expectCode(`${method} across the end of the memory`, 'InvalidParam', () =>
      heap[method](end - 4096, 8192),
    );
    const state = heap.share().start;
    expectCode(`${method} over the heap's own state`, 'MemoryOverlap', () => heap[method](state, part));
  }
  expectCode('addMemory of what is managed', 'MemoryOverlap', () => heap.addMemory(start, part));
  expectCode('addMemory inside what is managed', 'MemoryOverlap', () => heap.addMemory(start + 4096, 4096));
  expectCode('addMemory across the end of what is managed', 'MemoryOverlap', () =>
    heap.addMemory(start + part - 4096, 8192),
  );
  expectCode('addMemory across the start of what is managed', 'MemoryOverlap', () =>
    heap.addMemory(start - 4096, 8192),
  );
  expect(heap.totalBytes() === total, 'ranges that were refused changed the total');
  heap.validate();
}

export function codes(bench: Bench): void {
  const heap = bench.small();
  const total = heap.totalBytes();
  expectCode('alloc of more than all', 'NoMemory', () => heap.alloc(total + 1, 16));
  expectCode('alloc of 2^32 bytes', 'NoMemory', () => heap.alloc(2 ** 32, 16));
  const block = heap.alloc(100, 16);
  const used = heap.usedBytes();
  expectCode('dealloc in free memory', 'NotAllocated', () => heap.dealloc(heap.memory.end - 4096, 100, 16));
  expectCode('dealloc behind the memory', 'NotAllocated', () =>
    heap.dealloc(heap.memory.end + 4096, 100, 16),
  );
  expect(heap.usedBytes() === used, 'a dealloc that was refused changed the bytes in use');
  heap.dealloc(block, 100, 16);
  expectCode('a second dealloc', 'NotAllocated', () => heap.dealloc(block, 100, 16));
  heap.validate();
}

export function totals(bench: Bench): void {
  const heap = bench.small();
  bench.log(`seed ${bench.seed}`);
  const random = new ArceosRandom(bench.seed);
  const total = heap.totalBytes();
  const empty = heap.usedBytes();
  const held: HeldBlock[] = [];
  let requested = 0;
  for (let step = 0; step < 1000; step++) {
    const used = heap.usedBytes();
    if (held.length === 0 || random.below(5) < 3) {
      const size = random.below(2000);
      const align = Math.min(2 ** random.below(9), bench.maxAlign);
      let address: number;
      try {
        address = heap.alloc(size, align);
      } catch (error) {
        expect(
          error instanceof AllocError && error.code === 'NoMemory',
          `alloc(${size}, ${align}) threw ${error}`,
        );
        expect(heap.usedBytes() === used, 'an alloc that failed changed the bytes in use');
        continue;
      }
      expect(address !== 0 && isAligned(address, align), `alloc(${size}, ${align}) gave ${address}`);
      expect(
        heap.usedBytes() >= used + size,
        `alloc of ${size} bytes raised those in use by ${heap.usedBytes() - used}`,
      );
      held.push({ address, size, align });
      requested += size;
    } else {
      const { address, size, align } = takeAt(held, random.below(held.length));
      heap.dealloc(address, size, align);
      expect(
        heap.usedBytes() <= used - size,
        `dealloc of ${size} bytes lowered those in use by ${used - heap.usedBytes()}`,
      );
      requested -= size;
    }
    expect(heap.totalBytes() === total, 'the total has changed');
    expect(
      heap.usedBytes() + heap.availableBytes() === total,
      'used and available bytes do not add up to the total',
    );
    expect(heap.usedBytes() >= requested, 'fewer bytes are in use than were requested');
  }
  for (const { address, size, align } of held) heap.dealloc(address, size, align);
  expect(heap.usedBytes() === empty, `with everything freed ${heap.usedBytes()} bytes are in use`);
  heap.validate();
}
