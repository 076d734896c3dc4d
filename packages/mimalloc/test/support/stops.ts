/**
 * Two threads that are both stopped: one in this thread, one in a worker. A stop is right before an atomic
 * access; what two threads know of each other they know by atomic accesses, or by what is published with
 * them.
 *
 * ```
 *   A stops at i, B at j                        B1 A1 B2 A2          A1 B1 A2 B2
 *
 *   A   ──────i─────────▶                         ──┤    ├──▶       ──┤    ├──▶
 *   B   ───j────────────▶                       ──┤   ├──▶             ──┤   ├──▶
 * ```
 *
 * With i or j beyond the last access one thread runs from start to end while the other is stopped, or has not
 * started. So this is every interleaving in which each thread is stopped once at most. Thousands of accesses
 * by one thread while another is stopped are a stall: no thread waits for anybody here.
 */

import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { Handle } from '@shmalloc/allocator-api';
import type { MiMalloc } from '@shmalloc/mimalloc';
import { BIN_FULL, BIN_HUGE } from '../../dist/layout/bins.js';
import { Heap } from '../../dist/layout/heap.js';
import { binOfPage, DELAYED, hasFlag, IN_FULL, ownerOf, Page } from '../../dist/layout/page.js';
import { firstPage } from '../../dist/page/queue.js';
import { forEachHeap, forEachPageIn, forEachSegment } from '../../dist/region/walk.js';
import { FREE_SEGMENT, Segment } from '../../dist/segment/segment.js';
import { tldOf } from './inside.ts';
import type { Package } from './mutants.ts';
import type { Stage } from './pauses.ts';
import { threadFree } from './turns.ts';

const NAMES = ['load', 'store', 'exchange', 'compareExchange', 'add', 'sub', 'or', 'and'] as const;
type Access = (...args: unknown[]) => unknown;

/** So many atomic accesses in one operation are a loop that waits for another thread. */
const MOST_ACCESSES = 20_000;

/**
 * Runs an operation, and something else right before its `at`-th atomic access.
 * @returns how many accesses the operation made by itself
 * @throws Error when it, or what runs meanwhile, does not come to an end
 */
export function stopAt(at: number, meanwhile: () => void, run: () => void): number {
  const atomics = Atomics as unknown as Record<string, Access>;
  const originals = NAMES.map((name) => [name, atomics[name]] as const);
  let own = 0;
  let others = 0;
  let stopped = false;
  for (const [name, original] of originals) {
    atomics[name] = (...args) => {
      if (stopped) {
        if (++others > MOST_ACCESSES) throw new Error(`the others stall while one is stopped at ${at}`);
      } else if (++own === at) {
        stopped = true;
        meanwhile();
        stopped = false;
      } else if (own > MOST_ACCESSES) throw new Error('an operation stalls');
      return original(...args);
    };
  }
  try {
    run();
  } finally {
    for (const [name, original] of originals) atomics[name] = original;
  }
  return own;
}

/** Runs something that must come to an end. */
function patiently<Result>(run: () => Result): Result {
  let result: Result | undefined;
  stopAt(
    0,
    () => {},
    () => {
      result = run();
    },
  );
  return result as Result;
}

// ── The other thread ──

/** What the worker is told to do. */
export type Command =
  | { readonly kind: 'attach'; readonly handle: Handle }
  | { readonly kind: 'free'; readonly blocks: readonly number[]; readonly at: number }
  | { readonly kind: 'collect'; readonly at: number }
  | { readonly kind: 'detach'; readonly at: number };

/** The words between the two: what is to happen, and how many accesses the worker made. */
export const STATE = 0;
export const ACCESSES = 1;
export const IDLE = 0;
export const TOLD = 1;
export const STOPPED = 2;
export const RESUMED = 3;
export const FAILED = 4;

const PATIENCE_MS = 300_000;

/**
 * A thread in a worker that does what this thread tells it, and stops where it is told. Everything is
 * synchronous.
 */
export class Rival {
  private readonly words = new Int32Array(new SharedArrayBuffer(8));
  private readonly port: MessagePort;
  private readonly worker: Worker;

  /** @param module - the URL of the package that it runs */
  constructor(module: string) {
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    this.worker = new Worker(new URL('./rival-worker.js', import.meta.url), {
      workerData: { words: this.words, port: port2, module },
      transferList: [port2],
    });
  }

  attach(handle: Handle): void {
    this.tell({ kind: 'attach', handle });
  }

  detach(): void {
    this.tell({ kind: 'detach', at: 0 });
  }

  /**
   * Starts an operation.
   * @returns whether it is stopped now, and not done
   */
  tell(command: Command): boolean {
    this.port.postMessage(command);
    return this.wait(IDLE, TOLD) === STOPPED;
  }

  /** Lets the operation go on to its end. */
  resume(): void {
    this.wait(STOPPED, RESUMED);
  }

  /** How many atomic accesses the last operation made. */
  get accesses(): number {
    return Atomics.load(this.words, ACCESSES);
  }

  async end(): Promise<void> {
    this.port.close();
    await this.worker.terminate();
  }

  /** Says something to the worker and waits for its answer. */
  private wait(from: number, said: number): number {
    if (Atomics.compareExchange(this.words, STATE, from, said) !== from)
      throw new Error('the rival is elsewhere');
    Atomics.notify(this.words, STATE);
    Atomics.wait(this.words, STATE, said, PATIENCE_MS);
    const state = Atomics.load(this.words, STATE);
    if (state === said) throw new Error('the other thread stalls');
    if (state === FAILED) {
      Atomics.store(this.words, STATE, IDLE);
      const failure = receiveMessageOnPort(this.port)?.message as string | undefined;
      throw new Error(`the other thread failed: ${failure}`);
    }
    return state;
  }
}

// ── Scenes ──

/** Two operations that meet. */
export interface Duel {
  readonly stage: Stage;
  /** What this thread does. */
  readonly run: () => void;
  /** What the rival does. */
  readonly rival:
    | { readonly kind: 'free'; readonly blocks: readonly number[] }
    | { readonly kind: 'collect' }
    | { readonly kind: 'detach' };
  /** What must hold afterwards besides. */
  readonly after?: () => void;
}

/** Sets a duel up on a new heap. */
export type DuelMaker = (mi: typeof Package, rival: Rival) => Duel;

/** Plays a duel with all pairs of stops. Returns how many there were. */
export function everyStop(mi: typeof Package, rival: Rival, make: DuelMaker): number {
  const never = Number.POSITIVE_INFINITY;
  let plays = 0;
  for (const rivalFirst of [true, false]) {
    // How many places there are shows when no thread is stopped; more may come to light when another thread
    // is.
    let [mine, theirs] = play(mi, rival, make, never, never, rivalFirst);
    const at = (i: number, j: number): void => {
      const [own, other] = play(mi, rival, make, i, j, rivalFirst);
      mine = Math.max(mine, own);
      theirs = Math.max(theirs, other);
      plays++;
    };
    for (let j = 1; j <= theirs; j++) {
      // One is stopped for as long as the other works: a wait would show at once.
      at(never, j);
      for (let i = 1; i <= mine; i++) at(i, j);
    }
    for (let i = 1; i <= mine; i++) at(i, never);
  }
  return plays;
}

function play(
  mi: typeof Package,
  rival: Rival,
  make: DuelMaker,
  i: number,
  j: number,
  rivalFirst: boolean,
): [number, number] {
  const where = `${rivalFirst ? 'B1 A1 B2 A2' : 'A1 B1 A2 B2'}, A stopped at ${i}, B at ${j}`;
  try {
    const { stage, run, rival: operation, after } = patiently(() => make(mi, rival));
    if (operation.kind === 'free') for (const block of operation.blocks) stage.live.delete(block);
    const start = (): boolean => rival.tell({ ...operation, at: j });
    let stopped = rivalFirst && start();
    let started = rivalFirst;
    const own = stopAt(
      i,
      () => {
        if (!started) stopped = start();
        else if (stopped) {
          rival.resume();
          stopped = false;
        }
        started = true;
      },
      run,
    );
    if (!started) stopped = start();
    if (stopped) rival.resume();
    const { accesses } = rival;
    if (operation.kind !== 'detach') rival.detach();
    patiently(() => {
      checkQuiet(stage);
      after?.();
      checkEmpty(stage);
    });
    return [own, accesses];
  } catch (error) {
    throw new Error(`${where}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

function demand(holds: boolean, sentence: string): void {
  if (!holds) throw new Error(sentence);
}

/** Blocks on a heap's own list. */
function delayedPages(heap: MiMalloc, record: number): Set<number> {
  const pages = new Set<number>();
  for (let block = tldOf(heap).i32[record + Heap.delayedFree]; block !== 0; block = tldOf(heap).i32[block]) {
    const table = tldOf(heap).i32[tldOf(heap).root + (block >>> tldOf(heap).chunkShift)];
    const slice = table + ((block >>> tldOf(heap).sliceShift) << 4);
    pages.add(tldOf(heap).i32[slice + Page.blockWords] !== 0 ? slice : tldOf(heap).i32[slice + Page.start]);
  }
  return pages;
}

/**
 * No thread is at work: everything is sound, no two blocks overlap, and another thread looks at every page to
 * which a block was freed.
 *
 * A full page, or one of a single block, is looked at when its mark is set, so that the next free brings
 * news, or when a block of it is on its heap's list, which is the news.
 */
export function checkQuiet({ threads, live }: Stage): void {
  const there = threads.filter((heap) => !tldOf(heap).closed);
  for (const heap of there) {
    heap.validate({ quiet: true });
    forEachHeap(tldOf(heap), (record) => {
      const announced = delayedPages(heap, record);
      for (const bin of [BIN_FULL, BIN_HUGE]) {
        for (
          let page = firstPage(tldOf(heap), record, bin);
          page !== 0;
          page = tldOf(heap).i32[page + Page.next]
        ) {
          const marked = (tldOf(heap).i32[page + Page.xthreadFree] & DELAYED) !== 0;
          const name = `the full page at ${tldOf(heap).i32[page + Page.start] * 4}`;
          demand(marked || announced.has(page), `${name} is silent: nobody looks at it`);
          demand(!marked || threadFree(heap, page) === 0, `${name} is overlooked: it has a block already`);
        }
      }
    });
    forEachSegment(tldOf(heap), (segment) => {
      if (tldOf(heap).i32[segment + Segment.threadId] === FREE_SEGMENT) return;
      forEachPageIn(tldOf(heap), segment, (page) => {
        const marked = (tldOf(heap).i32[page + Page.xthreadFree] & DELAYED) !== 0;
        const full = hasFlag(tldOf(heap), page, IN_FULL) || binOfPage(tldOf(heap), page) === BIN_HUGE;
        demand(!marked || full, 'a page that is not full sends news');
        demand(!marked || ownerOf(tldOf(heap), page) !== 0, 'a page that nobody has sends news');
      });
    });
  }
  const names = there.map(({ threadId }) => threadId);
  demand(new Set(names).size === names.length, `two threads have one name: ${names}`);
  const blocks = [...live].sort((a, b) => a - b);
  for (const [index, block] of blocks.entries()) {
    const end = block + there[0].usableSize(block);
    demand(
      end > block && end <= (blocks[index + 1] ?? 2 ** 32),
      `the block at ${block} overlaps the one at ${blocks[index + 1]}`,
    );
  }
}

/** Frees the rest by turns. Nothing is in use then, and all segments are free. */
function checkEmpty({ threads, live }: Stage): void {
  const there = threads.filter((heap) => !tldOf(heap).closed);
  for (const [index, block] of [...live].entries()) there[index % there.length].free(block);
  for (let round = 0; round < 2; round++) for (const heap of there) heap.collect(true);
  for (const heap of there) {
    heap.validate({ quiet: true });
    demand(heap.usedBytes() === 0, `${heap.usedBytes()} bytes are in use with everything freed`);
    demand(tldOf(heap).i32[tldOf(heap).heap + Heap.segmentCount] === 0, 'a thread keeps a segment');
  }
  demand(there[0].stats().segments === 0, 'a segment is nobody’s, and not free');
}
