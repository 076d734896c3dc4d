/**
 * Threads that end and leave blocks behind: after mleak of mimalloc-bench, rounds of ten threads. Here the
 * blocks are not lost: a thread of the next round frees them. So what is live stays the same, and the heap
 * must not grow, however many threads there were.
 *
 * ```
 *   round n      thread 0   thread 1  …  thread 9       each a worker that starts, attaches, detaches and ends
 *                   │ leaves   │            │
 *                   ▼          ▼            ▼
 *   list of n    1000 blocks │ 1000 blocks … │
 *                      ▲ frees
 *   round n + 1  thread 9, thread 0, …                  another one than the one that comes in its place
 * ```
 */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { HeapContestant } from './contestant.ts';

/** Threads in a round. @internal */
export const THREADS = 10;
/** Blocks that a thread leaves behind. @internal */
export const LEFT = 1000;

/** @internal */
export interface LeakData {
  readonly contestant: string;
  readonly handle: unknown;
  readonly seed: number;
  /** Blocks left for this thread. */
  readonly inherits: SharedArrayBuffer;
  /** Where it writes down those that it leaves. */
  readonly leaves: SharedArrayBuffer;
}

/**
 * The rounds over one heap.
 * @internal
 */
export class Leak {
  /** Rounds until now. */
  rounds = 0;
  private readonly contestant: string;
  private readonly handle: unknown;
  private readonly seed: number;
  private lists: SharedArrayBuffer[] = newLists();

  constructor({ name }: HeapContestant, handle: unknown, seed: number) {
    this.contestant = name;
    this.handle = handle;
    this.seed = seed;
  }

  /** Ten threads live and end. Rejects when one of them fails. */
  async round(): Promise<void> {
    const left = newLists();
    const { contestant, handle } = this;
    await Promise.all(
      left.map(async (leaves, thread) => {
        const inherits = this.lists[(thread + 1) % THREADS];
        const workerData: LeakData = {
          contestant,
          handle,
          seed: this.seed + this.rounds * THREADS + thread,
          inherits,
          leaves,
        };
        await lifeOf(new Worker(new URL('./mleak-worker.js', import.meta.url), { workerData }));
      }),
    );
    this.lists = left;
    this.rounds++;
  }

  /** Addresses of the blocks that are left at the moment. */
  get left(): readonly number[] {
    return this.lists.flatMap((list) => [...new Uint32Array(list)]).filter((address) => address !== 0);
  }
}

/** Rejects with what has ended it, if that was no good end. */
async function lifeOf(worker: Worker): Promise<void> {
  try {
    await once(worker, 'exit');
  } catch (error) {
    throw new Error((error as Error).message); // an error of this thread
  }
}

function newLists(): SharedArrayBuffer[] {
  return Array.from({ length: THREADS }, () => new SharedArrayBuffer(4 * LEFT));
}
