/**
 * The bench that a check stands at: makes heaps of the algorithm under test, and says what is wrong by throwing. Checks are
 * plain functions of a bench, so that they run, and can be seen to fail, without a test runner.
 */

import { CheckedAllocator } from '../oracle/checked-allocator.ts';
import { Oracle } from '../oracle/oracle.ts';
import {
  type Amounts,
  type ConformanceOptions,
  type CreateOptions,
  SCALES,
  type Subject,
  type TestedHeap,
} from './subject.ts';

/** One check: a title that reads like a sentence of the specification, and what it does. */
export interface Check {
  readonly title: string;
  readonly run: (bench: Bench) => void | Promise<void>;
}

/** The heap of the ArceOS tests. */
const BIG_BYTES = 512 * 1024 * 1024;

/** One for all synchronous checks of a process: reserved once, and what an earlier heap left there is part of the test. */
let bigRegion: WebAssembly.Memory | undefined;

/** What an allocator may find in memory it is given. */
const DIRT = 0xa5;

/** A heap with a witness. */
export interface WatchedHeap {
  readonly heap: TestedHeap;
  readonly oracle: Oracle;
  /** Thread 0's view. */
  readonly checked: CheckedAllocator;
}

/** The algorithm under test with its options filled in. */
export class Bench {
  readonly subject: Subject;
  readonly amounts: Amounts;
  readonly workers: readonly number[];
  readonly locks: readonly string[] | false;
  readonly maxAlign: number;
  readonly heapBytes: number;
  readonly largestShare: number;
  readonly seed: number;
  /** Where a check says what it did; seeds go here. */
  log: (line: string) => void = () => {};

  constructor(subject: Subject, options: ConformanceOptions = {}) {
    this.subject = subject;
    this.amounts = SCALES[options.scale ?? 'quick'];
    this.workers = options.workers ?? [1, 4];
    this.locks = options.locks ?? ['spin', 'mutex'];
    this.maxAlign = options.maxAlign ?? 4096;
    this.heapBytes = options.heapBytes ?? 1024 * 1024;
    this.largestShare = options.largestShare ?? 0.8;
    this.seed = options.seed ?? Date.now() % 2 ** 31;
  }

  /** A heap with the subject's own options. */
  create(options: CreateOptions): TestedHeap {
    return this.subject.allocator.create({ ...this.subject.options, ...options } as never);
  }

  /** A small heap on memory that was used before: nothing may be taken for zero. */
  small(options: CreateOptions = {}): TestedHeap {
    const memory = new SharedArrayBuffer(this.heapBytes);
    new Uint8Array(memory).fill(DIRT);
    return this.create({ memory, ...options });
  }

  /** The 512 MiB heap of the ArceOS tests. Only for synchronous checks: they take turns on the same memory. */
  big(): TestedHeap {
    const pages = BIG_BYTES / 65536;
    bigRegion ??= new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    return this.create({ memory: bigRegion });
  }

  /** Options of a 512 MiB heap of its own. */
  get bigOptions(): CreateOptions {
    return { bytes: BIG_BYTES };
  }

  /** Sets an oracle beside a heap. */
  watch(heap: TestedHeap): WatchedHeap {
    const oracle = Oracle.create({ bytes: heap.memory.byteLength });
    return { heap, oracle, checked: new CheckedAllocator(heap, oracle, 0) };
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

/** Demands that the heap is sound and, with everything freed, as empty as it was. */
export function expectEmpty({ heap, oracle }: WatchedHeap, usedBefore: number): void {
  expectNoViolations(oracle);
  heap.validate();
  for (const { address, size } of oracle.liveBlocks()) {
    throw new Error(`the block [${address}, ${address + size}) was never freed`);
  }
  const used = heap.usedBytes();
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
