/**
 * The bench that a check stands at: makes heaps of the algorithm under test, and says what is wrong by
 * throwing. Checks are plain functions of a bench, so that they run, and can be seen to fail, without a test
 * runner.
 */

import {
  type AllocError,
  checkAlign,
  checkChoice,
  checkInteger,
  type Heap,
  type HeapOptions,
  type LockKind,
} from '@shmalloc/allocator-api';
import { CheckedAllocator, type CheckedRange } from '../oracle/checked-allocator.ts';
import { Oracle } from '../oracle/oracle.ts';
import {
  type Amounts,
  type ConformanceOptions,
  type Group,
  SCALE_NAMES,
  SCALES,
  type Subject,
} from './subject.ts';

/** One check: a title that reads like a sentence of the specification, and what it does. */
export interface Check {
  readonly title: string;
  readonly run: (bench: Bench) => void | Promise<void>;
}

/** The heap of the ArceOS tests. */
const BIG_BYTES = 512 * 1024 * 1024;

/**
 * One for all synchronous checks of a process: reserved once, and what an earlier heap left there is part of
 * the test.
 */
let bigRegion: WebAssembly.Memory | undefined;

/** What an allocator may find in memory it is given. */
const DIRT = 0xa5;

/** A heap with a witness. */
export interface WatchedHeap {
  readonly heap: Heap;
  /** What the heap has reported as wrong, unless a check has taken the error hook for itself. */
  readonly reports: readonly AllocError[];
  readonly oracle: Oracle;
  /** Thread 0's view. */
  readonly checked: CheckedAllocator;
}

/** The algorithm under test with its options filled in. */
export class Bench {
  readonly subject: Subject;
  readonly scale: (typeof SCALE_NAMES)[number];
  readonly amounts: Amounts;
  readonly workers: readonly number[];
  readonly locks: readonly LockKind[] | false;
  readonly grows: boolean;
  readonly maxAlign: number;
  readonly heapBytes: number;
  readonly largestShare: number;
  readonly omit: Readonly<Partial<Record<Group, string>>>;
  readonly seed: number;
  /** Where a check says what it did; seeds go here. */
  log: (line: string) => void = () => {};

  constructor(subject: Subject, options: ConformanceOptions = {}) {
    this.subject = subject;
    this.scale = checkChoice(
      'scale',
      options.scale ?? process.env.SCALE ?? (options.variant ? 'brief' : 'quick'),
      SCALE_NAMES,
    );
    this.amounts = SCALES[this.scale];
    this.workers = options.workers ?? [1, 4];
    this.locks = options.locks ?? ['spin', 'mutex'];
    this.grows = options.grows ?? false;
    this.maxAlign = checkAlign('maxAlign', options.maxAlign ?? 4096);
    this.heapBytes = checkInteger('heapBytes', options.heapBytes ?? 1024 * 1024);
    this.largestShare = options.largestShare ?? 0.8;
    this.omit = options.omit ?? {};
    this.seed = checkInteger('seed', options.seed ?? Number(process.env.SEED ?? Date.now() % 2 ** 31));
    // A crew of no thread would pass everything.
    for (const workers of this.workers) {
      if (checkInteger('workers', workers) === 0) throw new RangeError('workers must be at least 1, got 0');
    }
  }

  /** A heap with the subject's own options. */
  create(options: HeapOptions): Heap {
    return this.subject.algorithm.create({ ...this.subject.options, ...options });
  }

  /** Memory that was used before: nothing may be taken for zero. */
  memory(bytes: number): SharedArrayBuffer {
    const memory = new SharedArrayBuffer(bytes);
    new Uint8Array(memory).fill(DIRT);
    return memory;
  }

  /** A small heap on used memory. */
  small(options: HeapOptions = {}): Heap {
    return this.create({ memory: this.memory(this.heapBytes), ...options });
  }

  /**
   * The 512 MiB heap of the ArceOS tests. Only for synchronous checks: they take turns on the same memory.
   */
  big(): Heap {
    const pages = BIG_BYTES / 65536;
    bigRegion ??= new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    return this.create({ memory: bigRegion });
  }

  /** Options of a 512 MiB heap of its own. */
  get bigOptions(): HeapOptions {
    return { bytes: BIG_BYTES };
  }

  /**
   * Sets an oracle beside a heap.
   * @param range - where blocks may lie, if not just in the heap's region
   */
  watch(heap: Heap, range: CheckedRange = {}): WatchedHeap {
    const oracle = Oracle.create({ bytes: range.end ?? heap.memory.byteLength });
    const reports: AllocError[] = [];
    heap.registerError((error) => reports.push(error));
    return { heap, reports, oracle, checked: new CheckedAllocator(heap, oracle, 0, range) };
  }
}

/** @throws Error with the sentence unless it `holds` */
export function expect(holds: boolean, sentence: string): asserts holds {
  if (!holds) throw new Error(sentence);
}

/** @throws Error with the first violations when there are any */
export function expectNoViolations(oracle: Oracle): void {
  const count = oracle.violationCount;
  if (count === 0) return;
  const first = oracle.violations().slice(0, 5);
  throw new Error(
    [`${count} violations, the first of them:`, ...first.map(({ message }) => message)].join('\n  '),
  );
}

/** Bytes in use when everything has been given back that an algorithm may put off giving back. */
export function bytesInUse(heap: Heap): number {
  heap.collect(true);
  return heap.usedBytes();
}

/** Demands that the heap is sound and, with everything freed, as empty as it was. */
export function expectEmpty({ heap, reports, oracle }: WatchedHeap, usedBefore: number): void {
  expectNoViolations(oracle);
  expect(reports.length === 0, `proper use was reported ${reports.length} times: ${reports[0]?.message}`);
  heap.validate();
  for (const { address, size } of oracle.liveBlocks()) {
    throw new Error(`the block [${address}, ${address + size}) was never freed`);
  }
  const used = bytesInUse(heap);
  expect(
    used === usedBefore,
    `with everything freed ${used} bytes are in use, at the start it were ${usedBefore}`,
  );
}

/** @throws Error when an allocation that has to succeed gave NULL */
export function expectBlock(address: number, what: string): number {
  expect(address !== 0, `${what} gave NULL although there is room`);
  return address;
}
