/**
 * What the kit is given: the algorithm under test, and what it declares of itself.
 */

import type { HeapAlgorithm, LockKind } from '@shmalloc/allocator-api';

/**
 * The algorithm under test, and where workers find it. A heap's header starts with a magic, and has its
 * version among the next three words.
 * @public
 */
export interface Subject {
  /** How heaps of it are made. */
  readonly algorithm: HeapAlgorithm;
  /** The URL of the module that exports the algorithm: `import.meta.resolve('@shmalloc/tlsf')`. */
  readonly module: string;
  /** The name by which it exports it. */
  readonly exportName: string;
  /** How test titles call it. Default: the algorithm's name. */
  readonly title?: string | undefined;
  /** Further options for `create`, such as a policy. */
  readonly options?: Readonly<Record<string, unknown>> | undefined;
}

/** How test titles call a subject. */
export function titleOf({ title, algorithm }: Subject): string {
  return title ?? algorithm.algorithm;
}

/**
 * The groups of checks; each is one file of the kit.
 * @public
 */
export type Group =
  | 'arceos'
  | 'contract'
  | 'interface'
  | 'alignment'
  | 'exhaustion'
  | 'bad-input'
  | 'bytes'
  | 'property'
  | 'regions'
  | 'threads';

/**
 * What an algorithm declares of itself, and how much is run.
 * @public
 */
export interface ConformanceOptions {
  /**
   * `'brief'`: a second or two. `'quick'`: a few seconds. `'medium'`: three times that. `'full'`: every row
   * of the ArceOS tests with its own numbers: tens of seconds, or minutes. Default: `SCALE` of the
   * environment, or else `'quick'`, and `'brief'` for a {@link ConformanceOptions.variant}.
   */
  scale?: 'brief' | 'quick' | 'medium' | 'full' | undefined;
  /**
   * Whether this is another mode, policy or wrapper of an algorithm that is tested in one of them at a larger
   * scale. Default false.
   */
  variant?: boolean | undefined;
  /** How many workers share the heap, once for each entry. Default `[1, 4]`. */
  workers?: readonly number[] | undefined;
  /**
   * The locks to run threads with. `false` for an algorithm without locks: its `create` is given none, its
   * threads run once, and nothing is expected to go wrong between them. Default spin and mutex.
   */
  locks?: readonly LockKind[] | false | undefined;
  /**
   * Whether a heap with `maxBytes` above `bytes` grows by itself, by any thread: then the workers share one
   * that does, too. Default false.
   */
  grows?: boolean | undefined;
  /** The largest alignment that the algorithm offers, in bytes. Below 4096 the rest shows as skipped. */
  maxAlign?: number | undefined;
  /**
   * Bytes of the small heaps that most checks work on; a 64th of it is the smallest range that `addMemory` is
   * given. Default 1 MiB.
   */
  heapBytes?: number | undefined;
  /** Which part of `availableBytes` one request must get from an almost empty heap. Default 0.8. */
  largestShare?: number | undefined;
  /** Groups that the algorithm cannot stand, each with the reason; they show as skipped. */
  omit?: Partial<Record<Group, string>> | undefined;
  /**
   * Seed of everything random but the ArceOS tests. Default: `SEED` of the environment, or else by the clock;
   * it is logged.
   */
  seed?: number | undefined;
}

/** How much a scale runs. */
export interface Amounts {
  /** align_test: steps. */
  readonly alignSteps: number;
  /** basic_test: numbers that are pushed and sorted. */
  readonly sorted: number;
  /** basic_test: [how many vectors, of how many numbers]. */
  readonly vectors: readonly (readonly [count: number, length: number])[];
  /** basic_test: operations on the ordered map. */
  readonly mapOperations: number;
  /** basic_test: how many vectors, of which length first, of which length in their place. */
  readonly replaced: readonly [count: number, first: number, second: number];
  /** mi_test: how often 2 MiB are allocated and touched. */
  readonly touched: number;
  /** multi_thread_test. */
  readonly threads: { readonly threads: number; readonly rounds: number; readonly slots: number };
  /** glibc_bench: blocks for each size and batch. */
  readonly benchBlocks: number;
  /** malloc_large: replacements. */
  readonly largeReplacements: number;
  /** Random operations for each entry of `workers`. */
  readonly threadOperations: number;
  /** Sequences that fast-check tries. */
  readonly propertyRuns: number;
}

/** How much can be run. */
export const SCALE_NAMES = ['brief', 'quick', 'medium', 'full'] as const;

/** The scales; `full` has the numbers of the originals. */
export const SCALES: Readonly<Record<(typeof SCALE_NAMES)[number], Amounts>> = {
  brief: {
    alignSteps: 1000,
    sorted: 10_000,
    vectors: [
      [100, 64],
      [25, 520],
    ],
    mapOperations: 1000,
    replaced: [200, 32, 64],
    touched: 5,
    threads: { threads: 4, rounds: 1, slots: 100 },
    benchBlocks: 640,
    largeReplacements: 50,
    threadOperations: 15_000,
    propertyRuns: 8,
  },
  quick: {
    alignSteps: 3000,
    sorted: 100_000,
    vectors: [
      [1000, 64],
      [250, 520],
    ],
    mapOperations: 3000,
    replaced: [1000, 32, 64],
    touched: 20,
    threads: { threads: 4, rounds: 3, slots: 200 },
    benchBlocks: 6400,
    largeReplacements: 300,
    threadOperations: 80_000,
    propertyRuns: 30,
  },
  medium: {
    alignSteps: 5000,
    sorted: 300_000,
    vectors: [
      [3000, 64],
      [750, 520],
    ],
    mapOperations: 5000,
    replaced: [1000, 32, 64],
    touched: 50,
    threads: { threads: 4, rounds: 5, slots: 200 },
    benchBlocks: 20_000,
    largeReplacements: 1000,
    threadOperations: 300_000,
    propertyRuns: 60,
  },
  full: {
    alignSteps: 50_000,
    sorted: 3_000_000,
    vectors: [
      [30_000, 64],
      [7500, 520],
    ],
    mapOperations: 50_000,
    replaced: [10_000, 32, 64],
    touched: 1000,
    threads: { threads: 10, rounds: 100, slots: 1000 },
    benchBlocks: 1_000_000,
    largeReplacements: 100_000,
    threadOperations: 2_000_000,
    propertyRuns: 1000,
  },
};
