/**
 * Real interleavings in one thread: an operation is stopped right before one of its atomic accesses, another
 * thread's operation runs from start to end, and the first one goes on. All that two threads can tell of each
 * other they tell by atomic accesses (or by what is published with them), so stopping at each of them in turn
 * is every interleaving in which the other one is not stopped itself.
 */
import type { MiMalloc } from '@shmalloc/mimalloc';
import type { ExecutionContext } from 'ava';
import { BIN_FULL } from '../../dist/layout/bins.js';
import { DELAYED, Page } from '../../dist/layout/page.js';
import { firstPage } from '../../dist/page/queue.js';
import { shuffle } from './harness.ts';
import { tldOf } from './inside.ts';
import { allClear, threadFree } from './turns.ts';

const NAMES = ['load', 'store', 'exchange', 'compareExchange', 'add', 'or', 'and'] as const;
type Access = (...args: unknown[]) => unknown;

/**
 * Runs an operation with a pause before its `at`-th atomic access.
 * @returns whether there are so many
 */
export function withPause(at: number, pause: () => void, run: () => void): boolean {
  const atomics = Atomics as unknown as Record<string, Access>;
  const originals = NAMES.map((name) => [name, atomics[name]] as const);
  const restore = (): void => {
    for (const [name, original] of originals) atomics[name] = original;
  };
  let seen = 0;
  for (const [name, original] of originals) {
    atomics[name] = (...args) => {
      if (++seen === at) {
        restore();
        pause();
      }
      return original(...args);
    };
  }
  try {
    run();
  } finally {
    restore();
  }
  return seen >= at;
}

/** Threads on one region, and what they hold. */
export class Stage {
  readonly threads: MiMalloc[];
  readonly live = new Set<number>();

  constructor(...threads: MiMalloc[]) {
    this.threads = threads;
  }

  /** Allocates in a thread; what cannot be had is not missed. */
  take(heap: MiMalloc, size: number): number {
    const block = heap.malloc(size);
    if (block !== 0) this.live.add(block);
    return block;
  }

  /** Allocates several. */
  takeAll(heap: MiMalloc, size: number, most: number): number[] {
    return Array.from({ length: most }, () => this.take(heap, size)).filter((block) => block !== 0);
  }

  /** Frees in a thread. */
  give(heap: MiMalloc, ...blocks: readonly number[]): void {
    for (const block of blocks) {
      this.live.delete(block);
      heap.free(block);
    }
  }
}

/** One scene: one that is there, what is stopped, what runs meanwhile. */
export interface Scene {
  readonly stage: Stage;
  readonly run: () => void;
  readonly pause: () => void;
}

/** Full pages that say "tell the heap" although they hold a block already: no thread would ever look. */
function overlookedPages(heap: MiMalloc): number[] {
  const found: number[] = [];
  for (
    let page = firstPage(tldOf(heap), tldOf(heap).heap, BIN_FULL);
    page !== 0;
    page = tldOf(heap).i32[page + Page.next]
  ) {
    if ((tldOf(heap).i32[page + Page.xthreadFree] & DELAYED) !== 0 && threadFree(heap, page) !== 0)
      found.push(page);
  }
  return found;
}

/**
 * Plays a scene once for each place where it can be stopped. Afterwards all blocks lie apart, and all memory
 * comes back.
 */
export function everyPause(t: ExecutionContext, make: () => Scene, random: (n: number) => number): void {
  let at = 1;
  for (; ; at++) {
    const { stage, run, pause } = make();
    const reached = withPause(at, pause, run);
    const threads = stage.threads.filter((heap) => !tldOf(heap).closed);
    for (const heap of threads) {
      heap.validate({ quiet: true });
      t.deepEqual(overlookedPages(heap), [], `pause ${at}`);
    }
    const blocks = [...stage.live].sort((a, b) => a - b);
    for (const [index, block] of blocks.entries()) {
      const end = block + threads[0].usableSize(block);
      if (end <= block || end > (blocks[index + 1] ?? 2 ** 32))
        t.fail(`pause ${at}: the block at ${block} overlaps`);
    }
    for (const block of shuffle(blocks, random)) threads[random(threads.length)].free(block);
    allClear(t, ...threads);
    if (!reached) break;
  }
  t.log(`${at - 1} places to pause at`);
  t.true(at > 1);
}
