/**
 * Property tests: any sequence of operations keeps the heap valid and the oracle silent. A sequence that does
 * not is shrunk to a short one, and is printed with the seed that leads to it.
 */

import fc from 'fast-check';
import { type Bench, type Check, expect, expectNoViolations } from './bench.ts';
import { freeAll } from './churn.ts';
import { type AlignedBlock, takeAt } from './random.ts';

/**
 * One operation. `pick` chooses among the blocks that are held at that moment, so that a shrunk sequence
 * stays meaningful.
 */
export type Step =
  | { readonly do: 'malloc'; readonly size: number }
  | { readonly do: 'calloc'; readonly count: number; readonly size: number }
  | { readonly do: 'aligned'; readonly align: number; readonly size: number }
  | { readonly do: 'realloc'; readonly pick: number; readonly size: number }
  | { readonly do: 'free'; readonly pick: number };

/** How many steps a sequence has at most. */
const LONGEST = 120;

/** The sequences, on a small heap and on one that is nearly full all the time. */
export function propertyChecks({ amounts }: Bench): Check[] {
  return [
    {
      title: `any sequence of operations keeps the heap valid (${amounts.propertyRuns} sequences)`,
      run: (bench) => anySequence(bench, 600),
    },
    {
      title: `the same at the edge of memory (${amounts.propertyRuns} sequences)`,
      run: (bench) => anySequence(bench, bench.heapBytes / 8),
    },
  ];
}

/** Sequences whose blocks have up to `largest` bytes, small ones more often. */
function sequences(bench: Bench, largest: number): fc.Arbitrary<Step[]> {
  const pick = fc.nat(1000);
  const size = fc.oneof(fc.nat(40), fc.nat(largest));
  const align = fc
    .integer({ min: 0, max: Math.log2(Math.min(bench.maxAlign, 4096)) })
    .map((power) => 2 ** power);
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('malloc' as const), size }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('calloc' as const), count: fc.nat(9), size }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('aligned' as const), align, size }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('realloc' as const), pick, size }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('free' as const), pick }) },
  );
  return fc.array(step, { maxLength: LONGEST, size: 'max' });
}

/** @throws Error with the seed and the shortest sequence that breaks something */
export function anySequence(bench: Bench, largest: number): void {
  bench.log(`fast-check seed ${bench.seed}`);
  fc.assert(
    fc.property(sequences(bench, largest), (steps) => play(bench, steps)),
    { seed: bench.seed, numRuns: bench.amounts.propertyRuns },
  );
}

/** Plays one sequence on a fresh heap, looking at everything after each step. */
export function play(bench: Bench, steps: readonly Step[]): void {
  const watched = bench.watch(bench.small());
  const { heap, oracle, checked } = watched;
  const before = heap.usedBytes();
  const held: AlignedBlock[] = [];
  const hold = (address: number, size: number, align: number): void => {
    if (address !== 0) held.push({ address, size, align });
  };
  for (const step of steps) {
    switch (step.do) {
      case 'malloc':
        hold(checked.malloc(step.size), step.size, 8);
        break;
      case 'calloc':
        hold(checked.calloc(step.count, step.size), step.count * step.size, 8);
        break;
      case 'aligned':
        hold(checked.alignedAlloc(step.align, step.size), step.size, step.align);
        break;
      case 'realloc': {
        const block = held[step.pick % held.length];
        if (block === undefined) break;
        const address = checked.realloc(block.address, block.size, block.align, step.size);
        if (address !== 0) Object.assign(block, { address, size: step.size });
        break;
      }
      case 'free': {
        if (held.length === 0) break;
        const { address, size } = takeAt(held, step.pick % held.length);
        checked.free(address, size);
      }
    }
    expectNoViolations(oracle);
    heap.validate();
    const used = heap.usedBytes();
    expect(used + heap.availableBytes() === heap.totalBytes(), 'used and available bytes do not add up');
  }
  freeAll(watched, held, before);
}
