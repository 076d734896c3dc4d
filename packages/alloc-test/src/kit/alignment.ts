/**
 * Alignment: every power of two with many sizes, and what `malloc` promises without being asked.
 */

import { isAligned } from '@shmalloc/allocator-api';
import { type Bench, type Check, expect, expectBlock, expectEmpty } from './bench.ts';
import { type AlignedBlock, ArceosRandom } from './random.ts';

/** The largest alignment that the kit asks for. */
export const KIT_MAX_ALIGN = 4096;

const SIZES = [0, 1, 7, 8, 9, 15, 16, 17, 31, 40, 64, 100, 255, 256, 1000, 4095, 4096, 4097, 10_000];

/** All that is promised about where blocks start. */
export function alignmentChecks(bench: Bench): Check[] {
  const top = Math.min(bench.maxAlign, KIT_MAX_ALIGN);
  return [
    { title: 'malloc and calloc align to 16, to 8 below 16 bytes', run: defaultAlignments },
    { title: `alignedAlloc keeps every alignment 1 … ${top} with every size`, run: everyAlignment },
    { title: 'blocks of mixed alignments live side by side and come back', run: mixedAlignments },
  ];
}

/** The default alignment, whatever was allocated before. */
export function defaultAlignments(bench: Bench): void {
  const { heap } = bench.watch(bench.small());
  for (let size = 0; size < 300; size++) {
    for (const address of [heap.malloc(size), heap.calloc(1, size), heap.realloc(0, size)]) {
      const align = size >= 16 ? 16 : 8;
      expect(
        address !== 0 && isAligned(address, align),
        `a block of ${size} bytes lies at ${address}, not aligned to ${align}`,
      );
    }
  }
}

/** Every alignment with every size, between blocks of odd sizes that push the next one off its place. */
export function everyAlignment(bench: Bench): void {
  const watched = bench.watch(bench.small());
  const { heap, checked } = watched;
  const before = heap.usedBytes();
  for (let align = 1; align <= Math.min(bench.maxAlign, KIT_MAX_ALIGN); align *= 2) {
    const held = SIZES.flatMap((size) => [
      { address: expectBlock(checked.malloc(size % 97), 'malloc'), size: size % 97 },
      { address: expectBlock(checked.alignedAlloc(align, size), `alignedAlloc(${align}, ${size})`), size },
    ]);
    for (const { address, size } of held) checked.free(address, size);
  }
  expectEmpty(watched, before);
}

/** Random alignments and sizes, freed in random order; all memory comes back. */
export function mixedAlignments(bench: Bench): void {
  const watched = bench.watch(bench.small());
  const { heap, checked } = watched;
  const before = heap.usedBytes();
  const random = new ArceosRandom(bench.seed);
  bench.log(`seed ${bench.seed}`);
  const top = Math.log2(Math.min(bench.maxAlign, KIT_MAX_ALIGN));
  for (let round = 0; round < 10; round++) {
    const held: AlignedBlock[] = [];
    for (let index = 0; index < 100; index++) {
      const align = 2 ** random.below(top + 1);
      const size = random.below(1000);
      held.push({
        address: expectBlock(checked.alignedAlloc(align, size), `alignedAlloc(${align}, ${size})`),
        size,
        align,
      });
    }
    heap.validate();
    for (const { address, size } of random.shuffle(held)) checked.free(address, size);
  }
  expectEmpty(watched, before);
}
