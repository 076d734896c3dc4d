/** Runs a plan with one worker for each CPU. */
import { Worker } from 'node:worker_threads';
import type { OracleHandle } from '@shmalloc/alloc-test/oracle';
import type { Handle, MemorySource } from '@shmalloc/allocator-api';
import type { ReplayOptions, ReplayPlan, ReplayResult } from '@shmalloc/trace';

type CpuOptions = Pick<ReplayOptions, 'countLive' | 'freeLeaks' | 'sampleEvery' | 'touch'>;

export interface Setting {
  basic?: Handle;
  plain?: { source: MemorySource; log: Uint32Array };
  oracle?: OracleHandle;
  options?: CpuOptions;
  /** What some CPU is told besides. */
  optionsOf?: Record<number, CpuOptions>;
  /** What CPU 0's allocator does wrong. */
  misdeed?: 'throw' | 'dawdle';
}

export interface Task extends Setting {
  plan: ReplayPlan;
  cpu: number;
  /** A word for each CPU: it is through. */
  done: Int32Array;
}

export interface Outcome {
  result?: ReplayResult;
  failure?: { name: string; message: string; reason?: string };
}

export function replayWithWorkers(plan: ReplayPlan, setting: Setting): Promise<Outcome[]> {
  const done = new Int32Array(new SharedArrayBuffer(4 * Math.max(plan.cpus, 2)));
  return Promise.all(
    plan.streams.map(
      (_, cpu) =>
        new Promise<Outcome>((resolve, reject) => {
          const task: Task = { ...setting, plan, cpu, done };
          const worker = new Worker(new URL('./replay-worker.js', import.meta.url), { workerData: task });
          let outcome: Outcome | undefined;
          worker.on('message', (message: Outcome) => {
            outcome = message;
          });
          worker.on('error', reject);
          worker.on('exit', () =>
            outcome ? resolve(outcome) : reject(new Error(`worker ${cpu} said nothing`)),
          );
        }),
    ),
  );
}
