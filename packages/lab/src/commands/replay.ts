/** `shmalloc replay`: traces of one's own through allocators of one's choice. */

import path from 'node:path';
import type { Command } from 'commander';
import { userPath } from '../files.ts';
import { runJob, stepsOf, type Workload } from '../job.ts';
import { startProgress } from '../progress.ts';
import { CAREFUL, type Effort } from '../replay/measure.ts';
import { loadTrace, printProblems } from '../trace-file.ts';
import { allocOption, configurations, cpusOption, lockOption, shellWord, wholeNumber } from './options.ts';
import { finish } from './outcome.ts';

interface ReplayOptions {
  alloc: string[];
  lock?: string[];
  cpus: number;
  check: boolean;
  repeat?: number;
  out?: string;
  json?: boolean;
}

/**
 * Adds the subcommand.
 * @internal
 */
export function addReplay(root: Command): void {
  root
    .command('replay')
    .description('replay traces through allocators, check every block, and measure')
    .argument('<file...>', 'traces, in the compact format or in any that can be imported')
    .addOption(allocOption())
    .addOption(lockOption('the usual one of the allocator'))
    .addOption(cpusOption())
    .option('--no-check', 'leave out the replay that the oracle checks')
    .option('--repeat <n>', 'timed replays, 1 … 1000 (default: as many as a short while allows)', (text) =>
      wholeNumber(text, 1, 1000),
    )
    .option('--out <folder>', 'write report.json and report.html there')
    .option('--json', 'print the report as JSON in place of the table')
    .addHelpText(
      'after',
      `
Examples:
  shmalloc replay sort.trace
  shmalloc replay sort.trace gcc.trace --alloc tlsf,basic-best --lock spin,mutex --cpus 2
  shmalloc replay sort.trace --alloc tlsf --lock none --cpus 1 --repeat 20
  shmalloc replay malloc.rep --out report`,
    )
    .action(replay);
}

async function replay(files: string[], options: ReplayOptions): Promise<void> {
  const chosen = configurations(options, 'usual');
  const workloads: Workload[] = [];
  for (const name of files) {
    const { trace, problems, format } = await loadTrace(name);
    printProblems(name, problems);
    workloads.push({ name: uniqueName(name, workloads), description: `${name} (${format})`, trace });
  }
  const progress = startProgress(stepsOf(workloads, chosen));
  try {
    const report = await runJob(workloads, chosen, {
      cpus: options.cpus,
      effort: effortOf(options),
      command: commandLine(files, options),
      progress,
    });
    progress.done();
    finish(report, {
      json: options.json,
      folder: options.out === undefined ? undefined : userPath(options.out),
    });
  } finally {
    progress.done();
  }
}

function effortOf({ check, repeat }: ReplayOptions): Effort {
  return repeat === undefined
    ? { ...CAREFUL, check }
    : { check, most: repeat, seconds: Number.POSITIVE_INFINITY };
}

/** The file's own name, and its whole name where that is taken. */
function uniqueName(file: string, others: readonly Workload[]): string {
  const short = path.basename(file).replace(/\.[^.]+$/, '');
  const taken = (name: string): boolean => others.some((other) => other.name === name);
  if (!taken(short)) return short;
  let name = file;
  for (let n = 2; taken(name); n++) name = `${file} (${n})`;
  return name;
}

function commandLine(files: readonly string[], { alloc, lock, cpus, check, repeat }: ReplayOptions): string {
  const words = [
    ...files.map(shellWord),
    `--alloc ${alloc.join()}`,
    ...(lock === undefined ? [] : [`--lock ${lock.join()}`]),
    `--cpus ${cpus}`,
    ...(check ? [] : ['--no-check']),
    ...(repeat === undefined ? [] : [`--repeat ${repeat}`]),
  ];
  return `npm run -s shmalloc -- replay ${words.join(' ')}`;
}
