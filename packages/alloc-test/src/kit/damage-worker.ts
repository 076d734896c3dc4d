/** A worker that damages heaps: a call that never comes back takes nothing but this worker with it. */

import { parentPort, workerData } from 'node:worker_threads';
import { type DamageCounts, type DamageJob, damageRounds } from './damage-job.ts';

/** What it answers. */
export type DamageAnswer = { readonly counts: DamageCounts } | { readonly error: string };

const answer: DamageAnswer = await damageRounds(workerData as DamageJob).then(
  (counts) => ({ counts }),
  (error) => ({ error: error instanceof Error ? error.message : String(error) }),
);
parentPort?.postMessage(answer);
