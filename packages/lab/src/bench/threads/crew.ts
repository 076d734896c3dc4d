/** The workers of one contestant in one workload, seen from the main thread. */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { HeapContestant, SharedHeap } from './contestant.ts';
import { newStage, Stage } from './stage.ts';
import type { Played, ThreadWorkload } from './workload.ts';

/**
 * What a crew is for.
 * @public
 */
export interface CrewOrder {
  /** Name of the workload. */
  readonly workload: string;
  /** Size of the region in bytes. */
  readonly bytes: number;
  readonly seed: number;
  /** Operations after which a thread ends, in workloads where they do. */
  readonly life: number;
  /** Whether every block is stamped, and the stamp looked at before it is freed. */
  readonly checked?: boolean;
  /** Folder of the checkout whose build of ours is measured; this one when undefined. */
  readonly build?: string | undefined;
}

/**
 * One contestant in one workload, ready for rounds.
 * @public
 */
export interface Crew {
  /** Of what is measured, where it can tell. */
  readonly version?: string;
  /**
   * Plays a round.
   * @param workers - how many of the crew play
   * @param seconds - how long
   */
  round(workers: number, seconds: number): Promise<Tally>;
  close(): Promise<void>;
}

/**
 * One whose heap can be asked, while it plays.
 * @public
 */
export interface HeapCrew extends Crew {
  /** The main thread's access to it. */
  readonly heap: SharedHeap;
}

/**
 * What a round has come to.
 * @public
 */
export interface Tally {
  /** Of all workers together. */
  readonly operations: number;
  /** From the first worker's beginning to the last one's end. */
  readonly nanoseconds: number;
  /** Nanoseconds in which each worker had something to do. */
  readonly busy: readonly number[];
  /** Nanoseconds of processor time that all of them together have had. */
  readonly cpu: number;
}

/** @internal */
export interface CrewData extends CrewOrder {
  readonly contestant: string;
  readonly worker: number;
  readonly handle: unknown;
  readonly stage: SharedArrayBuffer;
  readonly shared: SharedArrayBuffer;
}

/** @internal */
export type CrewRequest = { op: 'round'; workers: number; seconds: number } | { op: 'close' };

/** @internal */
export type CrewAnswer = (Played & { start: number; end: number }) | { failed: string };

/**
 * Makes a heap and the workers, and has them set up their parts.
 * @throws with the contestant's own reason when that fails
 * @public
 */
export async function gatherCrew(
  contestant: HeapContestant,
  workload: ThreadWorkload,
  order: CrewOrder,
): Promise<HeapCrew> {
  const heap: SharedHeap = (await contestant.load(order.build)).create(order.bytes);
  const stageBuffer = newStage();
  const stage = new Stage(stageBuffer);
  const shared = workload.share();
  const members = Array.from({ length: Math.max(...workload.crews) }, (_, worker) =>
    hire({ ...order, contestant: contestant.name, worker, handle: heap.share(), stage: stageBuffer, shared }),
  );

  /** Everybody's answer. A thread that fails, or ends, releases the others before it is told. */
  async function answers(of: readonly Member[]): Promise<Exclude<CrewAnswer, { failed: string }>[]> {
    const all = await Promise.all(
      of.map(async (member) => {
        const answer = await member.answer();
        if ('failed' in answer) stage.fail();
        return answer;
      }),
    );
    return all.map((answer) => {
      if ('failed' in answer) throw new Error(answer.failed);
      return answer;
    });
  }

  async function close(): Promise<void> {
    await Promise.all(members.map((member) => member.close()));
    heap.detach();
  }

  try {
    await answers(members);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    async round(workers, seconds) {
      stage.clear();
      workload.clear(shared, stage);
      const playing = members.slice(0, workers);
      const before = process.cpuUsage();
      for (const member of playing) member.ask({ op: 'round', workers, seconds });
      const found = await answers(playing);
      const { user, system } = process.cpuUsage(before);
      const start = Math.min(...found.map((each) => each.start));
      const end = Math.max(...found.map((each) => each.end));
      return {
        operations: found.reduce((sum, each) => sum + each.operations, 0),
        nanoseconds: end - start,
        busy: found.map((each) => each.end - each.start - each.waited),
        cpu: 1000 * (user + system),
      };
    },
    heap,
    close,
  };
}

interface Member {
  ask(request: CrewRequest): void;
  answer(): Promise<CrewAnswer>;
  close(): Promise<void>;
}

function hire(workerData: CrewData): Member {
  const worker = new Worker(new URL('./crew-worker.js', import.meta.url), { workerData });
  let broken: string | undefined;
  worker.on('error', (error: Error) => {
    broken = error.message;
  });
  const exit = once(worker, 'exit').catch(() => {});
  const ended = exit.then((): [CrewAnswer] => [{ failed: broken ?? 'its worker has ended' }]);
  return {
    ask: (request) => worker.postMessage(request),
    async answer() {
      const [answer] = (await Promise.race([once(worker, 'message').catch(() => ended), ended])) as [
        CrewAnswer,
      ];
      return answer;
    },
    async close() {
      worker.postMessage({ op: 'close' } satisfies CrewRequest);
      await exit;
    },
  };
}
