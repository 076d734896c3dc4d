/** Threads for the tests: started together, joined by their answers. */

import { parentPort, Worker, workerData } from 'node:worker_threads';
import { type MemorySource, SharedMemory } from '@shmalloc/allocator-api';

/** What every worker gets beside its own task. */
interface Ticket<Task> {
  source: MemorySource;
  id: number;
  task: Task;
}

/**
 * Starts one worker.
 * @param file - below `workers/`, without extension
 */
export function hire<Task>(file: string, memory: SharedMemory, id: number, task: Task): Worker {
  const ticket: Ticket<Task> = { source: memory.source, id, task };
  return new Worker(new URL(`./workers/${file}.js`, import.meta.url), { workerData: ticket });
}

/** Threads that have done their task and wait for another: to start one costs more than most tasks. */
const idle: Worker[] = [];
/**
 * Modules that change what their thread can, or how the package finds it: nothing else may run there, before
 * or after.
 */
const ALONE = ['counter', 'forbidden'];

/** What a member of the team is told. */
export interface Order extends Ticket<unknown> {
  file: string;
}

/** What it says when it is done. */
export type Report = { readonly answer: unknown } | { readonly error: unknown };

/**
 * Starts each task on a thread of its own. Thread ids go from 1.
 * @param file - below `workers/`, without extension
 */
export function startTeam<Task, Answer>(
  file: string,
  memory: SharedMemory,
  tasks: readonly Task[],
): Promise<Answer>[] {
  const isAlone = ALONE.includes(file);
  const start = (): Worker => new Worker(new URL('./member.js', import.meta.url));
  const members = tasks.map(() => (isAlone ? start() : (idle.pop() ?? start())));
  return tasks.map((task, index) => {
    const worker = members[index];
    return new Promise<Answer>((resolve, reject) => {
      const onReport = (report: Report): void => {
        worker.off('error', reject);
        worker.unref();
        if ('error' in report || isAlone) void worker.terminate();
        else idle.push(worker);
        if ('error' in report) reject(report.error);
        else resolve(report.answer as Answer);
      };
      worker.once('message', onReport).once('error', reject);
      worker.ref();
      worker.postMessage({ source: memory.source, id: index + 1, task, file } satisfies Order);
    });
  });
}

/** {@link startTeam}, and waits for all answers. */
export function runTeam<Task, Answer>(
  file: string,
  memory: SharedMemory,
  tasks: readonly Task[],
): Promise<Answer[]> {
  return Promise.all(startTeam<Task, Answer>(file, memory, tasks));
}

let given: Ticket<unknown> = workerData as Ticket<unknown>;
let taken = (value: unknown): void => parentPort!.postMessage(value);

/** In a member of the team: runs a task's module. Its answer is what {@link answer} was called with last. */
export async function serve(order: Order, run: () => Promise<unknown>): Promise<Report> {
  let last: unknown;
  given = order;
  taken = (value) => {
    last = value;
  };
  try {
    await run();
    return { answer: last };
  } catch (error) {
    return { error };
  }
}

/** In the worker: what it was started with. */
export function ticket<Task>(): { memory: SharedMemory; id: number; task: Task } {
  const { source, id, task } = given as Ticket<Task>;
  return { memory: SharedMemory.from(source), id, task };
}

/** In the worker: hands the answer to the test. */
export function answer(value: unknown): void {
  taken(value);
}

/** Waits, spinning, until `count` threads have come: so that they all run when the work starts. */
export function meet(memory: SharedMemory, address: number, count: number): void {
  Atomics.add(memory.i32, address / 4, 1);
  while (Atomics.load(memory.i32, address / 4) < count);
}

/** Gives other threads, and the messages from workers, a turn until the condition holds. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/**
 * Repeats an experiment that goes wrong by chance until it has, so that what proves a checker does not depend
 * on one run.
 * @param run - the experiment; returns how much went wrong
 * @returns that of the last run: 0 when it went well a hundred times
 */
export async function untilBroken(run: (attempt: number) => Promise<number>): Promise<number> {
  for (let attempt = 1; attempt <= 100; attempt++) {
    const faults = await run(attempt);
    if (faults > 0) return faults;
  }
  return 0;
}

/** Both kinds of memory that threads can share. */
export const BACKINGS: readonly ('sab' | 'wasm')[] = ['sab', 'wasm'];
