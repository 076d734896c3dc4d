/**
 * Real workers on one heap, with the shadow oracle beside it: how they are started, where they meet, how
 * blocks change hands.
 *
 * ```
 *   main thread                                     worker
 *   Crew: heap, oracle ──── message: Post ────────▶ Hand: its own heap object and oracle view, random numbers
 *     run(jobs) ◀────────── message: Answer ──────── enlist(work), then it detaches, and waits for the next
 *     finish()              board, barrier: shared
 * ```
 *
 * The board is a row of parcels through which blocks pass. One that has brought a parcel's state to `BUSY`
 * owns it until it writes another:
 *
 * ```
 *   parcel   │ state │ count │ address · size │ address · size │ … capacity          EMPTY ⇄ BUSY ⇄ FULL
 * ```
 */

import { parentPort, Worker } from 'node:worker_threads';
import { CheckedAllocator, Oracle, type OracleHandle } from '@shmalloc/alloc-test/oracle';
import type { Handle } from '@shmalloc/allocator-api';
import type { MiMalloc, MiMallocOptions } from '@shmalloc/mimalloc';
import * as Original from '@shmalloc/mimalloc';
import { answerOf, Barrier } from '../../../alloc-test/dist-test/support/threads.js';
import { GROWING, patiently, StingyOs } from './growing.ts';
import { type Judge, type Random, randomOf, seedOf } from './harness.ts';
import { PACKAGE, type Package } from './mutants.ts';

/** A block with what was asked for. */
export interface Block {
  readonly address: number;
  readonly size: number;
}

/** What every worker is posted. Structured-cloneable. */
export interface Post {
  readonly handle: Handle;
  readonly oracle: OracleHandle;
  /** The oracle's name of this thread; no two of a crew have the same one. */
  readonly thread: number;
  /** Which of the workers that run at the same time, and how many these are. */
  readonly index: number;
  readonly parties: number;
  readonly seed: number;
  readonly barrier: SharedArrayBuffer;
  readonly board: SharedArrayBuffer;
  /** Blocks that a parcel holds at the most. */
  readonly capacity: number;
  readonly crossings: 'auto' | 'wasm' | 'js';
  /** Whether its memory grows, in small steps. */
  readonly growing: boolean;
  /** The URL of the package that it runs. */
  readonly module: string;
  /** What it is to do: for the module that it runs. */
  readonly job: unknown;
}

/** How it went. */
type Answer = { readonly error: string } | { readonly result: unknown };

const EMPTY = 0;
const FULL = 1;
const BUSY = 2;

/** Parcels of blocks that pass from thread to thread. */
export class Board {
  readonly parcels: number;
  private readonly words: Int32Array<SharedArrayBuffer>;
  private readonly stride: number;

  constructor(buffer: SharedArrayBuffer, capacity: number) {
    this.words = new Int32Array(buffer);
    this.stride = 2 + 2 * capacity;
    this.parcels = this.words.length / this.stride;
  }

  static bytesFor(parcels: number, capacity: number): number {
    return parcels * (2 + 2 * capacity) * 4;
  }

  /** Leaves blocks in a parcel; false when it is not empty. */
  put(parcel: number, blocks: readonly Block[]): boolean {
    if (!this.own(parcel, EMPTY)) return false;
    this.write(parcel, blocks);
    return true;
  }

  /** Takes what lies in a parcel; undefined when it is empty, or another thread is at it. */
  take(parcel: number): Block[] | undefined {
    if (!this.own(parcel, FULL)) return undefined;
    const blocks = this.read(parcel);
    // Release, like the store in `write`: the next one that owns the parcel finds it as it was left.
    Atomics.store(this.words, parcel * this.stride, EMPTY);
    return blocks;
  }

  /**
   * Leaves blocks in a parcel and takes what lay there; undefined, and nothing has changed, when another
   * thread is at it.
   */
  swap(parcel: number, blocks: readonly Block[]): Block[] | undefined {
    const found = this.own(parcel, FULL) ? this.read(parcel) : this.own(parcel, EMPTY) ? [] : undefined;
    if (found !== undefined) this.write(parcel, blocks);
    return found;
  }

  private own(parcel: number, from: number): boolean {
    return Atomics.compareExchange(this.words, parcel * this.stride, from, BUSY) === from;
  }

  private read(parcel: number): Block[] {
    const at = parcel * this.stride;
    return Array.from({ length: this.words[at + 1] }, (_, index) => ({
      address: this.words[at + 2 + 2 * index] >>> 0,
      size: this.words[at + 3 + 2 * index],
    }));
  }

  private write(parcel: number, blocks: readonly Block[]): void {
    const at = parcel * this.stride;
    this.words[at + 1] = blocks.length;
    for (const [index, { address, size }] of blocks.entries()) {
      this.words[at + 2 + 2 * index] = address;
      this.words[at + 3 + 2 * index] = size;
    }
    // Release: publishes the addresses, and what was written into the blocks.
    Atomics.store(this.words, at, blocks.length === 0 ? EMPTY : FULL);
  }
}

// ── In a worker ──

/** One worker's hands: what it works with. */
export class Hand {
  readonly post: Post;
  readonly barrier: Barrier;
  readonly board: Board;
  readonly random: Random;
  heap: MiMalloc;
  checked: CheckedAllocator;
  private readonly oracle: Oracle;
  private readonly mi: typeof Package;

  constructor(post: Post, mi: typeof Package) {
    this.post = post;
    this.mi = mi;
    this.barrier = new Barrier(post.barrier, post.parties);
    this.board = new Board(post.board, post.capacity);
    this.random = randomOf(post.seed + 7919 * post.thread);
    this.oracle = Oracle.attach(post.oracle);
    [this.heap, this.checked] = this.attach();
  }

  private attach(): [MiMalloc, CheckedAllocator] {
    const { handle, crossings, thread, growing } = this.post;
    const os = growing ? new StingyOs(this.random) : undefined;
    const heap = this.mi.MiMalloc.attach(handle, { crossings, os });
    if (os !== undefined) os.heap = heap;
    // Nothing in these tests is freed wrongly.
    heap.registerError((error) => {
      throw error;
    });
    return [heap, new CheckedAllocator(heap, this.oracle, thread)];
  }

  /** One thread's view of another allocator on the same region. */
  check(allocator: ConstructorParameters<typeof CheckedAllocator>[0]): CheckedAllocator {
    return new CheckedAllocator(allocator, this.oracle, this.post.thread);
  }

  /** Ends this thread as far as the heap is concerned, and goes on as another one. */
  becomeAnother(): void {
    this.heap.detach();
    [this.heap, this.checked] = this.attach();
  }

  /** A block that there must be room for. */
  malloc(size: number): Block {
    const { checked } = this;
    const address = this.post.growing ? patiently(() => checked.malloc(size)) : checked.malloc(size);
    if (address === 0) throw new Error(`malloc(${size}) gave 0 although there is room`);
    return { address, size };
  }

  free({ address, size }: Block): void {
    this.checked.free(address, size);
  }

  freeAll(blocks: Iterable<Block>): void {
    for (const block of blocks) this.free(block);
  }
}

/** A worker module's only call: for each job it does the work, detaches, answers. */
export function enlist(work: (hand: Hand) => unknown): void {
  parentPort?.on('message', async (post: Post) => parentPort?.postMessage(await answerTo(post, work)));
}

async function answerTo(post: Post, work: (hand: Hand) => unknown): Promise<Answer> {
  try {
    const hand = new Hand(post, (await import(post.module)) as typeof Package);
    const result = work(hand);
    hand.heap.detach();
    return { result };
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

// ── In the main thread ──

/** Workers that have not ended after so many seconds hang. */
const PATIENCE_SECONDS = 600;

/**
 * Workers that have done their job, by module, and wait for another: to start one costs as much as a short
 * job.
 */
const idle = new Map<string, Worker[]>();

/** The package as it is. */
const AS_IT_IS = { module: PACKAGE, mi: Original };

export interface CrewOptions extends MiMallocOptions {
  /** What the workers use; `'mixed'`: each second one something else. Default `'auto'`. */
  readonly kind?: 'auto' | 'wasm' | 'js' | 'mixed';
  /**
   * Whether the memory grows, in small steps, and by any thread: `bytes` is what it may grow to then. Default
   * false.
   */
  readonly growing?: boolean;
  /** Parcels on the board, and blocks in each. */
  readonly parcels: number;
  readonly capacity: number;
  /** Another package than the one that is tested, and what its workers are given. */
  readonly planted?: { readonly module: string; readonly mi: typeof Package };
  /** Seconds until workers count as hanging. Default 90. */
  readonly patience?: number;
}

/** The heap, its witness, and everyone that ever works on it. */
export class Crew {
  readonly heap: MiMalloc;
  readonly oracle: Oracle;
  readonly board: Board;
  /** Workers that were started. */
  started = 0;
  private readonly t: Judge;
  private readonly seed: number;
  private readonly boardBuffer: SharedArrayBuffer;
  private readonly capacity: number;
  private readonly kind: 'auto' | 'wasm' | 'js' | 'mixed';
  private readonly module: string;
  private readonly patience: number;
  private readonly errors: string[] = [];
  private readonly freeSegments: number;
  private readonly growing: boolean;

  /** @param seed - default: {@link seedOf} */
  constructor(t: Judge, crewOptions: CrewOptions, seed: number = seedOf(t)) {
    const {
      parcels,
      capacity,
      kind = 'auto',
      planted = AS_IT_IS,
      patience,
      growing,
      ...options
    } = crewOptions;
    this.t = t;
    this.seed = seed;
    this.growing = growing ?? false;
    const { bytes, maxBytes = bytes ?? GROWING.maxBytes } = options;
    const sizes = this.growing ? { ...GROWING, maxBytes } : { grow: false, bytes };
    this.heap = planted.mi.MiMalloc.create({ threads: 32, ...options, ...sizes });
    this.heap.registerError(({ message }) => this.errors.push(message));
    this.oracle = Oracle.create({ bytes: this.growing ? maxBytes : this.heap.memory.byteLength });
    this.boardBuffer = new SharedArrayBuffer(Board.bytesFor(parcels, capacity));
    this.board = new Board(this.boardBuffer, capacity);
    this.capacity = capacity;
    this.kind = kind;
    this.module = planted.module;
    this.patience = patience ?? PATIENCE_SECONDS;
    this.freeSegments = this.heap.stats().freeSegments;
  }

  /**
   * Starts a worker for each job and waits until all have ended.
   * @param module - what they run: it calls {@link enlist}
   * @throws Error with what the first of them said that failed, or with which of them hang
   */
  async run<Result>(module: URL, jobs: readonly unknown[]): Promise<Result[]> {
    const barrier = new SharedArrayBuffer(8);
    const waiting = idle.get(module.href) ?? [];
    idle.set(module.href, waiting);
    const workers = jobs.map(() => waiting.pop() ?? new Worker(module));
    const posts = jobs.map((job, index) => {
      const post: Post = {
        handle: this.heap.share(),
        oracle: this.oracle.share(),
        thread: ++this.started,
        index,
        parties: jobs.length,
        seed: this.seed,
        barrier,
        board: this.boardBuffer,
        capacity: this.capacity,
        crossings: this.kind === 'mixed' ? (index % 2 === 0 ? 'wasm' : 'js') : this.kind,
        growing: this.growing,
        module: this.module,
        job,
      };
      return post;
    });
    const running = new Set(workers.keys());
    let watchdog: NodeJS.Timeout | undefined;
    const hang = new Promise<never>((_, reject) => {
      watchdog = setTimeout(() => reject(new Error(`workers ${[...running]} hang`)), this.patience * 1000);
    });
    const answers = workers.map(async (worker, index) => {
      const result = await resultOf<Result>(worker, posts[index]);
      running.delete(index);
      return result;
    });
    try {
      const results = await Promise.race([Promise.all(answers), hang]);
      for (const worker of workers) worker.unref();
      waiting.push(...workers);
      return results;
    } catch (error) {
      // Those that still run when one has failed may wait for it.
      for (const worker of workers) await worker.terminate();
      throw error;
    } finally {
      clearTimeout(watchdog);
    }
  }

  /** Frees what is left on the board. Returns how many blocks that were. */
  freeBoard(): number {
    const checked = new CheckedAllocator(this.heap, this.oracle, 0);
    let blocks = 0;
    for (let parcel = 0; parcel < this.board.parcels; parcel++) {
      for (const { address, size } of this.board.take(parcel) ?? []) {
        checked.free(address, size);
        blocks++;
      }
    }
    return blocks;
  }

  /**
   * All workers have ended. Nothing is in use when the board has been freed, nothing was violated, and all
   * memory is there again.
   */
  finish(): void {
    const { t, heap, oracle } = this;
    const live = heap.usedBytes();
    const blocks = this.freeBoard();
    t.deepEqual(
      oracle.violations().map(({ message }) => message),
      [],
    );
    t.is(oracle.violationCount, 0);
    t.deepEqual(this.errors, []);
    t.deepEqual([...oracle.liveBlocks()].slice(0, 3), [], 'blocks that nobody has freed');
    heap.collect(true);
    t.is(heap.usedBytes(), 0, 'bytes in use with everything freed');
    heap.validate({ quiet: true });
    const { freeSegments, abandonedSegments, threads, counters } = heap.stats();
    t.is(abandonedSegments, 0);
    t.is(threads.length, 1, 'everyone else has gone');
    if (this.growing)
      t.true(freeSegments >= this.freeSegments, `${freeSegments} free segments, ${this.freeSegments} before`);
    else t.is(freeSegments, this.freeSegments, 'free segments');
    t.log(
      `${this.started} workers · ${blocks} blocks (${live} bytes) left for the main thread · ` +
        `footprint ${(heap.footprintBytes() / 2 ** 20).toFixed(1)} MiB of ${heap.memory.byteLength / 2 ** 20} · ` +
        `${counters.delayed} blocks by the delayed lists`,
    );
  }
}

/** Gives a worker something to do. Its result; its failure is an error. */
async function resultOf<Result>(worker: Worker, post: Post): Promise<Result> {
  worker.ref();
  const answered = answerOf<Answer>(worker);
  worker.postMessage(post);
  const answer = await answered;
  if ('error' in answer) throw new Error(`a worker failed: ${answer.error}`);
  return answer.result as Result;
}
