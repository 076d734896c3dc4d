/** `shmalloc bench --against DIR`: this build and that of another checkout, in one run. */

import path from 'node:path';
import { type AgainstPlan, COMPARABLE, measureAgainst, rowsOf } from '../bench/against/measure.ts';
import { type AgainstReport, renderAgainst } from '../bench/against/report.ts';
import { summarizeAgainst } from '../bench/against/summary.ts';
import { checkBuild } from '../bench/build.ts';
import { THREAD_WORKLOADS } from '../bench/threads/workload.ts';
import { WORKLOADS } from '../bench/workload.ts';
import { JobError, UsageError } from '../errors.ts';
import { outPath, userPath, writeFile } from '../files.ts';
import { describeMachine } from '../machine.ts';
import { startProgress } from '../progress.ts';
import { checkNames, chosen } from './options.ts';

/** A hundred batches of the largest blocks fit. */
const REGION_BYTES = 256 * 1024 * 1024;

/** How much is done, at leisure and in a hurry. */
const SCALES = {
  full: { rounds: 15, turnSeconds: 0.01, settleSeconds: 2 },
  quick: { rounds: 9, turnSeconds: 0.005, settleSeconds: 0.3 },
} as const;

/** A few minutes in all. */
const USUAL = ['mimalloc', 'slab', 'tlsf', 'buddy'];

/** One thread, a queue between two, and two that each replace blocks. */
const USUAL_WORKLOADS = ['pairs', 'pairs-fifo', 'churn', 'xmalloc', 'larson'];

/**
 * What of `shmalloc bench`'s options concerns it.
 * @internal
 */
export interface AgainstFlags {
  against: string;
  alloc?: string[];
  workload?: string[];
  rounds?: number;
  seed: number;
  quick?: boolean;
  json?: boolean;
  out?: string;
}

/** What `--alloc` chooses from. @internal */
export const AGAINST_NAMES: readonly string[] = COMPARABLE.map(({ name }) => name);

/** @internal */
export async function benchAgainst(flags: AgainstFlags): Promise<void> {
  const { alloc = USUAL, workload = USUAL_WORKLOADS, quick, seed } = flags;
  checkNames('allocator', alloc, AGAINST_NAMES);
  checkNames(
    'workload',
    workload,
    [...WORKLOADS, ...THREAD_WORKLOADS].map(({ name }) => name),
  );
  const allocators = chosen(COMPARABLE, alloc);
  const there = userPath(flags.against);
  checkBuild(flags.against, there, [...new Set(allocators.map((each) => each.package as string))]);
  const rows = rowsOf(allocators, workload);
  if (rows.length === 0) {
    throw new UsageError(`no allocator of ${alloc.join(', ')} takes part in ${workload.join(', ')}`);
  }
  const scale = quick ? SCALES.quick : SCALES.full;
  const plan: AgainstPlan = {
    ...scale,
    there,
    rounds: flags.rounds ?? scale.rounds,
    bytes: REGION_BYTES,
    seed,
  };
  const progress = startProgress(rows.length * plan.rounds);
  let report: AgainstReport;
  try {
    const { samples, absences } = await measureAgainst(rows, plan, (label) => progress.step(label));
    report = { machine: describeMachine(), plan, figures: summarizeAgainst(samples), absences, samples };
  } finally {
    progress.done();
  }
  const json = `${JSON.stringify(report, null, 2)}\n`;
  const file = outPath(path.join('out', 'bench-against.json'), flags.out);
  writeFile(file, json);
  process.stdout.write(flags.json ? json : `${renderAgainst(report, rows)}\n\n${file}\n`);
  if (report.figures.length === 0) throw new JobError('nothing could be measured');
}
