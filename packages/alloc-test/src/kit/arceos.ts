/**
 * The single-threaded ArceOS tests, with the parameters of the originals at full scale: a heap of 512 MiB,
 * their random numbers. (multi_thread_test is in `threads.ts`, basic_test in `arceos-basic.ts`.)
 */

import { basicChecks } from './arceos-basic.ts';
import { type Bench, type Check, expect, expectBlock, expectEmpty } from './bench.ts';
import { freeAll } from './churn.ts';
import { type AlignedBlock, ArceosRandom, takeAt } from './random.ts';

const MIB = 1024 * 1024;

/** Every single-threaded row. */
export function arceosChecks(bench: Bench): Check[] {
  const { alignSteps, touched, benchBlocks, largeReplacements } = bench.amounts;
  return [
    { title: `align_test: ${alignSteps} steps of sizes to 64 KiB at alignments to 128`, run: alignTest },
    ...basicChecks(bench),
    { title: `mi_test: small beside large, two aligned pairs, ${touched} × 2 MiB touched`, run: miTest },
    {
      title: `glibc_bench: 16, 32, 64 bytes in batches of 25 … 1600, ${benchBlocks} blocks each`,
      run: glibcBench,
    },
    { title: `malloc_large: 10 buffers of 2–5 MiB, ${largeReplacements} replacements`, run: mallocLarge },
  ];
}

/**
 * Two thirds allocate ⌊2^(r & 15) · (1 + U)⌋ bytes at a multiple of 2^(r & 7), one third frees a random one;
 * then all are freed.
 */
export function alignTest(bench: Bench): void {
  const watched = bench.watch(bench.big());
  const { heap, checked } = watched;
  const before = heap.usedBytes();
  const random = new ArceosRandom();
  const held: AlignedBlock[] = [];
  for (let step = 0; step < bench.amounts.alignSteps; step++) {
    if (random.below(3) !== 0 || held.length === 0) {
      const size = Math.floor(2 ** (random.next() & 15) * (1 + random.real()));
      const align = Math.min(2 ** (random.next() & 7), bench.maxAlign);
      const address = expectBlock(checked.alignedAlloc(align, size), `alignedAlloc(${align}, ${size})`);
      held.push({ address, size, align });
    } else {
      const { address, size } = takeAt(held, random.below(held.length));
      checked.free(address, size);
    }
  }
  heap.validate();
  freeAll(watched, held, before);
}

/** The requests with which the single-threaded mimalloc of ArceOS was tried out. */
export function miTest(bench: Bench): void {
  const watched = bench.watch(bench.big());
  const { heap, checked } = watched;
  const before = heap.usedBytes();
  const pairs = [
    [16, 1_000_000],
    [16, 16],
  ];
  for (const [first, second] of pairs) {
    const a = expectBlock(checked.malloc(first), `malloc(${first})`);
    const b = expectBlock(checked.malloc(second), `malloc(${second})`);
    checked.free(a, first);
    checked.free(b, second);
  }
  for (const size of [64, 160]) {
    const address = expectBlock(checked.alignedAlloc(8, size), `alignedAlloc(8, ${size})`);
    checked.free(address, size);
  }
  expectEmpty(watched, before);
  for (let turn = 0; turn < bench.amounts.touched; turn++) {
    const address = expectBlock(heap.malloc(2 * MIB), 'malloc of 2 MiB');
    const bytes = heap.memory.view('u8', address, 2 * MIB);
    bytes.fill(turn);
    expect(
      bytes[0] === (turn & 255) && bytes[2 * MIB - 1] === (turn & 255),
      'a block of 2 MiB forgot its bytes',
    );
    heap.free(address);
  }
  expectEmpty(watched, before);
}

/**
 * Batches of one size; half of a batch is freed first-in-first-out, the other half last-in-first-out. Every
 * block is touched.
 */
export function glibcBench(bench: Bench): void {
  const watched = bench.watch(bench.big());
  const { heap } = watched;
  const before = heap.usedBytes();
  const { i32 } = heap.memory;
  const blocks: number[] = [];
  const release = (index: number): void => {
    expect(i32[blocks[index] >>> 2] === index, `block ${index} of a batch holds another block's number`);
    heap.free(blocks[index]);
  };
  for (const size of [16, 32, 64]) {
    for (const batch of [25, 100, 400, 1600]) {
      for (let turn = 0; turn < bench.amounts.benchBlocks / batch; turn++) {
        for (let index = 0; index < batch; index++) {
          blocks[index] = expectBlock(heap.malloc(size), `malloc(${size})`);
          i32[blocks[index] >>> 2] = index;
        }
        const half = Math.floor(batch / 2);
        for (let index = 0; index < half; index++) release(index);
        for (let index = batch - 1; index >= half; index--) release(index);
      }
    }
  }
  expectEmpty(watched, before);
}

/** Large buffers replaced at random. */
export function mallocLarge(bench: Bench): void {
  const watched = bench.watch(bench.big());
  const { heap, checked } = watched;
  const before = heap.usedBytes();
  const random = new ArceosRandom();
  const held: AlignedBlock[] = [];
  for (let turn = 0; turn < bench.amounts.largeReplacements; turn++) {
    if (held.length === 10) {
      const { address, size } = takeAt(held, random.below(10));
      checked.free(address, size);
    }
    const size = 2 * MIB + random.below(3 * MIB + 1);
    held.push({ address: expectBlock(checked.malloc(size), `malloc(${size})`), size, align: 16 });
  }
  freeAll(watched, held, before);
}
