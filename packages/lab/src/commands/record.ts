/** `shmalloc record`: runs a program and writes down what it asks of its allocator. */

import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import { traceInfo } from '@shmalloc/trace';
import { RecordError, type Recorded, record } from '@shmalloc/trace/record';
import type { Command } from 'commander';
import { JobError, UsageError } from '../errors.ts';
import { userFolder, userPath } from '../files.ts';
import { formatBytes, formatCount, plural } from '../units.ts';

/**
 * Adds the subcommand.
 * @internal
 */
export function addRecord(root: Command): void {
  root
    .command('record')
    .description('run a program and record every allocation that it makes (Linux, with a C compiler)')
    .argument('<program>', 'the program: a path, or a name to look for in PATH')
    .argument('[args...]', 'its arguments; put -- before the program so that its flags stay its own')
    .option('-o, --output <file>', 'the file to write; by default the name of the program, with .trace')
    .option('--json', "print JSON; the program's own output then goes to standard error")
    .passThroughOptions()
    .addHelpText(
      'after',
      `
Programs that PROGRAM starts are recorded too, each into a file of its own: out.trace, out.cc1-4711.trace.
The exit code is 0 when there is a recording, whatever PROGRAM ended with; that is printed.

Examples:
  shmalloc record -- sort /etc/services
  shmalloc record -o gcc.trace -- gcc -O2 -c main.c
  shmalloc record -o node.trace -- node -e 'console.log(1)'`,
    )
    .action(run);
}

async function run(
  program: string,
  args: string[],
  options: { output?: string; json?: boolean },
): Promise<void> {
  demandProgram(program);
  const output = userPath(options.output ?? `${path.basename(program)}.trace`);
  demandFolder(output);
  const recorded = await recordProgram(program, args, output, options.json === true);
  if (options.json) console.log(JSON.stringify(asJson(recorded), null, 2));
  else printSummary(program, recorded);
  if (recorded.traces.length === 0) throw new JobError(`no recording of ${program} was made`);
}

async function recordProgram(
  command: string,
  args: string[],
  output: string,
  json: boolean,
): Promise<Recorded> {
  try {
    return await record({
      command,
      args,
      output,
      cwd: userFolder(),
      stdio: ['inherit', json ? 2 : 'inherit', 'inherit'],
    });
  } catch (error) {
    throw error instanceof RecordError ? new JobError(error.message) : error;
  }
}

/** To standard error: standard output is the program's. */
function printSummary(program: string, { traces, exitCode, problems }: Recorded): void {
  for (const { process, pid, reason, count } of problems) {
    console.error(`${process} (${pid}): ${count > 0 ? `${formatCount(count)} × ` : ''}${reason}`);
  }
  for (const { trace, file } of traces) {
    const { peakLiveBytes, crossThreadFrees } = traceInfo(trace);
    console.error(
      `${file}: ${plural(trace.operations, 'operation')}, ${plural(trace.threads, 'thread')}, peak live ${formatBytes(peakLiveBytes)}, ${plural(crossThreadFrees, 'cross-thread free')}`,
    );
  }
  if (exitCode !== 0) console.error(`${program} ended with exit code ${exitCode}`);
}

function asJson({ traces, exitCode, problems }: Recorded): object {
  return {
    exitCode,
    problems,
    traces: traces.map(({ trace, process, pid, file }) => ({ process, pid, file, ...traceInfo(trace) })),
  };
}

/** A program that is not there is wrong use; found before anything is compiled. */
function demandProgram(program: string): void {
  const folders = program.includes('/') ? [userFolder()] : (process.env.PATH ?? '').split(path.delimiter);
  if (!folders.some((folder) => isExecutable(path.resolve(folder, program)))) {
    throw new UsageError(`cannot run ${program}: there is no such program`);
  }
}

function isExecutable(full: string): boolean {
  try {
    accessSync(full, constants.X_OK);
    return statSync(full).isFile();
  } catch {
    return false;
  }
}

/** Found before the program runs, not after. */
function demandFolder(output: string): void {
  try {
    accessSync(path.dirname(output), constants.W_OK);
  } catch {
    throw new UsageError(`cannot write ${output}: its folder is not there, or may not be written to`);
  }
}
