/** `shmalloc run`: the main job. */

import { readFileSync } from 'node:fs';
import { type Recording, recordings } from '@shmalloc/recordings';
import { readTrace } from '@shmalloc/trace';
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { outPath } from '../files.ts';
import { runJob, stepsOf, type Workload } from '../job.ts';
import { startProgress } from '../progress.ts';
import { CAREFUL, QUICK } from '../replay/measure.ts';
import { IN_PASSING, takeStepsInPassing } from '../steps/job.ts';
import { loadTrace, printProblems } from '../trace-file.ts';
import {
  ALLOCATOR_NAMES,
  allocOption,
  checkNames,
  configurations,
  cpusOption,
  lockOption,
  names,
  shellWord,
  wholeNumber,
} from './options.ts';
import { finish } from './outcome.ts';
import { runOnFullMachines } from './run-full.ts';

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
  machine?: boolean;
  trace?: string[];
  swapEvery?: number;
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
    .option('--machine', 'replay on the full machine, and report what every CPU did')
    .option('--trace <files>', 'the same with traces of your own, or recordings by name', names)
    .option(
      '--swap-every <ms>',
      'the same, and swap the allocator meanwhile, through all of --alloc',
      (text) => wholeNumber(text, 1, 60_000),
    )
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

With --machine, --trace or --swap-every the allocators grow out of pages of one physical memory, as in a kernel, and can be swapped while
all CPUs allocate and free. Every replay is checked, everything is freed at the end, and the pages are counted before and after. What each CPU
did is printed, and goes to machine.json: operations, lock waits, time in the slow path, pages held, remote frees.

Recordings: ${TRACE_NAMES.join(', ')}

Examples:
  shmalloc run
  shmalloc run --traces ${TRACE_NAMES.slice(0, 2).join(',')} --alloc tlsf --cpus 1
  shmalloc run --quick --json > report.json
  shmalloc run --machine --traces redis --alloc mimalloc,tlsf
  shmalloc run --trace sort.trace --alloc tlsf,mimalloc,buddy --cpus 2 --swap-every 10`,
    )
    .action(run);
}

async function run(options: RunOptions): Promise<void> {
  if (options.machine || options.trace !== undefined || options.swapEvery !== undefined)
    return runMachine(options);
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

/** Recordings, or traces of the user's own, on the full machine. */
async function runMachine(options: RunOptions): Promise<void> {
  const { traces, trace, swapEvery, quick, cpus, out } = options;
  const unguarded = options.lock?.find((kind) => kind === 'none' || kind === 'outside');
  if (swapEvery !== undefined && unguarded !== undefined)
    throw new UsageError(
      `lock '${unguarded}' is not for --swap-every: the main thread is one more that uses the heaps`,
    );
  if (quick) throw new UsageError('--quick is for timed replays; on the full machine none are timed');
  if (traces !== undefined && trace !== undefined)
    throw new UsageError('--traces and --trace exclude each other');
  const chosen = configurations(options, 'usual');
  await runOnFullMachines(await workloadsOf(trace ?? traces ?? TRACE_NAMES, trace !== undefined), chosen, {
    cpus,
    swapEvery,
    command: machineCommandLine(options),
    folder: outPath('out', out),
    json: options.json === true,
  });
}

/** @param files - whether a name that no recording has is that of a file */
async function workloadsOf(wanted: readonly string[], files: boolean): Promise<Workload[]> {
  if (!files) checkNames('recording', wanted, TRACE_NAMES);
  const workloads: Workload[] = [];
  for (const name of wanted) {
    const recording = recordings.find((each) => each.name === name);
    if (recording !== undefined) workloads.push(workloadOf(recording));
    else {
      const { trace, problems, format } = await loadTrace(name);
      printProblems(name, problems);
      workloads.push({ name, description: `${name} (${format})`, trace });
    }
  }
  return workloads;
}

function machineCommandLine({ traces, trace, alloc, lock, cpus, swapEvery }: RunOptions): string {
  const flags = [
    `--alloc ${alloc.join()}`,
    ...(lock === undefined ? [] : [`--lock ${lock.join()}`]),
    ...(traces === undefined ? [] : [`--traces ${traces.join()}`]),
    ...(trace === undefined ? [] : [`--trace ${shellWord(trace.join())}`]),
    `--cpus ${cpus}`,
    ...(swapEvery === undefined ? [] : [`--swap-every ${swapEvery}`]),
  ];
  return `npm run -s shmalloc -- run --machine ${flags.join(' ')}`;
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
