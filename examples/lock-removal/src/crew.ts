/**
 * A crew: one heap, and threads that work on it as a step has it. Every experiment hires its own.
 */

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { MiMalloc } from '@shmalloc/mimalloc';
import { Board } from './board.ts';
import type { Answers, Order } from './orders.ts';
import { GUARD, LINGER, WORDS_BYTES } from './step.ts';

/** Bytes of an experiment's heap. */
const HEAP_BYTES = 16 << 20;
/** Segments of 512 KiB, and small ones for experiments in which they change hands all the time. */
const SEGMENT_SHIFT = 19;
export const SMALL_SEGMENT_SHIFT = 16;

/** Also of those that have been killed and are in the table for good. */
const MAX_THREADS = 200;

/** How long a thread may take before it counts as stuck, in milliseconds. */
export const PATIENCE_MS = 2000;
/**
 * How long it may take where nothing is to be stuck: on a busy machine a thread may have to wait for its
 * turn.
 */
export const LONG_MS = 120_000;

/** One thread of a crew. */
export class Hand {
  readonly thread: number;
  /** What the heap calls it. */
  readonly threadId: number;
  private readonly worker: Worker;
  private readonly exit: Promise<unknown>;
  private hasExited: boolean;

  constructor(worker: Worker, thread: number, threadId: number) {
    this.worker = worker;
    this.thread = thread;
    this.threadId = threadId;
    this.hasExited = false;
    // A thread may break with its heap, where an experiment is about that: then it ends, and has no answer.
    worker.on('error', () => {});
    this.exit = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        this.hasExited = true;
        resolve();
      });
    });
  }

  /**
   * Has it do something.
   * @param limit - milliseconds that it may take
   * @returns undefined when it has not answered by then, or has ended
   */
  async tell<O extends Order>(order: O, limit: number = Infinity): Promise<Answers[O['what']] | undefined> {
    if (this.hasExited) return undefined;
    const abort = new AbortController();
    const answer = once(this.worker, 'message', { signal: abort.signal }).then(
      ([result]) => result,
      () => undefined,
    );
    this.worker.postMessage(order);
    const late =
      limit === Infinity ? [] : [sleep(limit, undefined, { signal: abort.signal }).catch(() => {})];
    const first = await Promise.race([answer, this.exit, ...late]);
    abort.abort();
    return first as Answers[O['what']] | undefined;
  }

  /** Ends the thread, wherever it is. */
  async kill(): Promise<void> {
    await this.worker.terminate();
    await this.exit;
  }
}

/** A heap and the threads that work on it. */
export class Crew {
  readonly program: string;
  /** The main thread's own access. Steps 0 to 3 share its heap; from step 4 on it is one thread more. */
  readonly heap: MiMalloc;
  readonly board: Board;
  readonly words: SharedArrayBuffer;
  readonly hands: Hand[];
  private readonly guards: Int32Array<SharedArrayBuffer>;
  private hired: number;

  /**
   * @param program - the step's: `step-0`, …
   * @param segmentShift - log2 of a segment's bytes
   */
  constructor(program: string, segmentShift: number = SEGMENT_SHIFT) {
    this.program = program;
    this.heap = MiMalloc.create({
      bytes: HEAP_BYTES,
      maxBytes: HEAP_BYTES,
      grow: false,
      threads: MAX_THREADS,
      purgeDelay: -1,
      segmentShift,
    });
    this.board = new Board();
    this.words = new SharedArrayBuffer(WORDS_BYTES);
    this.guards = new Int32Array(this.words);
    this.hands = [];
    this.hired = 0;
  }

  /** A crew of so many threads, all at their places. */
  static async of(program: string, threads: number, segmentShift?: number): Promise<Crew> {
    const crew = new Crew(program, segmentShift);
    await Promise.all(Array.from({ length: threads }, () => crew.hire()));
    return crew;
  }

  /** One thread more. @param thread - the number that it gets; the next one when left out */
  async hire(thread: number = this.hired): Promise<Hand> {
    this.hired = Math.max(this.hired, thread + 1);
    const shared = { heap: this.heap.share(), words: this.words, thread };
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: { program: this.program, shared, board: this.board.buffer },
    });
    const [threadId] = await once(worker, 'message');
    const hand = new Hand(worker, thread, threadId);
    this.hands.push(hand);
    this.hands.sort((a, b) => a.thread - b.thread);
    return hand;
  }

  /**
   * Whether another thread is inside: the step's lock is taken, or its cell borrowed.
   * @returns the guard's word; 0 when no thread is
   */
  get guard(): number {
    return Atomics.load(this.guards, GUARD >> 2);
  }

  /** Has threads stay inside the segment lock for so many rounds of back-off. */
  linger(round: number): void {
    Atomics.store(this.guards, LINGER >> 2, round);
  }

  /** Sends everybody home, whatever they are doing. */
  async dismiss(): Promise<void> {
    await Promise.all(this.hands.map((hand) => hand.kill()));
  }

  /** Kills a thread, and forgets it. */
  async kill(hand: Hand): Promise<void> {
    this.hands.splice(this.hands.indexOf(hand), 1);
    await hand.kill();
  }
}
