/** `shmalloc run --machine`: recordings or traces on a full machine, with a report of what every CPU did. */

import path from 'node:path';
import type { LockKind } from '@shmalloc/allocator-api';
import { traceInfo } from '@shmalloc/trace';
import { EXIT, UsageError } from '../errors.ts';
import { writeFile } from '../files.ts';
import { type FullRun, type FullSite, runFull } from '../full/full-machine.ts';
import { FULL_LEGEND, fullTable } from '../full/full-table.ts';
import type { Configuration, Workload } from '../job.ts';
import { describeMachine, type Machine } from '../machine.ts';
import { startProgress } from '../progress.ts';
import { colors } from '../table.ts';

/** The shape of `machine.json`. */
export interface FullReport {
  /** Version of this shape. */
  schema: 1;
  /** The command that makes such a report again. */
  command: string;
  /** What it ran on. */
  machine: Machine;
  /** How long the whole job took. */
  seconds: number;
  runs: FullRun[];
}

/** How to do it. */
export interface FullOptions {
  cpus: number;
  swapEvery: number | undefined;
  command: string;
  /** Where `machine.json` goes, an absolute path. */
  folder: string;
  json: boolean;
}

/**
 * Replays everything on full machines, prints what came of it, and sets the exit code.
 * @param chosen - every allocator and lock
 */
export async function runOnFullMachines(
  workloads: readonly Workload[],
  chosen: readonly Configuration[],
  options: FullOptions,
): Promise<void> {
  const began = performance.now();
  const sites = sitesOf(chosen, options);
  const progress = startProgress(workloads.length * sites.length);
  const runs: FullRun[] = [];
  try {
    for (const { name, trace } of workloads) {
      const { peakLiveBytes } = traceInfo(trace);
      for (const site of sites) {
        progress.step(`${name} · ${site.allocators.join(' → ')}`);
        runs.push(await runFull(site, name, trace, peakLiveBytes));
      }
    }
  } finally {
    progress.done();
  }
  const seconds = (performance.now() - began) / 1000;
  const report: FullReport = {
    schema: 1,
    command: options.command,
    machine: describeMachine(),
    seconds,
    runs,
  };
  const file = path.join(options.folder, 'machine.json');
  writeFile(file, `${JSON.stringify(report)}\n`);
  if (options.json) console.log(JSON.stringify(report));
  else console.log([...runs.map(fullTable), colors.dim(FULL_LEGEND), file].join('\n\n'));
  const found = runs.flatMap((run) =>
    run.firstViolations.map((text) => `${run.trace}, ${run.allocators.join(' → ')}: ${text}`),
  );
  for (const line of found) console.error(line);
  if (runs.some((run) => run.violations > 0)) process.exitCode = EXIT.failed;
}

/** With swaps all allocators take turns on one machine; without, each has its own. */
function sitesOf(chosen: readonly Configuration[], { cpus, swapEvery }: FullOptions): FullSite[] {
  if (swapEvery === undefined)
    return chosen.map(({ allocator, lock }) => ({ allocators: [allocator], lock, cpus, swapEvery }));
  const allocators = [...new Set(chosen.map(({ allocator }) => allocator))];
  return [{ allocators, lock: oneLock(chosen), cpus, swapEvery }];
}

/** The lock of those that need one. */
function oneLock(chosen: readonly Configuration[]): LockKind | undefined {
  const locks = [...new Set(chosen.map(({ lock }) => lock).filter((lock) => lock !== 'none'))];
  if (locks.length > 1)
    throw new UsageError(`--swap-every takes one lock at a time, not ${locks.join(', ')}`);
  return locks[0];
}
