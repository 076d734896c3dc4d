/** `shmalloc run`: the main job. */

import { readFileSync } from 'node:fs';
import { type Recording, recordings } from '@shmalloc/recordings';
import { readTrace } from '@shmalloc/trace';
import type { Command } from 'commander';
import { outPath } from '../files.ts';
import { runJob, stepsOf, type Workload } from '../job.ts';
import { startProgress } from '../progress.ts';
import { CAREFUL, QUICK } from '../replay/measure.ts';
import { IN_PASSING, takeStepsInPassing } from '../steps/job.ts';
import {
  ALLOCATOR_NAMES,
  allocOption,
  checkNames,
  configurations,
  cpusOption,
  lockOption,
  names,
} from './options.ts';
import { finish } from './outcome.ts';

/** What there is to replay. */
const TRACE_NAMES: readonly string[] = recordings.map((recording) => recording.name);

interface RunOptions {
  out?: string;
  traces?: string[];
  alloc: string[];
  lock?: string[];
  cpus: number;
  quick?: boolean;
  json?: boolean;
  steps: boolean;
}

/**
 * Adds the subcommand.
 * @internal
 */
export function addRun(root: Command): void {
  root
    .command('run')
    .description('replay the recorded programs through every allocator, check every block, and report')
    .addOption(allocOption())
    .addOption(lockOption('all that the allocator can run with'))
    .option('--traces <names>', 'only these recordings', names)
    .addOption(cpusOption())
    .option('--out <folder>', 'where report.json and report.html go (default: out)')
    .option('--quick', 'check everything, time each replay once')
    .option(
      '--no-steps',
      'leave out the throughput of the lock removal; it is left out, too, when --traces or --alloc narrow the job',
    )
    .option('--json', 'print the report as JSON in place of the table')
    .addHelpText(
      'after',
      `
Boots the kernel runtime with N CPUs on one shared region for every recording, allocator and lock. Each recorded thread's
operations run on a real thread. One replay is checked: an oracle apart from the allocator watches every block. Others are timed
without it.

Recordings: ${TRACE_NAMES.join(', ')}

Examples:
  shmalloc run
  shmalloc run --traces ${TRACE_NAMES.slice(0, 2).join(',')} --alloc tlsf --cpus 1
  shmalloc run --quick --json > report.json`,
    )
    .action(run);
}

async function run(options: RunOptions): Promise<void> {
  const chosen = configurations(options, 'all');
  const wanted = options.traces ?? TRACE_NAMES;
  checkNames('recording', wanted, TRACE_NAMES);
  const workloads = recordings.filter((recording) => wanted.includes(recording.name)).map(workloadOf);
  const isWhole = options.traces === undefined && options.alloc.join() === ALLOCATOR_NAMES.join();
  const withSteps = options.steps && isWhole;
  const progress = startProgress(stepsOf(workloads, chosen) + (withSteps ? IN_PASSING.rounds : 0));
  try {
    const report = await runJob(workloads, chosen, {
      cpus: options.cpus,
      effort: options.quick ? QUICK : CAREFUL,
      command: commandLine(options),
      progress,
    });
    if (withSteps) report.steps = await takeStepsInPassing(report.command, progress);
    progress.done();
    finish(report, { json: options.json, folder: outPath('out', options.out) });
  } finally {
    progress.done();
  }
}

function workloadOf({ name, program, description, url }: Recording): Workload {
  return { name, description: `${program}: ${description}`, trace: readTrace(readFileSync(url)) };
}

/** The shortest command that does the same. */
function commandLine({ traces, alloc, lock, cpus, quick, steps }: RunOptions): string {
  const flags = [
    ...(alloc.join() === ALLOCATOR_NAMES.join() ? [] : [`--alloc ${alloc.join()}`]),
    ...(lock === undefined ? [] : [`--lock ${lock.join()}`]),
    ...(traces === undefined ? [] : [`--traces ${traces.join()}`]),
    ...(cpus === 2 ? [] : [`--cpus ${cpus}`]),
    ...(steps ? [] : ['--no-steps']),
    ...(quick ? ['--quick'] : []),
  ];
  return flags.length === 0 ? 'npm start' : `npm run -s shmalloc -- run ${flags.join(' ')}`;
}
