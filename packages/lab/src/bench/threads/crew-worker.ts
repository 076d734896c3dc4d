/**
 * The worker behind `crew.ts`: one contestant, one part of one workload, round after round when it is asked.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { THREAD_CONTESTANTS } from './contestant.ts';
import type { CrewAnswer, CrewData, CrewRequest } from './crew.ts';
import { nanoseconds, Stage } from './stage.ts';
import { type Play, THREAD_WORKLOADS } from './workload.ts';

const port = parentPort!;
const data = workerData as CrewData;
const stage = new Stage(data.stage);

/** A failure ends the worker, and releases the thread that waits for it. */
function fail(error: unknown): void {
  stage.fail();
  port.postMessage({ failed: error instanceof Error ? error.message : String(error) } satisfies CrewAnswer);
  port.close();
}

async function setUp(): Promise<Play> {
  const contestant = THREAD_CONTESTANTS.find((each) => each.name === data.contestant)!;
  const workload = THREAD_WORKLOADS.find((each) => each.name === data.workload)!;
  if (!('load' in contestant)) throw new Error(`${data.contestant} is not called from JavaScript`);
  const maker = await contestant.load(data.build);
  const attach = () => maker.attach(data.handle);
  const { worker, shared, seed, life, checked = false } = data;
  return workload.start({ worker, heap: attach(), attach, stage, shared, seed, life, checked });
}

function round(play: Play, workers: number, seconds: number): CrewAnswer {
  stage.meet(workers);
  const start = nanoseconds();
  const played = play(seconds);
  return { ...played, start, end: nanoseconds() };
}

async function main(): Promise<void> {
  const play = await setUp();
  port.on('message', (request: CrewRequest) => {
    if (request.op === 'close') return port.close();
    try {
      port.postMessage(round(play, request.workers, request.seconds));
    } catch (error) {
      fail(error);
    }
  });
  port.postMessage({ operations: 0, waited: 0, start: 0, end: 0 } satisfies CrewAnswer);
}

main().catch(fail);
