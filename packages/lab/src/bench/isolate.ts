/**
 * The seat of a contestant that is called from JavaScript: a worker of its own. This is the main thread's end
 * of it.
 */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { IsolateContestant, Seat, SeatOrder } from './contestant.ts';

/**
 * What an isolate is asked, and what it answers.
 * @public
 */
export type IsolateRequest =
  | { op: 'settle'; roundSeconds: number; limitSeconds: number }
  | { op: 'round'; pairs: number }
  | { op: 'close' };

/** @public */
export type IsolateAnswer = { value: number } | { failed: string };

/** @public */
export interface IsolateData extends SeatOrder {
  readonly contestant: string;
}

/**
 * Starts the isolate and opens the heap in it.
 * @throws with the contestant's own reason when it cannot be opened
 * @public
 */
export async function isolateSeat(contestant: IsolateContestant, order: SeatOrder): Promise<Seat> {
  const workerData: IsolateData = { ...order, contestant: contestant.name };
  const worker = new Worker(new URL('./isolate-worker.js', import.meta.url), { workerData });
  const exit = once(worker, 'exit');
  exit.catch(() => {}); // an error of the worker reaches the thread that waits for an answer

  async function answer(): Promise<number> {
    const gone = exit.then(() => [{ failed: 'its worker has ended' }]);
    const [message] = (await Promise.race([once(worker, 'message'), gone])) as [IsolateAnswer];
    if ('failed' in message) throw new Error(message.failed);
    return message.value;
  }

  function ask(request: IsolateRequest): Promise<number> {
    worker.postMessage(request);
    return answer();
  }

  await answer(); // the first one says that the heap is open
  return {
    settle: (roundSeconds, limitSeconds) => ask({ op: 'settle', roundSeconds, limitSeconds }),
    round: (pairs) => ask({ op: 'round', pairs }),
    async close() {
      worker.postMessage({ op: 'close' } satisfies IsolateRequest);
      await exit;
    },
  };
}
