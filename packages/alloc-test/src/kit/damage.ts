/**
 * Damage is reported, and never hangs: a program that writes past a block, into a freed one or anywhere at
 * all can destroy every word of the region. Whatever it has destroyed, each call returns or throws an
 * `AllocError`, and hands out nothing outside the memory.
 *
 * The rounds run in a worker, so that a call that never comes back is a failure with a seed and a name and
 * not a test run that stops.
 */

import { Worker } from 'node:worker_threads';
import { checkInteger, type HeapOptions } from '@shmalloc/allocator-api';
import type { TestFunction } from './conformance.ts';
import { type DamageCounts, type DamageJob, Progress } from './damage-job.ts';
import type { DamageAnswer } from './damage-worker.ts';
import { scaled } from './scale.ts';
import { type Subject, titleOf } from './subject.ts';

/**
 * How much damage is done, and what of it is not.
 * @public
 */
export interface DamageOptions {
  /** Heaps that are made and damaged. Default 400, and 150 at the quick scale. */
  rounds?: number | undefined;
  /** Calls on each after the damage. Default 80. */
  calls?: number | undefined;
  /**
   * Bytes of each heap; the memory has twice as many, and `addMemory` is given of the rest. Default 128 KiB.
   */
  bytes?: number | undefined;
  /** Further options for `create`, such as `lock` or `debug`. */
  create?: HeapOptions | undefined;
  /** What `attach` is given beside the handle. */
  attach?: object | undefined;
  /**
   * Words, counted from the header's first, that are not damaged and are 0 between calls: those of locks,
   * since a wait for a lock whose word names a possible holder is no fault. Default none.
   */
  spared?: readonly number[] | undefined;
  /**
   * The URL of a module whose export `calls` is an {@link ExtraCalls}: calls that only this algorithm has.
   */
  extra?: string | undefined;
  /** Seconds in which a single call must have come back. Default 30. */
  patience?: number | undefined;
  /**
   * Default: `SEED` of the environment, or else by the clock; it is logged. Round n has the seed `seed + n`.
   */
  seed?: number | undefined;
}

const ROUNDS = scaled(150, 400);

/** How often the main thread looks whether calls still come back. */
const POLL_MS = 200;

/**
 * Registers the random-damage test for one algorithm.
 *
 * @example
 * ```ts
 * damage(test, { algorithm: Tlsf, module: import.meta.resolve('@shmalloc/tlsf'), exportName: 'Tlsf' }, { spared: [16] });
 * ```
 * @param test - ava's
 * @param subject - the algorithm: its class, and where the worker finds it
 * @param options - how much, and what is spared
 * @public
 */
export function damage(test: TestFunction, subject: Subject, options: DamageOptions = {}): void {
  const { rounds = ROUNDS, create = {} } = options;
  const with_ = Object.entries(create).map(([name, value]) => `, ${name} ${String(value)}`);
  test.serial(
    `${titleOf(subject)}: ${rounds} damaged heaps: every call comes back${with_.join('')}`,
    async (t) => {
      t.timeout(600_000);
      const seed = options.seed ?? Number(process.env.SEED ?? Date.now() % 2 ** 31);
      t.log(`seed ${seed}`);
      const counts = await damagedHeaps(subject, { ...options, seed });
      t.log(counts);
      t.pass();
    },
  );
}

/**
 * The same without a test runner.
 * @returns what the calls came to
 * @throws Error with the seed, the call and the damage when a call threw anything but an `AllocError`, gave
 *   what cannot be or did not come back; and when none of many rounds met damage, so that nothing was tested
 */
export async function damagedHeaps(subject: Subject, options: DamageOptions): Promise<DamageCounts> {
  const patience = checkInteger('patience', options.patience ?? 30);
  const progress = new SharedArrayBuffer(Progress.bytes);
  const job: DamageJob = {
    module: subject.module,
    exportName: subject.exportName,
    options: { ...subject.options, ...options.create },
    attachOptions: options.attach ?? {},
    bytes: options.bytes ?? 128 * 1024,
    seed: checkInteger('seed', options.seed ?? 1),
    rounds: checkInteger('rounds', options.rounds ?? ROUNDS),
    calls: checkInteger('calls', options.calls ?? 80),
    spared: options.spared ?? [],
    extra: options.extra,
    progress,
  };
  const answer = await watched(job, new Progress(progress), patience);
  if ('error' in answer) throw new Error(answer.error);
  const { counts } = answer;
  if (job.rounds >= 50 && counts.corrupted === 0) throw new Error('no call has met any of the damage');
  return counts;
}

/** Runs the job in a worker; ends it when a call does not come back. */
function watched(job: DamageJob, progress: Progress, patience: number): Promise<DamageAnswer> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL('./damage-worker.js', import.meta.url), { workerData: job });
    let answer: DamageAnswer | undefined;
    let seen = -1;
    let since = Date.now();
    const watchdog = setInterval(() => {
      const { ticks } = progress;
      // Before the first call the worker is still starting, which takes as long as a busy machine needs.
      if (ticks !== seen || ticks === 0) {
        seen = ticks;
        since = Date.now();
      } else if (Date.now() - since > patience * 1000) {
        const error = `SEED=${progress.seed}: a call did not come back in ${patience} s (damaged: ${progress.damage})`;
        answer ??= { error };
        void worker.terminate();
      }
    }, POLL_MS);
    worker.on('message', (message: DamageAnswer) => (answer = message));
    worker.on('error', (error) => (answer = { error: String(error) }));
    worker.on('exit', (code) => {
      clearInterval(watchdog);
      resolve(answer ?? { error: `the worker exited with code ${code} and without an answer` });
    });
  });
}
