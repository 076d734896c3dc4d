/** The worker behind `isolate.ts`: one contestant, one workload, round after round when it is asked. */

import { parentPort, workerData } from 'node:worker_threads';
import { CONTESTANTS } from './contestant.ts';
import type { IsolateAnswer, IsolateData, IsolateRequest } from './isolate.ts';
import { settle } from './settle.ts';
import { WORKLOADS } from './workload.ts';

const port = parentPort!;
const { contestant: name, workload: workloadName, bytes, seed, prepared, build } = workerData as IsolateData;

/** A failure ends the isolate; the main thread then goes on without this contestant. */
function guard<T>(step: () => T): T | undefined {
  try {
    return step();
  } catch (error) {
    fail(error);
    return undefined;
  }
}

function fail(error: unknown): void {
  port.postMessage({
    failed: error instanceof Error ? error.message : String(error),
  } satisfies IsolateAnswer);
  port.close();
}

async function main(): Promise<void> {
  const contestant = CONTESTANTS.find((each) => each.name === name)!;
  const workload = WORKLOADS.find((each) => each.name === workloadName)!;
  if (!('open' in contestant)) throw new Error(`${name} brings its own seat`);
  const run = workload.start(await contestant.open(bytes, prepared, build), seed);

  function answer(request: IsolateRequest): number | undefined {
    if (request.op === 'settle') {
      return settle(workload, run, request.roundSeconds, request.limitSeconds);
    }
    if (request.op === 'round') {
      const start = performance.now();
      run(request.pairs);
      return ((performance.now() - start) * 1e6) / request.pairs;
    }
    port.close();
    return undefined;
  }

  port.on('message', (request: IsolateRequest) => {
    const value = guard(() => answer(request));
    if (value !== undefined) port.postMessage({ value } satisfies IsolateAnswer);
  });
  port.postMessage({ value: 0 } satisfies IsolateAnswer);
}

main().catch(fail);
