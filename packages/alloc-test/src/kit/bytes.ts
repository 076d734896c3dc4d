/**
 * The ArceOS side of a heap: memory that is given to it piece by piece, explicit layouts, errors with codes,
 * totals that add up.
 */

import { AllocError, type AllocErrorCode, type Heap, isAligned } from '@shmalloc/allocator-api';
import { type Bench, bytesInUse, type Check, expect } from './bench.ts';
import { churn, fill, freeAll } from './churn.ts';
import { type AlignedBlock, ArceosRandom, takeAt } from './random.ts';

/** Everything that `BaseAllocator` and `ByteAllocator` say. */
export function bytesChecks(): Check[] {
  return [
    { title: 'init manages the new range alone', run: initAlone },
    { title: 'addMemory adds ranges with gaps and beside each other', run: addRanges },
    { title: 'ranges beside each other are used in full, in whatever order they come', run: everyOrder },
    { title: 'a range may start at address 0, which is never handed out', run: fromZero },
    {
      title: 'addMemory and init refuse ranges outside, overlapping, too small or over their own state',
      run: refuseRanges,
    },
    { title: 'alloc throws NoMemory, dealloc throws NotAllocated', run: codes },
    { title: 'used and available bytes add up after every operation', run: totals },
  ];
}

/** Demands an AllocError of this code. */
export function expectCode(
  what: string,
  code: AllocErrorCode,
  call: () => unknown,
  or: AllocErrorCode = code,
): void {
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    expect(error instanceof AllocError, `${what} threw ${error}, not an AllocError`);
    expect(
      error.code === code || error.code === or,
      `${what} threw an AllocError ${error.code}, not ${code}`,
    );
    return;
  }
  throw new Error(`${what} gave ${result} instead of an AllocError ${code}`);
}

/** A heap of 4 parts that manages its second part alone. */
function onSecondPart(bench: Bench): { heap: Heap; part: number; start: number } {
  const part = bench.heapBytes;
  const heap = bench.create({ memory: bench.memory(5 * part) });
  heap.init(part, part);
  return { heap, part, start: part };
}

export function initAlone(bench: Bench): void {
  const { heap, part, start } = onSecondPart(bench);
  expect(heap.totalBytes() <= part, `after init with ${part} bytes it manages ${heap.totalBytes()}`);
  expect(heap.totalBytes() > part * 0.8, `of ${part} bytes only ${heap.totalBytes()} are of use`);
  const blocks = fill(bench.watch(heap), 1000);
  for (const { address } of blocks) {
    expect(
      address >= start && address + 1000 <= start + part,
      `a block lies at ${address}, outside the range of init`,
    );
  }
  expect(blocks.length * 1000 > part * 0.6, `${part} bytes gave only ${blocks.length} blocks of 1000`);
  heap.init(start, part);
  expect(
    fill(bench.watch(heap), 1000).length === blocks.length,
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
  const blocks = fill(bench.watch(heap), 1000);
  const inPart = (index: number): boolean =>
    blocks.some(({ address }) => Math.floor(address / part) === index);
  expect(inPart(1) && inPart(2) && inPart(3), 'some of the memory that was added gives no blocks');
  for (const { address } of blocks) heap.free(address);
  heap.validate();
  expect(
    fill(bench.watch(heap), 1000).length === blocks.length,
    'freed and filled again, the ranges hold another number of blocks',
  );
}

/** The six orders of three things. */
const ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];

/** Three ranges without gaps, of one, two and three units in every arrangement, that come in every order. */
export function everyOrder(bench: Bench): void {
  bench.log(`seed ${bench.seed}`);
  for (const arrangement of ORDERS) {
    const unit = bench.heapBytes / 64;
    const sizes = arrangement.map((rank) => (rank + 1) * unit);
    const first = bench.heapBytes;
    const starts = [first, first + sizes[0], first + sizes[0] + sizes[1]];
    const ranges = starts.map((start, index) => [start, sizes[index]] as const);
    for (const order of ORDERS) {
      fillRanges(
        bench,
        order.map((index) => ranges[index]),
      );
    }
  }
}

/**
 * Fills ranges with the smallest blocks, so that a block ends at every seam, frees them in random order, and
 * fills again. What an allocator notes of where a range ended must not outlive the seam.
 */
function fillRanges(bench: Bench, [first, ...others]: (readonly [start: number, size: number])[]): void {
  const heap = bench.create({ memory: bench.memory(2 * bench.heapBytes) });
  const watched = bench.watch(heap);
  heap.init(...first);
  for (const range of others) heap.addMemory(...range);
  const before = heap.usedBytes();
  const counts = [0, 1].map((round) => {
    const blocks = fill(watched, 1);
    heap.validate();
    freeAll(watched, new ArceosRandom(bench.seed + round).shuffle(blocks), before);
    return blocks.length;
  });
  const ranges = [first, ...others].map(([start, size]) => `[${start}, ${start + size})`).join(', then ');
  expect(
    counts[0] === counts[1],
    `${ranges} gave ${counts[0]} blocks, and after all were freed ${counts[1]}`,
  );
}

export function fromZero(bench: Bench): void {
  const part = bench.heapBytes;
  const heap = bench.create({ memory: bench.memory(5 * part), start: part });
  heap.init(0, part);
  churn(bench, bench.watch(heap, { start: 0, end: part }));
  const blocks = fill(bench.watch(heap), 1000);
  expect(blocks.length * 1000 > part * 0.6, `[0, ${part}) gave only ${blocks.length} blocks of 1000 bytes`);
  heap.addMemory(3 * part, part);
  for (const { address } of blocks) heap.free(address);
  heap.validate();
  expect(bytesInUse(heap) === 0, `with everything freed ${heap.usedBytes()} bytes are in use`);
}

export function refuseRanges(bench: Bench): void {
  const { heap, part, start } = onSecondPart(bench);
  const end = heap.memory.byteLength;
  const state = heap.share().start;
  const block = heap.malloc(100);
  const total = heap.totalBytes();
  const refused = (
    method: 'addMemory' | 'init',
    where: string,
    code: AllocErrorCode,
    at: number,
    size: number,
  ) => {
    const what = `${method} ${where}`;
    expectCode(what, code, () => heap[method](at, size));
    expect(heap.totalBytes() === total, `${what} was refused and changed the total`);
    expect(heap.usableSize(block) >= 100, `${what} was refused and cost a block`);
  };
  for (const method of ['addMemory', 'init'] as const) {
    refused(method, 'behind the memory', 'InvalidParam', end, part);
    refused(method, 'across the end of the memory', 'InvalidParam', end - 4096, 8192);
    refused(method, 'of 8 bytes', 'RegionTooSmall', 3 * part, 8);
    refused(method, "over the heap's own state", 'MemoryOverlap', state, part);
  }
  refused('addMemory', 'of what is managed', 'MemoryOverlap', start, part);
  refused('addMemory', 'inside what is managed', 'MemoryOverlap', start + 4096, 4096);
  refused('addMemory', 'across the end of what is managed', 'MemoryOverlap', start + part - 4096, 8192);
  refused('addMemory', 'across the start of what is managed', 'MemoryOverlap', start - 4096, 8192);
  heap.free(block);
  heap.validate();
}

export function codes(bench: Bench): void {
  const heap = bench.small();
  const total = heap.totalBytes();
  expectCode('alloc of more than all', 'NoMemory', () => heap.alloc(total + 1, 16));
  expectCode('alloc of 2^32 bytes', 'NoMemory', () => heap.alloc(2 ** 32, 16));
  const block = heap.alloc(100, 16);
  const used = heap.usedBytes();
  const nowhere = heap.memory.end - 4096;
  expectCode('dealloc in free memory', 'NotAllocated', () => heap.dealloc(nowhere, 100, 16), 'DoubleFree');
  expectCode('dealloc behind the memory', 'NotAllocated', () =>
    heap.dealloc(heap.memory.end + 4096, 100, 16),
  );
  expect(heap.usedBytes() === used, 'a dealloc that was refused changed the bytes in use');
  heap.dealloc(block, 100, 16);
  expectCode('a second dealloc', 'NotAllocated', () => heap.dealloc(block, 100, 16), 'DoubleFree');
  heap.validate();
}

export function totals(bench: Bench): void {
  const heap = bench.small();
  bench.log(`seed ${bench.seed}`);
  const random = new ArceosRandom(bench.seed);
  const total = heap.totalBytes();
  const empty = heap.usedBytes();
  const held: AlignedBlock[] = [];
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
  expect(bytesInUse(heap) === empty, `with everything freed ${heap.usedBytes()} bytes are in use`);
  heap.validate();
}
